"""The source that a stage runs, told apart by what it says to Python."""

from __future__ import annotations

import ast
import functools
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARSE_ATTEMPTS = 50


def parse(file: Path) -> ast.Module:
    """The syntax tree of a Python file.

    CPython 3.11.7 raised SystemError ("AST constructor recursion depth mismatch") here once: it
    keeps one depth for all threads, and ClearML parses in a thread of its own. So try again.
    """
    text = file.read_text(encoding="utf-8")
    for _ in range(PARSE_ATTEMPTS - 1):
        try:
            return ast.parse(text)
        except SystemError:
            time.sleep(0.01)
    return ast.parse(text)


class _Bare(ast.NodeTransformer):
    """Drops docstrings and other lone strings, which say something only to people."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [statement for statement in body if not _is_lone_string(statement)] or [
                ast.Pass()
            ]
        return node


def _is_lone_string(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@functools.cache
def source_hash(path: str) -> str:
    """A hash of a file below the root: of a Python file without comments, docstrings and layout."""
    file = ROOT / path
    if file.suffix == ".py":
        tree = _Bare().visit(parse(file))
        content = ast.unparse(tree).encode()
    else:
        content = file.read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]


def differing(expected: Mapping[str, str]) -> list[str]:
    """The files, of those in `expected`, that are missing here or have another hash."""
    return [
        path
        for path, known in sorted(expected.items())
        if not (ROOT / path).is_file() or source_hash(path) != known
    ]
