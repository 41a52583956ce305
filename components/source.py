"""The source that a stage runs, told apart by what it says to Python."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


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
        tree = _Bare().visit(ast.parse(file.read_text(encoding="utf-8")))
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
