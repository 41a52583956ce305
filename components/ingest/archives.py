"""Zip and tar archives, treated as hostile.

Nothing is written under a name that an archive gives: members are only read into memory, one at a
time, and stored by content. Links, devices and names that point outside are left out; the number of
members and the bytes that they expand to are bounded before and while reading: of a tar the whole
unpacked stream counts, whatever its headers say.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import lzma
import math
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from components.runtime.schema import BadInput

ZIP_END = b"PK\x05\x06"  # end-of-central-directory record, 22 bytes and a comment
ZIP64_END = b"PK\x06\x06"
ZIP_ENTRY = b"PK\x01\x02"
PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open, b"]\0\0": lzma.open}
BLOCK = 1 << 20  # bytes, read at a time
SMALL_BLOCK = 4096  # ... of what zipfile unpacks all at once: LZMA makes up to 30 MB of it
SAYS_UTF8 = 0x800  # flag of a zip's member, about its name
DAMAGE = (
    OSError, EOFError, RuntimeError, NotImplementedError, ValueError,
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError,
)  # fmt: skip


Open = Callable[[], IO[bytes]]


class Limits(NamedTuple):
    """What an archive may hold."""

    max_files: int
    max_gb: float  # of all members, unpacked


class Member(NamedTuple):
    """A file in an archive; its place in the archive is its place in the list."""

    path: str
    size: int  # bytes that it claims to have unpacked
    problem: str = ""


def list_members(path: Path, limits: Limits, told: str) -> list[Member]:
    """The files of an archive in its order, folders not included.

    BadInput when it is no archive, is damaged, or exceeds a limit; `told` begins the message.
    """
    members: list[Member] = []
    seen: set[str] = set()
    total = 0
    most = limits.max_gb * 1e9
    try:
        if zipfile.is_zipfile(path):
            _check_zip_directory(path, limits, told)
        for (name, size, problem), *_ in _members(path, most):
            inside = _inside(name)
            problem = problem if inside else "its name points outside the archive"
            name = inside or name
            if name in seen:
                problem = problem or "its name comes twice in the archive"
            seen.add(name)
            members.append(Member(name, size, problem))
            total += 0 if problem else size
            if len(members) > limits.max_files:
                raise BadInput(f"{told}: has more than ingest.max_files={limits.max_files} files")
            if total > most:
                raise _TooMuch
    except BadInput:
        raise
    except _TooMuch:
        limit = f"ingest.max_archive_gb={limits.max_gb:g} GB"
        raise BadInput(f"{told}: unpacks to more than {limit}") from None
    except DAMAGE as error:
        raise BadInput(f"{told}: is no intact zip or tar archive: {_words(error)}") from error
    return members


def read(path: Path, wanted: set[int]) -> Iterator[tuple[int, bytes, str]]:
    """`(place, bytes, problem)` of the members at the wanted places, in the archive's order.

    A member never yields more bytes than its size says.
    """
    last = max(wanted, default=-1)
    for place, (member, opened, block) in enumerate(_members(path) if wanted else ()):
        if place > last:
            return
        if place in wanted:
            try:
                yield place, _all_of(opened, member.size, block), ""
            except DAMAGE as error:
                yield place, b"", f"damaged in the archive: {_words(error)}"


class _TooMuch(Exception):
    """An archive unpacks to more than is allowed."""


class _Unpacked:
    """A tar's bytes, unpacked: never more than `most`, and never many at once.

    What its headers announce is asked for first: a gigabyte to skip, or a name as long as that.
    """

    def __init__(self, path: Path, most: float = math.inf) -> None:
        with path.open("rb") as file:
            head = file.read(8)
        unpack = next((o for magic, o in PACKED.items() if head.startswith(magic)), open)
        self._file: IO[bytes] = unpack(path, "rb")
        self._most = most
        self.tell, self.close = self._file.tell, self._file.close

    def seek(self, place: int) -> int:
        if place > self._most:
            raise _TooMuch
        return self._file.seek(place)

    def read(self, size: int) -> bytes:
        if size > BLOCK:
            raise tarfile.ReadError(f"a header of {size} bytes")
        if self.tell() + size > self._most + tarfile.BLOCKSIZE:
            raise _TooMuch
        return self._file.read(size)


def _members(path: Path, most: float = math.inf) -> Iterator[tuple[Member, Open, int]]:
    """The files of an archive as it names them, how to open each, and how many bytes to read."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            for info, name in zip(files, _zip_names(files), strict=True):
                bounded = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
                member = Member(name, info.file_size, _zip_problem(info))
                opened = functools.partial(archive.open, info)
                yield member, opened, BLOCK if bounded else SMALL_BLOCK
        return
    with (
        contextlib.closing(_Unpacked(path, most)) as file,
        tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as archive,
    ):
        for info in archive:
            archive.members = []  # or it would remember every member
            if not info.isdir():
                member = Member(info.name, info.size, "" if info.isreg() else "a link or device")
                yield member, functools.partial(archive.extractfile, info), BLOCK
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it ends early")  # tarfile itself would not tell


def _zip_names(files: list[zipfile.ZipInfo]) -> list[str]:
    """The names of a zip's files. Where the zip does not tell their encoding, zipfile takes the one
    of DOS; macOS and Windows in Chinese write UTF-8 and GBK without a word."""
    silent = {}
    for place, info in enumerate(files):
        if not info.flag_bits & SAYS_UTF8 and not info.filename.isascii():
            with contextlib.suppress(UnicodeEncodeError):  # an extra field had told it
                silent[place] = info.filename.encode("cp437")
    encoding = _encoding_of(b"\n".join(silent.values()))
    return [
        silent[place].decode(encoding) if encoding and place in silent else info.filename
        for place, info in enumerate(files)
    ]


def _encoding_of(names: bytes) -> str:
    """UTF-8, or GBK where most letters are Chinese ones of everyday; empty: neither."""
    for encoding in ("utf-8", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            letters = "".join(x for x in names.decode(encoding) if not x.isascii())
            rows = letters.encode("gb2312", "ignore")[::2]  # in European text hardly any is Chinese
            if encoding == "utf-8" or 2 * sum(row >= 0xB0 for row in rows) > len(letters):
                return encoding
    return ""


def _all_of(opened: Open, size: int, block: int) -> bytes:
    """A member's bytes; ValueError where there are more than its header says."""
    data = bytearray()
    with opened() as member:
        while piece := member.read(block):  # to the end, where zipfile checks the checksum
            data += piece
            if len(data) > size:
                raise ValueError("longer than its entry says")
    return bytes(data)


def _check_zip_directory(path: Path, limits: Limits, told: str) -> None:
    """Count a zip's entries before zipfile makes a kilobyte of each; the told count may lie."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        start = file.seek(max(0, length - 22 - 65535 - 20 - 56))
        tail = file.read()
        end = tail.rfind(ZIP_END)
        size = int.from_bytes(tail[end + 12 : end + 16], "little")
        if size == 0xFFFFFFFF and ZIP64_END in tail:
            end = tail.rfind(ZIP64_END)
            size = int.from_bytes(tail[end + 40 : end + 48], "little")
        file.seek(max(0, start + end - size))
        count = 0
        while count <= limits.max_files and (block := file.read(1 << 20)):
            count += block.count(ZIP_ENTRY)
    if count > limits.max_files:
        raise BadInput(f"{told}: has more than ingest.max_files={limits.max_files} files")


def _zip_problem(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "a link or device"
    if info.compress_type == zipfile.ZIP_BZIP2:  # 600 bytes may unpack to 600 MB, all at once
        return "packed with bzip2: pack it anew"
    return "encrypted" if info.flag_bits & 1 else ""


def _inside(name: str) -> str:
    """With forward slashes, without empty and `.` parts; empty where it points outside."""
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0].endswith(":") or ".." in parts:
        return ""
    return "/".join(part for part in parts if part not in ("", "."))


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__
