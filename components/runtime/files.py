"""Files by names of any bytes, and files that are never seen half-written."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def as_text(name: bytes) -> str:
    """A file's name as text, the same in every locale; what is not UTF-8 becomes surrogates."""
    return name.decode("utf-8", "surrogateescape")


def below(root: str | os.PathLike[str], path: str) -> bytes:
    """The file at the posix `path` below `root`, in bytes: text would depend on the locale."""
    return os.path.join(os.fsencode(root), path.encode("utf-8", "surrogateescape"))  # noqa: PTH118


def read_below(root: str | os.PathLike[str], path: str) -> bytes:
    """The bytes of that file; OSError when it can't be read."""
    with open(below(root, path), "rb") as file:  # noqa: PTH123  a Path is text
        return file.read()


def write_json(path: Path, content: Any) -> None:
    """Write JSON under a temporary name and move it to `path`."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
