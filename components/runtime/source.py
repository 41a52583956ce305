"""The project's own source: what a file says, and which files it imports."""

from __future__ import annotations

import functools
import hashlib
import io
import tokenize
from collections.abc import Callable, Mapping
from pathlib import Path

from components.runtime import tokens

ROOT = Path(__file__).parents[2]
PROJECT_PACKAGES = ("components",)


def source_hash(path: str) -> str:
    """A hash of a file below the root: of a Python file without comments, docstrings and layout."""
    file = ROOT / path
    return _read(file)[0] if file.suffix == ".py" else _hash(file.read_bytes())


def imported_names(file: Path) -> tuple[str, ...]:
    """Every dotted name that a Python file of the project imports, wherever in the file."""
    return _read(file)[1]


@functools.cache
def _read(file: Path) -> tuple[str, tuple[str, ...]]:
    """Hash and imported names of a Python file, which is read once in a process."""
    told, names = _told(file.read_bytes())
    return told, tuple(_absolute(name, file) if name[0] == "." else name for name in names)


@functools.cache
def _told(content: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = io.TextIOWrapper(io.BytesIO(content), encoding).read()
        words = tokens.words(text)
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError):
        return _hash(content), ()  # Python will say what is wrong, if it comes to run it
    return _hash("\n".join(words).encode()), tuple(tokens.imports(words))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _absolute(name: str, file: Path) -> str:
    """The whole name of a relative import."""
    bare = name.lstrip(".")
    folder = file.parents[len(name) - len(bare) - 1]
    return ".".join((*folder.relative_to(ROOT).parts, bare))


def followed(module: str, leave_out: Callable[[str], bool] = lambda _: False) -> set[str]:
    """The project's files, relative to the root, that importing `module` runs.

    `leave_out` tells of a file whether it, and what it imports, is not followed.
    """
    found: set[str] = set()
    waiting = _files_of(module)
    while waiting:
        file = waiting.pop()
        path = file.relative_to(ROOT).as_posix()
        if path not in found and not leave_out(path):
            found.add(path)
            for name in imported_names(file):
                waiting += _files_of(name)
    return found


def _files_of(name: str) -> list[Path]:
    """The files that importing the dotted `name` runs; none when it is not the project's."""
    parts = name.split(".")
    if parts[0] not in PROJECT_PACKAGES:
        return []
    files = []
    for count in range(1, len(parts) + 1):
        base = ROOT.joinpath(*parts[:count])
        files += [
            path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()
        ]
    return files


def differing(expected: Mapping[str, str]) -> list[str]:
    """The files, of those in `expected`, that are missing here or have another hash."""
    return [
        path
        for path, known in sorted(expected.items())
        if not (ROOT / path).is_file() or source_hash(path) != known
    ]
