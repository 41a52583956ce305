"""Who may import whom: read from the source of every module."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from pipelines.engine.parameters import STAGES
from pipelines.engine.parts import PART, SOURCE

ROOT = Path(__file__).parent.parent
PARTS = ("components", "pipelines")
MODULES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
KNOW_CLEARML = ("component.py", "part.py", "step.py", "reporting.py")
BRINGS_TENSORFLOW = ("dataloader.py", "framework.py")


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    """Dotted names that a module imports, in functions too unless told otherwise."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports break the shipped step"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    module = name_of(path)
    names = imports(path)
    packages = {name.split(".")[0] for name in names}
    if module.startswith("components/"):
        assert "pipelines" not in packages
        assert not packages & {"hydra", "omegaconf"}
        stage = module.split("/")[1] if module.split("/")[1] in STAGES else None
        others = [s for s in STAGES if s != stage]
        for name in names:
            assert not any(name.startswith(f"components.{other}") for other in others), name
        if not (path.name in KNOW_CLEARML or "/stores/" in module):
            assert "clearml" not in packages
        if stage not in ("train", "evaluate") and path.name not in BRINGS_TENSORFLOW:
            assert not packages & {"tensorflow", "keras"}


def test_the_parameters_of_a_stage_import_nothing_but_the_schema() -> None:
    for stage in STAGES:
        names = imports(ROOT / "components" / stage / "parameters.py")
        assert {name.split(".")[0] for name in names} <= {"__future__", "dataclasses", "components"}
        assert all(
            name.startswith("components.runtime.schema") for name in names if "components" in name
        )


def test_what_runs_before_the_mode_is_known_brings_nothing_heavy() -> None:
    heavy = {"clearml", "tensorflow", "keras", "sklearn", "matplotlib", "numpy", "PIL"}
    for module in ("pets_pipeline", "engine/parameters", "engine/modes"):
        names = imports(ROOT / "pipelines" / f"{module}.py", top_level_only=True)
        assert not {name.split(".")[0] for name in names} & heavy


@pytest.mark.parametrize(
    ("module", "name"),
    [*((f"{stage}/component.py", stage) for stage in STAGES), (SOURCE, PART)],
)
def test_a_component_can_be_shipped(module: str, name: str) -> None:
    path = ROOT / "components" / module.removeprefix("components/")
    tree = ast.parse(path.read_text())
    assert "__future__.annotations" not in imports(path)
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert function.name == name
    assert ast.unparse(function.decorator_list[0]).startswith("PipelineDecorator.component(")
    assert not function.args.kwonlyargs


def test_no_module_beside_the_entry_hides_one_of_the_standard_library() -> None:
    """Python puts the folder of a script first on its path."""
    names = {path.stem for path in (ROOT / "pipelines").glob("*.py")}
    assert not names & set(sys.stdlib_module_names)
