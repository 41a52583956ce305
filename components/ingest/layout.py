"""Which class and which ready-made split a file belongs to, by its path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from components.runtime.schema import BadInput

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


class File(NamedTuple):
    """A file that a source has, before anybody looked into it."""

    path: str  # posix, below the source's root
    label: str = ""  # empty: not in a class folder
    split: str = ""  # empty: the source has no ready-made split
    size: int = 0  # bytes
    problem: str = ""  # why it is left out unread; empty: nothing known against it
    place: int = 0  # its number in the archive


def visible(path: str) -> bool:
    """Whether no part of the path is hidden or made by the Mac's archiver."""
    hidden = (part.startswith(".") and part != ".." for part in path.split("/"))
    return not any(hidden) and not path.startswith("__MACOSX/")


def find_labels(paths: Iterable[str], told: str) -> dict[str, tuple[str, str]]:
    """`(label, split)` of each path that lies in a class folder; others are not in the result.

    The classes are the folders of the first level that has more than one, below train, validation
    and test folders when these are there. `told` begins the error when the layout does not work.
    """
    parts = {path: tuple(path.split("/")) for path in paths}
    top: tuple[str, ...] = ()
    folders = _folders(parts.values(), top)
    while len(folders) == 1 and _folders(parts.values(), (*top, *folders)):
        top = (*top, *folders)
        folders = _folders(parts.values(), top)
    ready = {name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES}
    depth = len(top)
    if "train" not in ready.values() or len(set(ready.values())) < 2:
        found = {
            path: (names[depth], "")
            for path, names in parts.items()
            if len(names) > depth + 1 and names[:depth] == top
        }
        _check_classes({label for label, _ in found.values()}, told)
        return found
    found = {
        path: (names[depth + 1], ready[names[depth]])
        for path, names in parts.items()
        if len(names) > depth + 2 and names[:depth] == top and names[depth] in ready
    }
    by_split = {
        name: {label for label, split in found.values() if split == ready[name]} for name in ready
    }
    _check_classes(set().union(*by_split.values()), told)
    (first, classes), *others = sorted(by_split.items(), key=lambda item: ready[item[0]] != "train")
    for name, other in others:
        if other != classes:
            differing = ", ".join(sorted(classes ^ other))
            raise BadInput(
                f"{told}: {first}/ and {name}/ differ in the class folders {differing}; "
                "both need the same ones"
            )
    return found


def _folders(paths: Iterable[tuple[str, ...]], top: tuple[str, ...]) -> set[str]:
    """Names of the folders directly below `top`."""
    depth = len(top)
    return {names[depth] for names in paths if len(names) > depth + 1 and names[:depth] == top}


def _check_classes(classes: set[str], told: str) -> None:
    if len(classes) < 2:
        found = f"one class folder with files, {min(classes)}" if classes else "no class folders"
        raise BadInput(f"{told}: found {found}; it needs a sub-folder with images for each class")
