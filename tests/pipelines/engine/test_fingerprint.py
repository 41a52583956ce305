"""What a step depends on, and the words for why it runs."""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import logging
from pathlib import Path

import pytest

from components.runtime import source
from pipelines.engine import fingerprint
from pipelines.engine.fingerprint import Dependencies, Records, reasons
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


def test_the_source_of_a_stage_is_found_from_its_imports() -> None:
    files = fingerprint.source_files("train")
    assert "components/train/fit.py" in files
    assert "components/imaging/dataloader.py" in files  # through fit
    assert "components/runtime/schema.py" in files
    assert not [name for name in files if name.startswith(("components/ingest", "pipelines"))]


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


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("def f(a):\n    return a + 1\n", True),
        ("# why\ndef f(a):\n\n    return (a +\n            1)  # one\n", True),
        ('"""About."""\ndef f(a):\n    """Adds one."""\n    return a + 1\n', True),
        ("def f(a):\n    return a + 2\n", False),
        ("def f(b):\n    return b + 1\n", False),
    ],
)
def test_only_what_python_reads_counts_as_source(
    text: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("def f(a):\n    return a + 1\n")
    (tmp_path / "b.py").write_text(text)
    source.source_hash.cache_clear()
    assert (source.source_hash("a.py") == source.source_hash("b.py")) is same
    assert source.differing({"a.py": source.source_hash("b.py")}) == ([] if same else ["a.py"])
    source.source_hash.cache_clear()


def test_a_passing_fault_of_the_parser_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPython 3.11.7 had it once in some hundred runs, as ClearML parses in a thread of its own."""
    (tmp_path / "a.py").write_text("a = 1")
    real, faults = ast.parse, [SystemError("AST constructor recursion depth mismatch")] * 2

    def faulty(text: str) -> ast.Module:
        if faults:
            raise faults.pop()
        return real(text)

    monkeypatch.setattr(ast, "parse", faulty)
    assert len(source.parse(tmp_path / "a.py").body) == 1
    assert not faults
