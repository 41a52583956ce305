"""Who may import whom: read from the source of every module."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from components.runtime.environment import NO_RESULT, VARIABLES
from pipelines.stages import STAGES

ROOT = Path(__file__).parent.parent
PARTS = ("components", "pipelines")
MODULES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
NAMES = tuple(stage.name for stage in STAGES)
COMPONENTS = [
    path for name in NAMES for path in sorted((ROOT / "components" / name).glob("*.py"))
    if path.name in ("component.py", "part.py")
]  # fmt: skip
BRINGS_TENSORFLOW = ("dataloader.py", "framework.py", "classifier.py")

SHARED = ("components.imaging", "components.networks", "components.runtime")

# What of ours each room may import, besides itself; the longest beginning counts.
ROOMS = {
    "components/runtime": (),
    "components/imaging": ("components.runtime",),
    "components/networks": ("components.imaging", "components.runtime"),
    "components": SHARED,  # stages: never each other
    "components/export": (*SHARED, "components.predict"),
    "pipelines/engine": ("components.runtime",),
    "pipelines/sweeps": ("components.runtime", "pipelines.engine"),
    "pipelines/retraining": ("components.runtime", "pipelines.engine"),
    "pipelines": ("components", "pipelines"),  # the table, the DAG, and the commands
}


DECIDES = sorted(  # what fingerprints follow
    path
    for name in (*NAMES, "imaging", "networks")
    for path in (ROOT / "components" / name).rglob("*.py")
)
HIDE_IMPORTS = {"builtins", "code", "codeop", "imp", "pkgutil", "runpy", "zipimport"}
RUN_TEXT = {"eval", "exec", "compile", "__import__", "import_module"}
READ_VARIABLES = {"environ", "environb", "getenv", "getenvb", "expandvars"}
DECLARED = {*VARIABLES, *NO_RESULT}


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    """Dotted names that a module imports, in functions and for types too unless told otherwise."""
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


def room_of(module: str) -> tuple[str, str]:
    """The rule that counts for a module, and its own folder as a dotted name."""
    rule = max((room for room in ROOMS if module.startswith(f"{room}/")), key=len)
    folder = "/".join(module.split("/")[:2]) if rule == "components" else rule
    return rule, folder.replace("/", ".")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    module, names = name_of(path), imports(path)
    rule, own = room_of(module)
    for name in names:
        if name.split(".")[0] in PARTS and f"{own}." not in f"{name}.":
            assert name.startswith(ROOMS[rule]) and ROOMS[rule], f"{module} imports {name}"
    packages = {name.split(".")[0] for name in names}
    if module.startswith("components/"):
        assert not packages & {"hydra", "omegaconf"}
        if not (path in COMPONENTS or module.startswith("components/runtime/")):
            assert "clearml" not in packages
        with_tensorflow = ("networks", "features", "train", "evaluate", "predict", "export")
        if module.split("/")[1] not in with_tensorflow and path.name not in BRINGS_TENSORFLOW:
            assert not packages & {"tensorflow", "keras"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    files = {name_of(path).removesuffix(".py").replace("/", "."): path for path in MODULES}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}

    def module(name: str) -> str:
        return name if name in files else name.rpartition(".")[0]

    needs = {name: {module(one) for one in imports(path)} & files.keys() - {name}
             for name, path in files.items()}  # fmt: skip
    while free := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in free:
            del needs[name]
    assert not needs


def test_the_engine_knows_no_stage_by_name() -> None:
    words = re.compile(rf"""["']({"|".join(NAMES)})["']""")
    for path in sorted((ROOT / "pipelines" / "engine").rglob("*.py")):
        assert not words.findall(path.read_text()), path


def test_the_parameters_of_a_stage_import_nothing_but_the_schema() -> None:
    for room in (*NAMES, "networks"):
        names = imports(ROOT / "components" / room / "parameters.py")
        assert {name.split(".")[0] for name in names} <= {"__future__", "dataclasses", "components"}
        ours = [name for name in names if "components" in name]
        schemas = ("components.runtime.schema", "components.networks.parameters")
        assert all(name.startswith(schemas) for name in ours)


def test_what_runs_before_the_mode_is_known_brings_nothing_heavy() -> None:
    heavy = {"clearml", "tensorflow", "keras", "sklearn", "matplotlib", "numpy", "PIL"}
    for module in ("pets_pipeline", "stages", "dag", "engine/parameters", "engine/modes"):
        names = imports(ROOT / "pipelines" / f"{module}.py", top_level_only=True)
        assert not {name.split(".")[0] for name in names} & heavy


@pytest.mark.parametrize("path", COMPONENTS, ids=name_of)
def test_a_component_can_be_shipped(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert "__future__.annotations" not in imports(path)
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    suffix = "_part" if path.name == "part.py" else ""
    assert function.name == f"{path.parent.name}{suffix}"
    assert ast.unparse(function.decorator_list[0]).startswith("PipelineDecorator.component(")
    assert not function.args.kwonlyargs


def test_only_the_component_and_the_table_show_a_stage_s_page() -> None:
    """A page decides no result, so it is not in the fingerprint: nothing may compute with it."""
    for path in MODULES:
        if path.name not in ("component.py", "page.py"):
            pages = [n for n in imports(path) if re.match(r"components\.\w+\.page(\.|$)", n)]
            assert not pages, path


def test_no_function_is_long() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{name_of(path)}: {node.name}"


def test_no_module_beside_the_entry_hides_one_of_the_standard_library() -> None:
    """Python puts the folder of a script first on its path."""
    names = {path.stem for path in (ROOT / "pipelines").glob("*.py")}
    assert not names & set(sys.stdlib_module_names)


def unfollowed(text: str) -> list[str]:
    """What a fingerprint can't follow in a Python text: code by a computed name, the environment.

    A module by its literal name is followed, a declared variable is in the fingerprint.
    """
    tree = ast.parse(text)
    literal = set()  # the nodes that name what they bring
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call | ast.Subscript):
            literal |= _named(node)
    for node in ast.walk(tree):
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
        plain = isinstance(node, ast.Name) or name == "import_module"
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in HIDE_IMPORTS]
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            kept = {alias.name for alias in node.names if not alias.asname}
            hidden = (names & (RUN_TEXT - kept | READ_VARIABLES)) | (names & {"*"})
            found += [*hidden, *({node.module} & HIDE_IMPORTS)]
            found += ["importlib"] if node.module == "importlib.util" else []
        elif (plain and name in RUN_TEXT) or name in READ_VARIABLES:
            found += [] if node in literal else [name]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "sys.path",
            "importlib.util",
            "importlib.machinery",
        ):
            found.append(ast.unparse(node))
    return found


def _named(node: ast.Call | ast.Subscript) -> set[ast.AST]:
    """The nodes by which a call or a look-up brings something that it names in so many words."""
    called = node.func if isinstance(node, ast.Call) else node.value
    first = node.args[:1] if isinstance(node, ast.Call) else [node.slice]
    if not first or not isinstance(first[0], ast.Constant) or not isinstance(first[0].value, str):
        return set()
    text, name = first[0].value, getattr(called, "attr", getattr(called, "id", ""))
    if name in ("__import__", "import_module"):
        return set() if text.startswith(".") else {called}
    if text not in DECLARED:
        return set()
    return {called} if name == "getenv" else {getattr(called, "value", None), called}


@pytest.mark.parametrize("path", DECIDES, ids=name_of)
def test_a_stage_brings_nothing_that_its_fingerprint_does_not_follow(path: Path) -> None:
    assert not unfollowed(path.read_text()), (
        "make it a parameter of the stage, import it by its name, or declare the variable in "
        "components/runtime/environment.py"
    )


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nimportlib.import_module(name)",
        "import importlib as i\ni.import_module('components.' + name)",
        "import importlib\nimportlib.import_module('.work', __package__)",
        "from importlib import import_module\nimport_module(f'a.{b}')",
        "from importlib import import_module as load\nload('a')",
        "import importlib\nload = importlib.import_module\nload('a')",
        "import importlib.util\nimportlib.util.spec_from_file_location('a', path)",
        "from importlib.util import spec_from_file_location",
        "__import__(name)",
        "load = __import__",
        "exec(text)",
        "eval('1 + 1')",
        "exec(compile(text, 'a', 'exec'))",
        "import builtins\nbuiltins.exec(text)",
        "from builtins import exec as e",
        "import runpy\nrunpy.run_path('a.py')",
        "from pkgutil import resolve_name",
        "from components.imaging import *",
        "import sys\nsys.path.insert(0, folder)",
        "import os\nos.environ['MINE']",
        "import os\nos.environ.get('MINE', '1')",
        "import os\nos.environ[name]",
        "import os\nos.getenv('MINE')",
        "import os\nos.getenv(name)",
        "import os as o\no.environ.get('MINE')",
        "from os import environ",
        "from os import getenv as g",
        "import os\nsettings = dict(os.environ)",
        "import os\n'MINE' in os.environ",
        "import os\nread(os.environ)",
        "import os\nos.path.expandvars('$MINE')",
    ],
)
def test_what_a_fingerprint_does_not_follow_is_found(text: str) -> None:
    assert unfollowed(text)


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nimportlib.import_module('components.train.fit')",
        "from importlib import import_module\nimport_module('components.train.fit')",
        "__import__('components.train.fit')",
        "import importlib.metadata\nimportlib.metadata.version('keras')",
        "import os\nos.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')",
        "import os\nos.environ['TF_ENABLE_ONEDNN_OPTS']",
        "import os\nos.getenv('KERAS_BACKEND')",
        "import re\nre.compile('a')\nmodel.compile(optimizer)\nmodel.eval()",
    ],
)
def test_what_a_fingerprint_follows_is_allowed(text: str) -> None:
    assert not unfollowed(text)
