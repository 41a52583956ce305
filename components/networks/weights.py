"""The weights that a training starts from: published ones, a file, or a model made earlier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from components.runtime.hashes import known_file_hash
from components.runtime.schema import BadInput

IMAGENET = "imagenet"  # published ones, which Keras downloads


def find_weights(weights: str, fetch: Callable[[str], Path] | None = None) -> Path:
    """The file behind `train.weights`; `fetch` finds that of a model by its reference."""
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    problem = "there is no such file"
    if fetch and not path.suffix:
        try:
            return fetch(weights)
        except BadInput as error:
            problem = f"there is no such file or model ({error})"
    raise BadInput(f"train.weights={weights}: {problem}; give imagenet, another file or null")


def content(weights: str | None, scratch: Path | None = None) -> str | None:
    """The sha256 of a file, whose name alone does not tell what is in it; None for all else.

    A reference tells: what is behind it never changes.
    """
    path = Path(weights).expanduser() if weights else None
    return known_file_hash(path, scratch) if path and path.is_file() else None
