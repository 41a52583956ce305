"""What is known of each epoch: files for people, programs and TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from components.imaging.framework import tf

COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "validation_loss",
    "validation_accuracy",
    "validation_auc",
    "learning_rate",
)
SPEED = ("epoch", "seconds", "images_per_second")  # apart, as they differ at each making
Row = dict[str, float]


def validation_metrics(probabilities: np.ndarray, labels: np.ndarray) -> Row:
    """Cross-entropy in nats, accuracy, and ROC AUC (mean over classes, each against the rest)."""
    sure = np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1)
    present = np.unique(labels)
    aucs = [area_under_roc(probabilities[:, label], labels == label) for label in present]
    return {
        "validation_loss": float(-np.log(sure).mean()),
        "validation_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "validation_auc": float(np.mean(aucs)),
    }


def area_under_roc(scores: np.ndarray, positive: np.ndarray) -> float:
    """How often a positive [N] bool outscores a negative, ties count half; 1 without negatives."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not negatives:
        return 1.0
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    above = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def line(row: Row, epochs: int) -> str:
    """One epoch in one line."""
    return (
        f"epoch {row['epoch']}/{epochs}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.3f}  "
        f"validation loss {row['validation_loss']:.4f}  "
        f"accuracy {row['validation_accuracy']:.3f}  {row['images_per_second']:.0f} images/s"
    )


class History:
    """Writes `history.csv`, `speed.csv` and `tensorboard/` below `folder`, a row at a time."""

    def __init__(self, folder: Path) -> None:
        self._files = {folder / "history.csv": COLUMNS, folder / "speed.csv": SPEED}
        self._writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
        for path, columns in self._files.items():
            with path.open("w", newline="") as file:
                csv.writer(file).writerow(columns)

    def add(self, row: Row) -> None:
        """Append one epoch."""
        for path, columns in self._files.items():
            with path.open("a", newline="") as file:
                csv.writer(file).writerow([row[name] for name in columns])
        with self._writer.as_default(step=int(row["epoch"])):
            for name in COLUMNS[1:]:
                _write_scalar(name, row[name])
        self._writer.flush()

    def close(self) -> None:
        """Finish the event file."""
        self._writer.close()


def _write_scalar(name: str, value: float) -> None:
    """`tf.summary.scalar` without the package tensorboard, which TensorFlow no longer brings."""
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin)
    tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)
