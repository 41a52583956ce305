"""Downloads that resume, are checked, and are kept once."""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import http.client
import logging
import re
import string
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

from components.ingest.parameters import Ingest
from components.runtime.progress import progress
from components.runtime.schema import BadInput
from components.runtime.text import printable

logger = logging.getLogger(__name__)

ATTEMPTS = 5  # without progress in between
SLOWEST = 1000  # bytes a second, over the time-out; slower counts as broken
BLOCK = 1_000_000  # bytes, written and shown at a time
PAUSE = 1.0  # seconds before the second attempt; doubles with each
REDIRECTS = 10  # followed at most


class _Broken(Exception):
    """The connection ended early; another attempt may go on from there."""


def is_address(path: str) -> bool:
    """Whether it is fetched from the network."""
    return path.lower().startswith(("http://", "https://"))


def shown(path: str) -> str:
    """What may be printed of a path: of an address, nothing that may be secret in it.

    That is the user, the password and the values of the query, which often are a key.
    """
    if not is_address(path):
        return path
    scheme, _, rest = path.partition("://")
    place, mark, _ = rest.partition("#")[0].partition("?")
    host = place.partition("/")[0]
    if "@" in host or ("@" in place and not re.fullmatch(r"[^:]*(:\d*)?|\[.*", host)):
        place = place.rpartition("@")[2] if "@" not in host else place[host.rindex("@") + 1 :]
    return f"{scheme}://{place}{'?...' if mark else ''}"


def cached_path(address: str, settings: Ingest) -> Path:
    """Where the file of an address is kept."""
    path = re.split(r"[?#]", address.partition("://")[2])[0].partition("/")[2]
    name = unquote(path).rsplit("/", 1)[-1]
    name = re.sub(r"[^\w.+-]", "_", name)[-100:] or "download"
    key = hashlib.sha256(address.encode()).hexdigest()[:12]
    return Path(settings.download_folder).expanduser().absolute() / f"{key}--{name}"


def download(address: str, settings: Ingest) -> Path:
    """The local copy of `address`, fetched when it is not there yet.

    A broken download goes on where it stopped, in this run or a later one. BadInput when the server
    does not deliver, or delivers something else than `settings.sha256`.
    """
    target = cached_path(address, settings)
    told = f"ingest.path={shown(address)}"
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
    logger.info("downloading %s to %s", shown(address), part.parent)
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _attempt(address, part, settings, told)
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {_line(error.reason)}".rstrip()
            if error.code < 500 and error.code not in (408, 429):
                raise BadInput(f"{told}: {reason}") from None
        except BadInput:
            raise
        except (ValueError, http.client.InvalidURL):
            raise BadInput(f"{told}: the address makes no sense") from None
        except (OSError, http.client.HTTPException, _Broken) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = _line(getattr(error, "reason", "") or error) or type(error).__name__
        after = part.stat().st_size if part.exists() else 0
        failures = 1 if after > before else failures + 1
        if failures >= ATTEMPTS:
            raise BadInput(
                f"{told}: download failed: {reason}; run again to go on from {after / 1e6:.0f} MB"
            )
        time.sleep(PAUSE * 2 ** (failures - 1))


def _line(text: object) -> str:
    """What a server or a library says, in a short line."""
    return printable(" ".join(str(text).split()))[:200]


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by `_open`, which looks where they lead."""

    def redirect_request(self, *_: object) -> None:
        """None makes an HTTPError of a redirect."""


OPENER = urllib.request.build_opener(_Stay)


def _open(
    address: str, headers: dict[str, str], timeout: float, told: str
) -> http.client.HTTPResponse:
    """The response, after redirects; BadInput when one leads to where it must not."""
    for _ in range(REDIRECTS):
        address, own = _public(address)
        request = urllib.request.Request(address, headers=headers | own)
        try:
            return OPENER.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            if error.code not in (301, 302, 303, 307, 308):
                raise
            location = error.headers.get("Location") or ""
            error.close()
        following = _redirected(address, location, told)
        if urlsplit(following).netloc == urlsplit(address).netloc:
            headers = headers | own
        else:  # a password is for the place that it was given for
            headers = {name: text for name, text in headers.items() if name != "Authorization"}
        address = following
    raise BadInput(f"{told}: the server redirects more than {REDIRECTS} times")


def _public(address: str) -> tuple[str, dict[str, str]]:
    """The address without user and password, and the header that has them."""
    parts = urlsplit(quote(address, safe=string.punctuation, encoding="utf-8"))
    if not parts.hostname or parts.port == 0:
        raise ValueError(address)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    if parts.username is None:
        return plain, {}
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return plain, {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}


def _redirected(address: str, location: str, told: str) -> str:
    """Where a redirect leads; BadInput when that makes no sense or is less safe."""
    try:
        following = urljoin(address, quote(location, safe=string.punctuation, encoding="latin-1"))
        _public(following)
        scheme = urlsplit(following).scheme
    except ValueError:
        scheme = ""
    if not location or scheme == "":
        raise BadInput(f"{told}: the server redirects to an address that makes no sense")
    if scheme != "https" and (scheme != "http" or urlsplit(address).scheme == "https"):
        raise BadInput(
            f"{told}: the server redirects from {urlsplit(address).scheme} to {_line(scheme)}, "
            "which is not followed; download the file yourself and name its path"
        )
    return following


def _attempt(address: str, part: Path, settings: Ingest, told: str) -> None:
    """One connection, from where `part` ends."""
    start = part.stat().st_size if part.exists() else 0
    version = part.with_name(part.name + ".version")
    headers = {"User-Agent": "Mozilla/5.0", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version.exists():  # go on only if the server still has the same file
            headers["If-Range"] = version.read_text(encoding="latin-1")
    try:
        response = _open(address, headers, settings.download_timeout, told)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing after the part's end
            whole = (error.headers.get("Content-Range") or "").rpartition("/")[2]
            if whole == str(start):
                return
            part.unlink()
            raise _Broken("the file has changed on the server") from error
        raise
    with response:
        if start and not _goes_on(response, start):
            start = 0
        length = response.length  # None: not told, or no number
        total = start + length if length is not None else None
        _check_size(total or 0, settings, told)
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if validator and not validator.startswith("W/"):
            version.write_text(validator, encoding="latin-1", errors="replace")
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


def _goes_on(response: http.client.HTTPResponse, start: int) -> bool:
    """Whether it brings what follows the first `start` bytes."""
    told = response.headers.get("Content-Range")
    return response.status == 206 and (told is None or told.startswith(f"bytes {start}-"))


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
