"""Downloads that resume, are checked, and are kept once."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import http.client
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.ingest.parameters import Ingest
from components.runtime.progress import progress
from components.runtime.schema import BadInput

logger = logging.getLogger(__name__)

ATTEMPTS = 5  # without progress in between
SLOWEST = 1000  # bytes a second, over the time-out; slower counts as broken
BLOCK = 1_000_000  # bytes, written and shown at a time
PAUSE = 1.0  # seconds before the second attempt; doubles with each


class _Broken(Exception):
    """The connection ended early; another attempt may go on from there."""


def is_address(path: str) -> bool:
    """Whether it is fetched from the network."""
    return path.lower().startswith(("http://", "https://"))


def cached_path(address: str, settings: Ingest) -> Path:
    """Where the file of an address is kept."""
    name = unquote(urlsplit(address).path).rsplit("/", 1)[-1]
    name = re.sub(r"[^\w.+-]", "_", name)[-100:] or "download"
    key = hashlib.sha256(address.encode()).hexdigest()[:12]
    return Path(settings.download_folder).expanduser().absolute() / f"{key}--{name}"


def download(address: str, settings: Ingest) -> Path:
    """The local copy of `address`, fetched when it is not there yet.

    A broken download goes on where it stopped, in this run or a later one. BadInput when the server
    does not deliver, or delivers something else than `settings.sha256`.
    """
    target = cached_path(address, settings)
    told = f"ingest.path={address}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(target.name + ".lock").open("w")
    except OSError as error:
        folder = settings.download_folder
        raise BadInput(f"ingest.download_folder={folder}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several runs one downloads, the others wait
        if not target.is_file():
            part = target.with_name(target.name + ".part")
            _fetch(address, part, settings, told)
            _check(part, settings, told)
            part.replace(target)
        elif settings.sha256:
            _check(target, settings, told)
    return target


def _fetch(address: str, part: Path, settings: Ingest, told: str) -> None:
    """Fetch until `part` is whole; attempts that bring something do not count."""
    logger.info("downloading %s to %s", address, part.parent)
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _attempt(address, part, settings, told)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise BadInput(f"{told}: the server answers {error.code} {error.reason}") from error
            reason = f"the server answers {error.code} {error.reason}"
        except (OSError, http.client.HTTPException, _Broken) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        after = part.stat().st_size if part.exists() else 0
        failures = 1 if after > before else failures + 1
        if failures >= ATTEMPTS:
            raise BadInput(
                f"{told}: download failed: {reason}; run again to go on from {after / 1e6:.0f} MB"
            )
        time.sleep(PAUSE * 2 ** (failures - 1))


def _attempt(address: str, part: Path, settings: Ingest, told: str) -> None:
    """One connection, from where `part` ends."""
    start = part.stat().st_size if part.exists() else 0
    version = part.with_name(part.name + ".version")
    headers = {"User-Agent": "Mozilla/5.0", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version.exists():  # go on only if the server still has the same file
            headers["If-Range"] = version.read_text()
    request = urllib.request.Request(address, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=settings.download_timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing after the part's end
            whole = (error.headers.get("Content-Range") or "").rpartition("/")[2]
            if whole == str(start):
                return
            part.unlink()
            raise _Broken("the file has changed on the server") from error
        raise
    with response:
        if start and response.status != 206:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        _check_size(total or 0, settings, told)
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if validator and not validator.startswith("W/"):
            version.write_text(validator)
        else:
            version.unlink(missing_ok=True)
        size = start
        with part.open("ab" if start else "wb") as file:
            blocks = _blocks(response, settings.download_timeout)
            count = total and -(-(total - start) // BLOCK)
            for block in progress(blocks, total=count, label="download, MB"):
                size += len(block)
                _check_size(size, settings, told)
                file.write(block)
    if total is not None and size < total:
        raise _Broken(f"the connection ended after {size} of {total} bytes")
    version.unlink(missing_ok=True)


def _blocks(response: http.client.HTTPResponse, timeout: float) -> Iterator[bytes]:
    """The response in blocks of BLOCK bytes, the last one shorter; _Broken when it trickles."""
    block = bytearray()
    began, got = time.monotonic(), 0
    try:
        while piece := response.read1(BLOCK - len(block)):
            block += piece
            got += len(piece)
            if len(block) == BLOCK:
                yield bytes(block)
                block.clear()
            passed = time.monotonic() - began
            if passed > timeout:
                if got < SLOWEST * passed:
                    raise _Broken(f"only {got} bytes in {passed:.0f} s")
                began, got = time.monotonic(), 0
    except (OSError, http.client.HTTPException, _Broken):
        yield bytes(block)  # what came is kept
        raise
    yield bytes(block)


def _check_size(size: int, settings: Ingest, told: str) -> None:
    if size > settings.max_archive_gb * 1e9:
        raise BadInput(f"{told}: is larger than ingest.max_archive_gb={settings.max_archive_gb:g}")


def _check(path: Path, settings: Ingest, told: str) -> None:
    """Remove the file and raise BadInput when its checksum is another than asked for."""
    if not settings.sha256:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != settings.sha256.lower():
        size = path.stat().st_size
        path.unlink()
        raise BadInput(
            f"{told}: the {size} bytes received have another checksum than "
            f"ingest.sha256={settings.sha256}; removed, run again to download afresh"
        )
