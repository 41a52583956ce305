"""What counts as a change of a Python file: the same for every version of Python."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.runtime import source, tokens
from pipelines.engine import fingerprint
from pipelines.stages import STAGES
from tests.conftest import ROOT

VERSIONS = ("3.10", "3.11", "3.12", "3.13")

SAME = {
    "comments and layout": (
        "def f(a):\n    return a + 1\n",
        "# why\ndef f( a ):\n\n  return a+1  # one\n",
    ),
    "docstrings": (
        "def f(a):\n    return a + 1\n",
        '"""About."""\ndef f(a):\n    """Adds one."""\n    return a + 1\n',
    ),
    "lone strings": ("a = 1\nb = 2\n", "a = 1\n'''about a'''\nb = 2\n'about b'\n"),
    "only a docstring": (
        "class E(Exception):\n    pass\n",
        'class E(Exception):\n    """An E."""\n',
    ),
    "nothing": ("", "# nothing\n\n'''nothing'''"),
    "quotes": ("a = 'b', \"it's\"\n", "a = \"b\", 'it\\'s'\n"),
    "raw string": ("a = r'\\d'\n", 'a = r"\\d"\n'),
    "bytes": ("a = b'b'\n", 'a = b"b"\n'),
    "lines of a string": ('a = """b\nc"""\n', "a = '''b\nc'''\n"),
    "f-string": ("a = f'{b + 1}c'\n", "a = \\\n  f'{b + 1}c'\n"),
    "continued line": ("a = b + c\n", "a = b + \\\n    c\n"),
    "lines in brackets": ("f(a, [b])\n", "f(\n    a, # one\n    [b]\n)\n"),
    "tabs and form feeds": ("if a:\n    b()\n", "\fif a:\n\tb()\n"),
    "line ends": ("a = '''b\nc'''\nd()\n", "a = '''b\r\nc'''\r\nd()"),
}

OTHER = {
    "number": ("return_ = a + 1\n", "return_ = a + 2\n"),
    "name": ("def f(a): return a\n", "def f(b): return b\n"),
    "tuple of one": ("a = (b)\n", "a = (b,)\n"),
    "index of one": ("a = b[c]\n", "a = b[c,]\n"),
    "lambda or tuple": ("a = (lambda b, c: b)\n", "a = (lambda b, c: b,)\n"),
    "precedence": ("if a in (b or c): d()\n", "if a in b or c: d()\n"),
    "factor": ("a = (b + c) * d\n", "a = b + c * d\n"),
    "power": ("a = -b ** c\n", "a = (-b) ** c\n"),
    "chain": ("a = b < c < d\n", "a = (b < c) < d\n"),
    "generator or tuple": ("a = [b for c in d]\n", "a = [(b for c in d)]\n"),
    "type of a variable": ("class A:\n    b: int = 1\n", "class A:\n    (b): int = 1\n"),
    "type on one line": ("class A: b: int = 1\n", "class A: (b): int = 1\n"),
    "a call": ("a = b\n", "a = b()\n"),
    "argument": ("f((a, b))\n", "f(a, b)\n"),
    "walrus": ("f(a := 1)\n", "f(a=1)\n"),
    "block": ("if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n"),
    "loop": ("for a in b:\n    c()\n    d()\n", "for a in b: c()\nd()\n"),
    "order": ("a()\nb()\n", "b()\na()\n"),
    "space in a string": ("a = 'b c'\n", "a = 'b  c'\n"),
    "bytes or text": ("a = b'b'\n", "a = 'b'\n"),
    "f or plain": ("a = '{b}'\n", "a = f'{b}'\n"),
    "text in an f-string": ("a = f'{b} c'\n", "a = f'{b} d'\n"),
    "format": ("a = f'{b:.2f}'\n", "a = f'{b:.3f}'\n"),
    "conversion": ("a = f'{b!r}'\n", "a = f'{b!s}'\n"),
    "doubled brackets": ("a = f'{{b}}'\n", "a = f'{b}'\n"),
    "nested format": ("a = f'{b:{c}}'\n", "a = f'{b:{d}}'\n"),
    "self-documenting": ("a = f'{b=}'\n", "a = f'{b = }'\n"),
    "lone f-string": ("a()\n", "a()\nf'{b()}'\n"),
    "lines in a string": ("a = '''b'\n+\n'c'''\n", "a = 'b' \\\n+ \\\n'c'\n"),
    "nothing at the end of a line": ("if a: b()\nc()\n", "if a: b(); 'd'; c()\n"),
    "space in an f-string": ("a = f'{b[\"c d\"]}'\n", "a = f'{b[\"c  d\"]}'\n"),
    "raw or not": ("a = '\\n'\n", "a = r'\\n'\n"),
    "a docstring that is used": ("'''a'''\nprint(__doc__)\n", "'''b'''\nprint(__doc__)\n"),
    "decorator": ("@a\ndef f(): b()\n", "def f(): b()\n"),
    "await": ("async def f():\n    await a\n", "async def f():\n    a\n"),
    "import": ("from a import b\n", "from .a import b\n"),
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files are the project's."""
    monkeypatch.setattr(source, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", [*SAME, *OTHER])
def test_only_what_python_reads_counts_as_source(kind: str, written: Path) -> None:
    same = kind in SAME
    for name, text in zip(("a.py", "b.py"), SAME[kind] if same else OTHER[kind], strict=True):
        (written / name).write_bytes(text.encode())
    compile((written / "b.py").read_bytes(), "b.py", "exec")
    assert (source.source_hash("a.py") == source.source_hash("b.py")) is same
    assert source.differing({"a.py": source.source_hash("b.py")}) == ([] if same else ["a.py"])


class Bare(ast.NodeTransformer):
    """Drops what does nothing: docstrings and other lone constants, `pass`."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        node.kind = None
        for name in ("body", "orelse", "finalbody"):
            if isinstance(body := getattr(node, name, None), list):
                kept = [one for one in body if not self._does_nothing(one)]
                filled = body or isinstance(node, ast.Module)
                setattr(node, name, kept or ([ast.Pass()] if filled else []))
        return node

    @staticmethod
    def _does_nothing(one: ast.AST) -> bool:
        lone = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        return lone or isinstance(one, ast.Pass)


PUT_IN = (
    "( ) , : = [ ] { } . ; lambda if else not * ** yield := in for as with async await from import "
    "return match case pass ... 'a' b'a' f'{a}' f'a' 1 x # \\\n \n"
).split(" ")
PUT_AROUND = [("(", ")"), ("(", ",)"), ("[", "]"), ("[", ",]"), ("(lambda a, b: ", ",)")]


def mutants(text: str, chance: random.Random) -> Iterator[str]:
    """The text with some of its parts dropped, replaced or put into brackets."""
    places = [match.span() for match in re.finditer(r"\w+|[^\w\s]|'[^']*'", text)]
    for _ in range(60):
        first = chance.randrange(len(places))
        last = min(len(places) - 1, first + chance.randrange(8))
        start, end = places[first]
        new = chance.choice(["", *PUT_IN])
        yield text[:start] + new + text[end:]
        yield f"{text[:start]}{new} {text[start:]}"
        opening, closing = chance.choice(PUT_AROUND)
        end = places[last][1]
        yield text[:start] + opening + text[start:end] + closing + text[end:]


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_equal_words_mean_equal_trees() -> None:
    """Python's own parser is the judge of thousands of small changes."""
    chance = random.Random(0)
    files = sorted((ROOT / "components").rglob("*.py"))
    texts = [text for pair in (*SAME.values(), *OTHER.values()) for text in pair]
    for file in chance.sample(files, 40):
        text = file.read_text(encoding="utf-8")
        nodes = ast.parse(text).body
        parts = [ast.get_source_segment(text, node) for node in chance.sample(nodes, 1)]
        texts += [part for part in parts if part.count("\n") < 25]
    equal = 0
    for text in filter(str.strip, texts):
        trees: dict[str, tuple[str, str]] = {}
        for mutant in (text, *mutants(text, chance)):
            try:
                tree = ast.dump(Bare().visit(ast.parse(mutant)))
                words = str(tokens.words(mutant))
            except (SyntaxError, ValueError, tokenize.TokenError):
                continue
            known, example = trees.setdefault(words, (tree, mutant))
            equal += example != mutant
            assert known == tree, f"{example}\n{mutant}"
    assert equal > 1000


@pytest.mark.parametrize(
    "content", [b"def f(:\n", b"a = '\n", b"a = (\n", b"\xff\xfe", b"  a\n b\n"]
)
def test_a_file_that_is_no_python_counts_by_its_bytes(content: bytes, written: Path) -> None:
    (written / "a.py").write_bytes(content)
    (written / "b.py").write_bytes(content + b"#")
    assert source.source_hash("a.py") != source.source_hash("b.py")


def test_no_syntax_tree_is_made(written: Path) -> None:
    """CPython 3.11 keeps one depth of its constructor for all threads, and ClearML parses, too."""
    script = (
        "import sys; from components.runtime import source; "
        "source.source_hash('components/runtime/source.py'); sys.exit('ast' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def interpreters() -> dict[str, str]:
    """Version -> path of the other Pythons of this machine, as many as answer."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [str(path) for path in sorted(pyenv.glob("*/bin/python3"))]
    candidates += filter(None, (shutil.which(f"python{version}") for version in VERSIONS))
    found = {}
    for path in candidates:
        words = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        found.setdefault(done.stdout.strip(), path)
    here = "{}.{}".format(*sys.version_info)
    return {version: found[version] for version in VERSIONS if version in found and version != here}


def files_that_differ(python: str, root: Path, expected: dict[str, str]) -> list[str]:
    """What a step with another Python says to the hashes of a driver with this one."""
    script = (
        "import json, pathlib, sys; from components.runtime import source; "
        f"source.ROOT = pathlib.Path({str(root)!r}); "
        "print(json.dumps(source.differing(json.load(sys.stdin))))"
    )
    done = subprocess.run(
        [python, "-c", script],
        input=json.dumps(expected),
        cwd=ROOT,
        env={name: text for name, text in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


NASTY = (ROOT / "tests" / "runtime" / "nasty.txt").read_text(encoding="utf-8")


def test_every_python_reads_the_same_out_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver on one Python, the agent on another."""
    others = interpreters()
    if not others:
        pytest.skip(f"only one of Python {', '.join(VERSIONS)} is on this machine")
    planned = {}
    for stage in (one.name for one in STAGES):
        one = fingerprint.dependencies(stage, {}, {})
        planned |= one.source | one.frame
    repository = {
        path.relative_to(ROOT).as_posix(): ""
        for part in ("components", "pipelines", "tests", "data")
        for path in (ROOT / part).rglob("*.py")
    }
    planned |= {path: source.source_hash(path) for path in repository}
    (tmp_path / "nasty.py").write_text(NASTY, encoding="utf-8")
    texts = [text for pair in (*SAME.values(), *OTHER.values()) for text in pair]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.py").write_bytes(text.encode())
    monkeypatch.setattr(source, "ROOT", tmp_path)
    made_up = {path.name: source.source_hash(path.name) for path in tmp_path.glob("*.py")}
    for python in others.values():
        assert files_that_differ(python, ROOT, planned) == []
        assert files_that_differ(python, tmp_path, made_up) == []


def test_the_nasty_file_is_told_into_words() -> None:
    """Otherwise its bytes would be compared, which proves nothing."""
    words = tokens.words(NASTY)
    assert "\u2118\u00b7\u00e9" in words
    assert "'\\xe9\\\\\\n\\xfc'" in words
    assert len([word for word in words if re.match("fr?['\"]", word)]) == 8
