"""A model, a dataset, a verdict: what `evaluate` does, in order."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluate import figures
from components.evaluate.calibration import calibrate
from components.evaluate.gate import UNOPPOSED, compare, refuse_overlap
from components.evaluate.inference import Classifier, predict, sample
from components.evaluate.parameters import Evaluate
from components.evaluate.predictions import Predictions
from components.evaluate.report import write_report
from components.evaluate.robustness import robustness
from components.evaluate.summary import plain, summarize
from components.evaluate.tables import write_tables
from components.imaging.dataloader import OnDisk, open_split
from components.imaging.dataset import load_info
from components.runtime.files import write_json
from components.runtime.schema import BadInput

log = logging.getLogger(__name__)

SHOWN = ("metrics.json", "predictions.csv", "report.html")  # what a page offers one by one


def evaluate_model(
    model: Path,
    dataset: Path,
    folder: Path,
    settings: Evaluate,
    champion: Path | None = None,
    features: Collection[Path] = (),
) -> dict[str, Any]:
    """Score a model on the test images and fill `folder`; returns the content of metrics.json.

    Writes `metrics.json`, `predictions.csv`, `tables/*.csv`, `figures/*.png`, `report.html`, and
    unless the gate is off, `decision.json`; with a `champion` (a model's folder) to compare with,
    also `champion_predictions.csv`. `features` are folders with those of the dataset's images: what
    is not there is computed. `BadInput` for what can't be scored or compared.
    """
    info = _check(dataset)
    classifier = Classifier(model, features=features)
    images = open_split(dataset, "test")
    test = predict(classifier, images, info["classes"], settings.slices)
    validation = None
    wanted = settings.temperature_scaling or settings.wanted_precision or settings.label_errors
    if wanted and info["counts"].get("validation"):
        validation = predict(classifier, open_split(dataset, "validation"), info["classes"])
    calibration = {}
    if settings.temperature_scaling and validation is not None:
        test, validation, told = calibrate(test, validation, settings.calibration_bins)
        calibration = {"temperature": told}
    metrics = {
        "classes": test.classes,
        "dataset": info["content"],
        "model": classifier.info.get("content"),
        "parameters": asdict(settings),
        **summarize(test, validation, settings),
        **calibration,
    }
    if settings.robustness_images:
        first = sample(images, settings.robustness_images)
        columns = classifier.columns(test.classes)
        metrics["robustness"] = robustness(
            lambda worse: classifier(worse)[:, columns],
            first,
            test.labels[: len(first)],
            settings.batch_size,
            settings.confidence_level,
            settings.seed,
        )
    if settings.gate != "off":
        metrics["gate"] = _decide(test, champion, images, folder, settings, features)
    metrics = plain(metrics)
    write_json(folder / "metrics.json", metrics)
    test.write_csv(folder / "predictions.csv")
    write_tables(folder / "tables", metrics)
    drawn = draw_figures(test, metrics, model, classifier.info, settings)
    (folder / "figures").mkdir()
    for name, figure in drawn.items():
        figures.save_png(figure, folder / "figures" / f"{name}.png")
    write_report(folder, model, dataset, classifier, test, validation, metrics, drawn, settings)
    _log(metrics)
    return metrics


def _decide(
    test: Predictions,
    champion: Path | None,
    images: OnDisk,
    folder: Path,
    settings: Evaluate,
    features: Collection[Path],
) -> dict[str, Any]:
    """The gate's decision, written into `folder` with what it rests on."""
    decision = UNOPPOSED
    if champion is not None:
        old = predict_with_champion(test, champion, images, features)
        old.write_csv(folder / "champion_predictions.csv")
        level = settings.confidence_level
        decision = asdict(compare(old.correct, test.correct, level, settings.seed))
    write_json(folder / "decision.json", decision)
    log.info("gate: %s", decision["reason"])
    return decision


def _log(metrics: dict[str, Any]) -> None:
    balanced = 100 * metrics["balanced_accuracy"]
    log.info(
        "%s%d of %d test images right (%.1f %%; always %s: %.1f %%), log loss %.3f",
        f"balanced accuracy {balanced:.1f} %; " if metrics["headline"] != "accuracy" else "",
        metrics["correct"],
        metrics["images"],
        100 * metrics["accuracy"],
        metrics["majority_class"],
        100 * metrics["majority_accuracy"],
        metrics["log_loss"],
    )


def predict_with_champion(
    test: Predictions, champion: Path, images: OnDisk, features: Collection[Path] = ()
) -> Predictions:
    """What the champion says of the same images; `BadInput` if it was trained on one of them."""
    classifier = Classifier(champion, "champion", features)
    try:
        seen = (champion / "trained_on.txt").read_text().split()
    except OSError:
        raise BadInput(
            f"the champion {champion.name} does not tell which images it was trained on, so it "
            "can't be compared; choose one that does: python pipelines/champion.py promote=..."
        ) from None
    refuse_overlap((image.sha256 for image in test.images), seen, champion.name)
    return predict(classifier, images, test.classes)


def draw_figures(
    test: Predictions,
    metrics: dict[str, Any],
    model: Path,
    model_info: dict[str, Any],
    settings: Evaluate,
) -> dict[str, figures.Figure]:
    """The plots by file name, in the order of the report."""
    drawn = {
        "confusion_matrix": figures.confusion(np.array(metrics["confusion_matrix"]), test.classes),
    }
    if settings.curves:
        drawn["roc"] = figures.roc(test, metrics["per_class"])
        drawn["precision_recall"] = figures.precision_recall(test, metrics["per_class"])
    temperature = metrics.get("temperature", {})
    raw = temperature.get("without", metrics)["reliability"]
    drawn["reliability"] = figures.reliability(raw, temperature.get("reliability"))
    history = figures.read_history(model / "history.csv")
    for name in ("loss", "accuracy"):
        if history and name in history[0]:
            best = model_info.get("best_epoch")
            drawn[f"learning_{name}"] = figures.learning_curve(history, name, best)
    return drawn


def _check(dataset: Path) -> dict[str, Any]:
    """The dataset's description, once it is known that its test split can be scored."""
    path = dataset / "dataset.json"
    try:
        info = load_info(dataset)
        counts = {name: info["counts"]["test"].get(name, 0) for name in info["classes"]}
    except (OSError, ValueError, KeyError, AttributeError):
        raise BadInput(f"{path}: is no processed dataset with a test split") from None
    if lacking := [name for name, images in counts.items() if not images]:
        raise BadInput(
            f"{path}: the test split has no image of {lacking[0]}; add one, or raise "
            "preprocess.test_fraction"
        )
    return info
