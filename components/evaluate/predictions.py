"""What a model says about a set of images, and the few quantities that everything derives from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from components.imaging.dataset import Image
from components.runtime.spreadsheet import Table

SMALLEST = 1e-7  # probabilities are clipped here before a logarithm, as Keras does


@dataclass(frozen=True)
class Predictions:
    """N images, their labels and a model's probabilities for C classes, row by row."""

    images: list[Image]
    classes: list[str]
    labels: np.ndarray  # [N] int, index into classes
    probabilities: np.ndarray  # [N, C] float64, rows sum to 1
    sharpness: np.ndarray  # [N] variance of the Laplacian, grey levels squared

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def predicted(self) -> np.ndarray:
        """[N] int: the most probable class."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def correct(self) -> np.ndarray:
        """[N] bool."""
        return self.predicted == self.labels

    @cached_property
    def confidence(self) -> np.ndarray:
        """[N] the probability of the predicted class."""
        return self.probabilities.max(axis=1)

    @cached_property
    def of_label(self) -> np.ndarray:
        """[N] the probability of the labelled class."""
        return self.probabilities[np.arange(len(self)), self.labels]

    @cached_property
    def losses(self) -> np.ndarray:
        """[N] the log loss of each image, in nats."""
        return -np.log(np.maximum(self.of_label, SMALLEST))

    def worst_mistakes(self) -> np.ndarray:
        """Rows of the wrong predictions, the most confidently wrong first."""
        margin = self.confidence - self.of_label
        order = np.argsort(-margin, kind="stable")
        return order[~self.correct[order]]

    def least_certain(self) -> np.ndarray:
        """All rows, the smallest gap between the two most probable classes first."""
        top_two = np.partition(self.probabilities, -2, axis=1)[:, -2:]
        return np.argsort(top_two[:, 1] - top_two[:, 0], kind="stable")

    def write_csv(self, path: Path) -> None:
        """One row an image: path, label, predicted, the probability of each class."""
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = Table(file)
            writer.writerow(["path", "label", "predicted", *self.classes])
            for image, label, predicted, row in zip(
                self.images, self.labels, self.predicted, self.probabilities, strict=True
            ):
                names = (self.classes[label], self.classes[predicted])
                writer.writerow([image.path, *names, *(f"{value:.6f}" for value in row)])
