"""Every file below a folder: what is a photo is told by its bytes, not here.

One walker for all who look for photos, so that they agree on links, hidden files, and the folders
that machines make beside people's own.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from components.runtime.files import as_text, stamp_of
from components.runtime.schema import BadInput

# Folders of archivers, recycle bins, file systems, network storage and tools, in lower case; those
# that begin with a dot are hidden anyway.
MACHINE_MADE = frozenset(
    {
        "__macosx", "network trash folder", "temporary items", "ipod photo cache",  # macOS
        "$recycle.bin", "recycler", "system volume information", "$extend",  # Windows
        "lost+found", "thumbnails", "_thumbnails", "_thumbs", "__thumbs", "__thumbnails",
        "@eadir", "#recycle", "#snapshot", "@snapshot", "@tmp", "@sharebin",  # Synology
        "@recycle", "@recently-snapshot", "@__thumb", "@transcode",  # QNAP
        "_gsdata_", "__pycache__", "node_modules", "_vti_cnf",
    }
)  # fmt: skip
NUMBERED = re.compile(r"found\.\d{3}|trash-\d+|.*\.lrdata")  # chkdsk, file managers, Lightroom


class Found(NamedTuple):
    """A file below a folder; nobody has looked into it."""

    path: str  # posix, below the folder; bytes that are not UTF-8 are surrogates
    size: int = 0  # bytes
    problem: str = ""  # why it can't be read; empty: nothing known against it
    stamp: tuple[int, ...] = ()  # what changes with it


class Walk(NamedTuple):
    """What a folder holds."""

    files: list[Found]  # in the order of their paths, folder by folder
    set_aside: list[str]  # folders that are hidden or made by machines, not entered
    empty: list[str]  # folders without a file in them or below


def hidden(name: str) -> bool:
    """Whether people do not see a file or folder of that name."""
    return name.startswith(".") and name != ".."


def set_aside(path: str) -> str:
    """The outermost folder above `path` that is hidden or made by a machine; empty: none is."""
    folders = path.split("/")[:-1]
    places = (place for place, name in enumerate(folders, 1) if _not_entered(name))
    return "/".join(folders[: next(places, 0)])


def visible(path: str) -> bool:
    """Whether nothing on the path is hidden or made by a machine."""
    return not set_aside(path) and not hidden(path.rpartition("/")[2])


def walk(root: str | os.PathLike[str]) -> Walk:
    """All visible files below `root`; linked folders once each, without loops.

    BadInput when a folder can't be read.
    """
    result = Walk([], [], [])
    folders: set[str] = set()
    seen: set[tuple[int, int]] = set()
    waiting = [("", os.fsencode(root))]  # no recursion: folders may be deeper than Python calls
    try:
        while waiting:
            prefix, folder = waiting.pop()
            status = os.stat(folder)  # noqa: PTH116  a Path is text
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                folders.add(prefix.removesuffix("/"))
                waiting += sorted(_enter(folder, prefix, result), reverse=True)
    except OSError as error:
        name = as_text(os.fsencode(error.filename or root))
        raise BadInput(f"{name}: cannot be read: {error.strerror}") from error
    result.files.sort(key=lambda file: file.path.split("/"))
    result.set_aside.sort()
    for file in result.files:
        parent = file.path.rpartition("/")[0]
        while parent in folders:
            folders.remove(parent)
            parent = parent.rpartition("/")[0]
    result.empty.extend(sorted(folders - {""}))
    return result


def _enter(folder: bytes, prefix: str, result: Walk) -> list[tuple[str, bytes]]:
    """Adds what is directly in a folder; the folders there that are still to be entered."""
    inner = []
    with os.scandir(folder) as listing:
        for entry in listing:
            name = as_text(entry.name)
            path = prefix + name
            try:
                if entry.is_dir():
                    if _not_entered(name):
                        result.set_aside.append(path)
                    else:
                        inner.append((f"{path}/", entry.path))
                elif not hidden(name) and entry.is_file():
                    status = entry.stat()
                    result.files.append(Found(path, status.st_size, stamp=stamp_of(status)))
                elif not hidden(name):
                    result.files.append(Found(path, problem="not a file"))
            except OSError as error:  # a link to itself, or gone in the meantime
                result.files.append(Found(path, problem=f"cannot be read: {error.strerror}"))
    return inner


def _not_entered(name: str) -> bool:
    lower = name.casefold()
    return hidden(name) or lower in MACHINE_MADE or bool(NUMBERED.fullmatch(lower))
