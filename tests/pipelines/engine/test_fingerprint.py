"""What a step depends on, and the words for why it runs."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.runtime import environment, source, storage
from pipelines.engine import fingerprint, server
from pipelines.engine.fingerprint import Dependencies, Record, Records, reasons
from pipelines.stages import STAGES

STEP = Dependencies(
    stage="train",
    parameters={"epochs": "10"},
    inputs={"dataset": "datasets/a"},
    source={"components/train/fit.py": "1"},
    packages={"tensorflow": "2.20.0"},
)


def changed(**parts: dict[str, str]) -> Dependencies:
    return dataclasses.replace(STEP, **parts)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (changed(parameters={"epochs": "20"}), "train.epochs 10 -> 20"),
        (changed(inputs={"dataset": "datasets/b"}), "input changed: dataset"),
        (changed(source={"components/train/fit.py": "2"}), "components/train/fit.py changed"),
        (changed(source=STEP.source | {"components/x.py": "1"}), "components/x.py added"),
        (changed(source={}), "components/train/fit.py removed"),
        (changed(packages={"tensorflow": "2.21.0"}), "tensorflow 2.20.0 -> 2.21.0"),
        (changed(environment={"TF_ENABLE_ONEDNN_OPTS": "0"}), "TF_ENABLE_ONEDNN_OPTS unset -> 0"),
    ],
)
def test_a_change_gives_another_fingerprint_and_a_reason(
    now: Dependencies, words: str, tmp_path: Path
) -> None:
    records = Records(tmp_path)
    records.save(STEP, "models/a", "run 1")
    assert records.find(STEP).reference == "models/a"
    assert records.find(now) is None
    assert records.why(now) == words


def test_what_decides_nothing_is_recorded_beside_the_fingerprint(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.save(changed(frame={"components/runtime/step.py": "1"}, python="3.10.1"), "a", "run 1")
    found = records.find(changed(frame={"components/runtime/step.py": "2"}, python="3.13.0"))
    assert found.dependencies.python == "3.10.1"


def test_a_step_is_compared_with_the_nearest_earlier_one(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.save(changed(parameters={"epochs": "20"}), "models/b", "run 2")
    records.save(changed(parameters={"epochs": "30"}, inputs={"dataset": "c"}), "models/c", "run 3")
    assert records.why(STEP) == "train.epochs 20 -> 10"
    assert reasons(STEP, []) == "never run"


def test_a_damaged_record_is_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = Records(tmp_path)
    records.save(STEP, "models/a", "run 1")
    (path,) = tmp_path.glob("train/*.json")
    path.write_text(path.read_text()[:40])
    with caplog.at_level(logging.WARNING):
        assert records.find(STEP) is None
    assert f"ignoring the damaged cache record {path}" in caplog.text


def written(**parts: Any) -> dict[str, Any]:
    """A record as it is written, with some parts of its dependencies replaced."""
    described = dataclasses.asdict(STEP) | parts
    return {"reference": "a", "run": "b", "finished": "c", "dependencies": described}


SHAPES = {
    "list": [],
    "number": 3,
    "null": None,
    "text": "text",
    "empty": {},
    "missing": {"reference": "a", "run": "b", "dependencies": dataclasses.asdict(STEP)},
    "extra": written() | {"more": "d"},
    "reference": written() | {"reference": 3},
    "dependencies": written() | {"dependencies": [1]},
    "no dependencies": written() | {"dependencies": None},
    "parameters": written(parameters=[["epochs", "10"]]),
    "value": written(parameters={"epochs": 10}),
    "nested": written(source={"a": {"b": "c"}}),
    "stage": written(stage=None),
    "extra part": written(more={}),
    "other step": written(parameters={"epochs": "11"}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_record_of_another_shape_is_ignored_with_a_warning(
    shape: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = Records(tmp_path)
    records.save(STEP, "models/a", "run 1")
    (path,) = tmp_path.glob("train/*.json")
    path.write_text(json.dumps(SHAPES[shape]))
    assert records.find(STEP) is None
    assert f"ignoring the damaged cache record {path}" in caplog.text
    if shape != "other step":
        assert records.why(STEP) == "never run"


def task(described: Any) -> Any:
    """A finished step's task, as far as its record is read."""
    return SimpleNamespace(
        id="1",
        parent="2",
        data=SimpleNamespace(completed="now"),
        get_configuration_object=lambda name: described,
        get_parameters=lambda: {"return/model": "models/a", "kwargs/epochs": "10"},
    )


@pytest.mark.parametrize("shape", [*SHAPES, "deep", "none", "no JSON"])
def test_a_task_with_a_record_of_another_shape_is_ignored_with_a_warning(
    shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    if shape == "other step":
        return  # a record as good as any
    texts = {"deep": "[" * 100_000, "none": None, "no JSON": "{"}
    content = SHAPES.get(shape)
    part = content.get("dependencies") if isinstance(content, dict) else content
    if part == dataclasses.asdict(STEP):
        part |= {"more": {}}
    if isinstance(part, dict):
        part = part | {"arguments": {"epochs": "10"}}
    assert server._record(task(texts.get(shape, json.dumps(part)))) is None
    assert "ignoring step 1: its record of dependencies can't be read" in caplog.text


def test_a_good_task_is_a_record() -> None:
    described = dataclasses.asdict(STEP) | {"arguments": {"epochs": "10"}}
    record = server._record(task(json.dumps(described)))
    assert record == Record(STEP, "models/a", run="2", finished="now")
    edited = described | {"arguments": {"epochs": "11"}}
    assert server._record(task(json.dumps(edited))) is None


def test_the_source_of_a_stage_is_found_from_its_imports() -> None:
    files = fingerprint.source_files("train")
    assert "components/train/fit.py" in files
    assert "components/imaging/dataloader.py" in files  # through fit
    others = ("components/ingest", "components/runtime", "pipelines")
    assert not [name for name in files if name.startswith(others)]
    assert "components/runtime/schema.py" in fingerprint.step_files("train")
    assert "components/evaluate/report.html.jinja" in fingerprint.source_files("evaluate")


def test_the_code_that_a_step_runs_is_planned_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_local", None)  # offline a step is this process
    planned = fingerprint.dependencies("train", {}, {})
    assert set(planned.source) == set(fingerprint.source_files("train"))
    assert set(planned.source) | set(planned.frame) >= set(fingerprint.step_files("train"))
    assert not set(planned.source) & set(planned.frame)


def test_the_format_of_published_bytes_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint.dependencies("ingest", {}, {})
    monkeypatch.setattr(environment, "FORMAT", environment.FORMAT + 1)
    after = fingerprint.dependencies("ingest", {}, {})
    assert after.fingerprint != before.fingerprint
    assert after.changes(before) == [
        f"components.runtime FORMAT {environment.FORMAT - 1} -> {environment.FORMAT}"
    ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of one stage; its files by hand."""
    folder = tmp_path / "components"
    for name in (
        "__init__",
        "one/__init__",
        "one/component",
        "one/work",
        "one/page",
        "one/deep/__init__",
        "one/deep/down",
        "imaging/__init__",
        "imaging/decoding",
        "imaging/unused",
        "runtime/__init__",
        "runtime/files",
        "runtime/more",
    ):
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (folder / "one" / "requirements.txt").write_text("")
    monkeypatch.setattr(source, "ROOT", tmp_path)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    fingerprint.source_files.cache_clear()
    yield folder
    fingerprint.source_files.cache_clear()


IMPORTS = {
    "import components.one.work": "one/work",
    "import components.one.work as w": "one/work",
    "import json, components.one.work as w, sys": "one/work",
    "from components.one import work": "one/work",
    "from components.one import page as p, work as w": "one/work",
    "from components.one import (\n    page,\n    work,  # why\n)": "one/work",
    "from components.one.work import f": "one/work",
    "from components.one.work import *": "one/work",
    "from . import work": "one/work",
    "from . import page, work as w": "one/work",
    "from .work import f": "one/work",
    "from .deep.down import f": "one/deep/down",
    "from .deep import (down as d,)": "one/deep/down",
    "from ..imaging import decoding": "imaging/decoding",
    "from ..imaging.decoding import f": "imaging/decoding",
    "from .. imaging . decoding import f": "imaging/decoding",
    "from components.imaging \\\n    import decoding": "imaging/decoding",
    "def f():\n    from components.imaging import decoding": "imaging/decoding",
    "if True: from components.imaging import decoding": "imaging/decoding",
    "x = 1; import components.imaging.decoding; y = 2": "imaging/decoding",
    "try: import components.imaging.decoding\nexcept ImportError: pass": "imaging/decoding",
    "class A:\n  import components.imaging.decoding": "imaging/decoding",
    "async def f(): import components.imaging.decoding": "imaging/decoding",
    "def f(x=lambda: 1, *, y: int = 2) -> int: import components.imaging.decoding": (
        "imaging/decoding"
    ),
    "import importlib\nimportlib.import_module('components.imaging.decoding')": "imaging/decoding",
    "f = __import__('components.imaging.decoding', fromlist=['g'])": "imaging/decoding",
}


@pytest.mark.parametrize("text", IMPORTS)
def test_every_kind_of_import_is_followed(text: str, project: Path) -> None:
    (project / "one" / "component.py").write_text(f"{text}\n")
    (project / "runtime" / "more.py").write_text("from components.imaging import unused")
    found = fingerprint.source_files("one")
    assert f"components/{IMPORTS[text]}.py" in found
    assert "components/__init__.py" in found
    assert not {"components/imaging/unused.py", "components/one/page.py"} & set(found)


@pytest.mark.parametrize(
    "text",
    [
        "# import components.one.work",
        "'import components.one.work'",
        "x = 'from components.one import work'",
        "from components.runtime import files",
        "from ..runtime.files import f",
        "def f():\n    yield from components.one.work",
        "raise E from components.one.work",
    ],
)
def test_what_is_no_import_of_the_stage_is_not_followed(text: str, project: Path) -> None:
    (project / "one" / "component.py").write_text(f"{text}\n")
    mine = ("__init__.py", "one/__init__.py", "one/component.py")
    assert set(fingerprint.source_files("one")) == {f"components/{name}" for name in mine}


def test_an_import_is_followed_from_a_file_that_is_imported(project: Path) -> None:
    (project / "one" / "component.py").write_text("from .deep import down")
    (project / "one" / "deep" / "down.py").write_text("from ...imaging import decoding")
    (project / "imaging" / "decoding.py").write_text("import numpy, PIL.Image")
    found = fingerprint.source_files("one")
    assert "components/imaging/decoding.py" in found
    assert fingerprint.packages_of(found) == {"numpy", "pillow"}


def test_templates_count_wherever_they_lie(project: Path) -> None:
    mine = ("report.html.jinja", "pages/foot.jinja", "pages/more/style.css", "deep/words.json")
    for name in (*mine, ".hidden", "__pycache__/component.cpython-311.pyc"):
        path = project / "one" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    for name in ("table.csv", "of others.csv"):
        (project / "imaging" / name).write_text("")
    (project / "imaging" / "decoding.py").write_text('TABLE = "table.csv"')
    names = {name for name in fingerprint.source_files("one") if not name.endswith(".py")}
    assert names == {f"components/one/{name}" for name in mine}
    (project / "one" / "component.py").write_text("from ..imaging import decoding")
    fingerprint.source_files.cache_clear()
    source._read.cache_clear()
    assert "components/imaging/table.csv" in fingerprint.source_files("one")
    assert "components/imaging/of others.csv" not in fingerprint.source_files("one")
    (project / "one" / "pages" / "foot.jinja").write_text("other")
    before = source.source_hash("components/one/pages/foot.jinja")
    (project / "one" / "pages" / "foot.jinja").write_text("another")
    assert source.source_hash("components/one/pages/foot.jinja") != before


def test_only_a_stage_that_computes_depends_on_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "false")
    for stage, counts in (("preprocess", False), ("train", True), ("evaluate", True)):
        known = fingerprint.dependencies(stage, {}, {}).environment
        assert known.get("TF_ENABLE_ONEDNN_OPTS") == ("0" if counts else None)


def test_the_packages_of_a_stage_are_found_from_its_imports() -> None:
    assert "tensorflow" in fingerprint.packages_of(fingerprint.source_files("train"))
    assert "pillow" in fingerprint.packages_of(fingerprint.source_files("ingest"))
    assert "tensorflow" not in fingerprint.packages_of(fingerprint.source_files("preprocess"))


def test_every_package_is_known_by_the_name_it_is_installed_under() -> None:
    installed = {
        distribution.metadata["Name"].lower().replace("_", "-")
        for distribution in importlib.metadata.distributions()
    }
    for stage in STAGES:
        assert fingerprint.packages_of(fingerprint.source_files(stage.name)) <= installed


def test_what_is_not_installed_here_counts_as_the_agents_would_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that a controller without TensorFlow finds what a laptop with it has trained."""
    here = fingerprint.dependencies("train", {}, {}).packages

    def version(name: str) -> str:
        if name in ("tensorflow", "keras"):
            raise importlib.metadata.PackageNotFoundError(name)
        return here[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    lock = (source.ROOT / "requirements.lock").read_text()
    packages = fingerprint.dependencies("train", {}, {}).packages
    assert packages.keys() == here.keys()
    assert f"tensorflow=={packages['tensorflow']}\n" in lock
    assert f"keras=={packages['keras']} " in lock


def test_the_style_of_pages_retrains_nothing() -> None:
    assert "components/imaging/style.css" in fingerprint.source_files("evaluate")
    assert "components/imaging/style.css" not in fingerprint.source_files("train")
