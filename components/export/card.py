"""The model card: what the model is, how good, for what, and how to load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from components.imaging.framework import keras, tf
from components.imaging.html import filled
from components.predict.models import temperature_of
from components.predict.network import Classifier

TEMPLATE = Path(__file__).with_name("card.md.jinja")
FIGURES = (
    "accuracy", "majority_accuracy", "balanced_accuracy", "log_loss", "auc", "calibration_error"
)  # fmt: skip
OF_CLASS = ("precision", "recall", "f1")


class Known(NamedTuple):
    """What is known of a model beside its own folder; None where it is not at hand."""

    dataset: dict[str, Any] | None = None  # dataset.json
    metrics: dict[str, Any] | None = None  # metrics.json of an evaluation of this model
    evaluation: str = ""  # where that lies
    licence: str | None = None

    @property
    def temperature(self) -> float | None:
        """What that evaluation divides the logits by; None where it leaves them as they are."""
        return temperature_of(self.metrics or {})


def write_card(
    folder: Path, classifier: Classifier, model: Path, known: Known, checks: list[str]
) -> None:
    """Write `model_card.md` beside the formats that are in `folder`."""
    trained_on = model / "trained_on.txt"
    values = dict(
        info=classifier.info,
        classes=classifier.classes,
        recipe=classifier.recipe,
        temperature=classifier.temperature,
        weights=classifier.network.count_params(),
        trained_on=len(trained_on.read_text().split()) if trained_on.is_file() else 0,
        figures=_figures(known.metrics) if known.metrics else [],
        **known._asdict(),
        formats=[path.name for path in folder.iterdir()],
        versions={"keras": keras.__version__, "tensorflow": tf.__version__},
        checks=checks,
    )
    (folder / "model_card.md").write_text(filled(TEMPLATE, values), encoding="utf-8")


def _figures(metrics: dict[str, Any]) -> list[tuple[str, Any, Any, Any]]:
    """Name, value and the ends of the interval of each figure."""
    first = metrics.get("headline", "accuracy")
    names = sorted((name for name in FIGURES if name in metrics), key=lambda name: name != first)
    values = {name: (name.replace("_", " "), metrics[name]) for name in names}
    for label, row in metrics["per_class"].items():
        values |= {f"per_class.{label}.{n}": (f"{label}: {n}", row[n]) for n in OF_CLASS}
    intervals = metrics["intervals"]
    return [(*told, *(intervals.get(name) or (None, None))) for name, told in values.items()]
