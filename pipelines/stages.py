"""The one table of stages: what the engine has to know of each, and nothing else does."""

from __future__ import annotations

import os.path
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.evaluate.parameters import Evaluate
from components.features.parameters import Features
from components.ingest.parameters import Ingest, is_bucket
from components.preprocess.parameters import Preprocess
from components.runtime.files import read_json
from components.runtime.schema import BadInput
from components.runtime.stores import Store
from components.runtime.text import printable
from components.train.parameters import Train
from pipelines.engine.pipeline import VERSION, Stage

TABLES = (".csv", ".tsv")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")


def _own_photos(settings: Ingest) -> Ingest:
    """A path without a source means one's own photos: a folder, archive or table, as it is."""
    if settings.source != "sample" or settings.path is None:
        return settings
    path = os.path.expanduser(settings.path)  # noqa: PTH111
    ending = os.path.splitext(path)[1].lower()  # noqa: PTH122
    web = "://" in path and not is_bucket(path)
    source = "folder"
    if not os.path.isdir(path):  # noqa: PTH112
        if ending in TABLES:
            source = "table"
        elif web or ending in ARCHIVES or os.path.isfile(path):  # noqa: PTH113
            source = "archive"
    return replace(settings, source=source)


def _source(settings: Ingest, store: Store) -> dict[str, str]:
    """What the source delivers, and for a folder that is not copied, where it lies."""
    from components.ingest import sources
    from components.runtime import storage

    content = sources.fingerprint(settings, store.identify_dataset, store.scratch)
    found = {"images of the source": str(content)}
    if storage.is_local() and (folder := sources.folder_of(settings)):
        found["folder of the source"] = str(folder)
    return found


def _weights(settings: Features, store: Store) -> dict[str, str]:
    """A file of weights, whose name alone does not tell what is in it."""
    from components.networks import weights

    content = weights.content(settings.weights, store.scratch)
    return {"weights": content} if content else {}


def _champion(settings: Evaluate, references: dict[str, str], store: Store) -> dict[str, str]:
    """The champion that the model is compared with; empty for none."""
    if settings.gate == "off":
        return {"champion": ""}
    champion = store.champions.opponent(references["model"])
    if champion and not store.is_intact(champion):
        raise BadInput(
            f"evaluate.gate={settings.gate}: the champion {champion} is gone or was altered; "
            "choose another with python pipelines/champion.py"
        )
    return {"champion": champion}


def _validation(folder: Path) -> dict[str, Any]:
    return {"validation": read_json(folder / "model.json")["validation"]["accuracy"]}


def _test(folder: Path) -> dict[str, Any]:
    metrics = read_json(folder / "metrics.json")
    found = {"test": metrics["accuracy"], "interval": metrics["intervals"].get("accuracy", [])}
    if metrics["headline"] == "balanced_accuracy":
        found["balanced"] = metrics["balanced_accuracy"]
        found["majority"] = {metrics["majority_class"]: metrics["majority_accuracy"]}
    return found | ({"decision": metrics["gate"]} if "gate" in metrics else {})


def _left_out(folder: Path, reference: str, run: Any) -> list[str]:
    """The page of what ingest left out, and the first few of it."""
    from components.imaging.dataset import LEFT_OUT, load_images

    images = load_images(folder)
    out = [image for image in images if image.verdict == LEFT_OUT]
    page = os.path.relpath(folder / "left_out.html")
    lines = [f"left out   {len(out)} of {len(images)} files; all of them with pictures: {page}"]
    return lines + [f"           {one.path}: {one.reason}" for one in out[:3]] if out else []


def _use(folder: Path, reference: str, run: Any) -> list[str]:
    """The model, and the command that predicts with it."""
    words = ["python", "pipelines/predict.py", "images=new_photos", f"model={reference}"]
    words += [f"run.outputs={run.outputs}"] if run.outputs != "outputs" else []
    return [f"model      {os.path.relpath(folder)}", f"predict    {shlex.join(words)}"]


def headline(figures: Mapping[str, Any]) -> str:
    """The test accuracy, in words; where the classes are uneven, the balanced one comes first."""
    if "test" not in figures:
        return ""
    told = " to ".join(f"{bound:.3f}" for bound in figures.get("interval") or [])
    if "balanced" not in figures:
        return f"accuracy   {figures['test']:.3f}{told and f' ({told})'} on the test images"
    ((label, majority),) = figures["majority"].items()
    return (
        f"balanced accuracy {figures['balanced']:.3f} on the test images (accuracy "
        f"{figures['test']:.3f}{told and f', {told}'}; always {printable(label)}: {majority:.3f})"
    )


STAGES = (
    Stage(
        "ingest",
        Ingest,
        option="sample",
        needless_with="dataset",
        meant=_own_photos,
        closing=_left_out,
        outside=_source,
        in_pieces=True,
    ),
    Stage(
        "preprocess",
        Preprocess,
        given_by="dataset",
        published_as="datasets/processed-",
        delivers={"images.csv": "manifest.csv"},
        in_pieces=True,
        in_parts=True,
    ),
    Stage(
        "features",
        Features,
        settings_of="train",
        needed=lambda settings: settings.are_kept,
        derived=True,
        queue="gpu",
        outside=_weights,
        in_pieces=True,
    ),
    Stage(
        "train",
        Train,
        queue="gpu",
        given_by="model",
        published_as="models/",
        outside=_weights,
        delivers={name: name for name in ("model.keras", "model.json", "history.csv")},
        closing=_use,
        figures=_validation,
    ),
    Stage(
        "evaluate",
        Evaluate,
        queue="gpu",
        keyed_by=VERSION,  # its report shows how the model was trained, and the dataset's settings
        beside=_champion,
        delivers={name: name for name in ("metrics.json", "report.html")},
        figures=_test,
    ),
)
