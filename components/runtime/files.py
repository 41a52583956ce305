"""Files by names of any bytes, never seen half-written; and folders that are sealed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

SEAL = "sealed.json"  # what every other file of a published folder was when it was published
CHECKED = ".checked.json"  # when a file was last found to be as sealed; no part of the seal
Stamp = tuple[int, ...]  # size, inode, times of last writing and last change (ns)
TICK = 2e9  # ns: a file that changed less long ago may change again without another time stamp


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    digest = hashlib.sha256()  # not `hashlib.file_digest`, which Python 3.10 has not
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary path to write, which becomes `path` in one move if nothing fails."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
    """Write JSON whole or not at all."""
    with written(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def copy(source: Path, target: Path) -> None:
    """A copy, whole or not at all, that can be written without touching the source."""
    with written(target) as temporary:
        shutil.copyfile(source, temporary)


def seal(folder: Path, content: str, apart: tuple[str, ...]) -> str:
    """Write down what every file of the folder is; returns the version, 64 hex digits.

    The version covers the name and bytes of each file but for those `apart`, files or folders that
    differ at each making; empty `content` is the version.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in (SEAL, CHECKED):
            name = path.relative_to(folder).as_posix()
            files[name] = {"bytes": path.stat().st_size, "sha256": file_hash(path)}
    version = _version(files, list(apart))
    sealed = {"content": content or version, "version": version, "apart": list(apart)}
    write_json(folder / SEAL, sealed | {"files": files})
    return version


def read_seal(folder: Path) -> dict[str, Any]:
    """The seal of a published folder; ValueError when it is damaged, OSError when it is missing."""
    sealed = read_json(folder / SEAL)
    try:
        if _version(sealed["files"], sealed["apart"]) != sealed["version"]:
            raise ValueError("the seal does not fit")
        if not isinstance(sealed["content"], str):
            raise ValueError("no content")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    return sealed


def altered(folder: Path, wanted: Collection[str] = ()) -> str | None:
    """The name of a file, of all or of those `wanted`, that is not as it was published.

    A file whose size and time stamps are those of the last look is not read again.
    """
    try:
        files = read_seal(folder)["files"]
    except (OSError, ValueError):
        return SEAL
    try:
        looked = read_json(folder / CHECKED)
    except (OSError, ValueError):
        looked = {}
    seen = {}
    for name, known in files.items():
        if wanted and name not in wanted:
            seen |= {name: looked[name]} if name in looked else {}
            continue
        try:
            stamp = list(stamp_of((folder / name).stat()))
            if stamp != looked.get(name) and (
                stamp[0] != known["bytes"] or file_hash(folder / name) != known["sha256"]
            ):
                return name
        except (OSError, KeyError, TypeError):
            return name
        if time.time_ns() - stamp[-1] > TICK:
            seen[name] = stamp
    if seen != looked:
        with contextlib.suppress(OSError):  # a folder that can't be written is read each time
            write_json(folder / CHECKED, seen)
    return None


def _version(files: dict[str, dict[str, Any]], apart: list[str]) -> str:
    counted = {
        name: known["sha256"]
        for name, known in files.items()
        if not any(name == one or name.startswith(f"{one}/") for one in apart)
    }
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def stamp_of(status: os.stat_result) -> Stamp:
    """What changes with a file: the time of its last change (ns) is the last."""
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def protect(folder: Path, like: Path) -> None:
    """Make files read-only, and give folders the permissions of the folder `like`."""
    usual = like.stat().st_mode & 0o777
    for path in [folder, *folder.rglob("*")]:
        path.chmod(usual if path.is_dir() else usual & 0o444)
