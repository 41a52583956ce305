"""Downloads that resume, are checked, and are kept once."""

from __future__ import annotations

import errno
import hashlib
import logging
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3
from requests.models import REDIRECT_STATI
from requests.utils import get_auth_from_url

from components.ingest.parameters import Ingest, is_bucket
from components.runtime.files import file_hash
from components.runtime.locks import locked
from components.runtime.progress import progress
from components.runtime.schema import BadInput
from components.runtime.text import printable

logger = logging.getLogger(__name__)
logging.getLogger("urllib3").setLevel(logging.INFO)  # below it tells whole addresses, keys too

ATTEMPTS = 5  # without progress in between
SLOWEST = 1000  # bytes a second, over the time-out; slower counts as broken
BLOCK = 1_000_000  # bytes, shown at a time
TRY_AGAIN = "download failed"
PAUSE = 1.0  # seconds before the second attempt; doubles with each
REDIRECTS = 10  # followed at most
SECRET = re.compile(r"^[^/]*@|^[^\[/:]*:(?!\d*/).*@")  # user and password, which may have a slash


class _Broken(Exception):
    """The connection ended early; another attempt may go on from there."""


class _Session(requests.Session):
    """Follows redirects, but only to where they may lead."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self.told = told
        self.max_redirects = REDIRECTS - 1  # the library allows one more

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where a redirect leads, None for any other response."""
        if resp.status_code not in REDIRECT_STATI:
            return None
        return _redirected(resp.url, resp.headers.get("Location", ""), self.told)


def is_address(path: str) -> bool:
    """Whether it is fetched from the network."""
    return path.lower().startswith(("http://", "https://"))


def shown(path: str) -> str:
    """What may be printed of a path: of an address, nothing that may be secret in it.

    That is the user, the password and the values of the query, which often are a key.
    """
    if not (is_address(path) or is_bucket(path)):
        return path
    scheme, _, rest = path.partition("://")
    place, mark, _ = rest.partition("#")[0].partition("?")
    return f"{scheme}://{SECRET.sub('', place)}{'?...' if mark else ''}"


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
    if not _makes_sense(address):
        raise BadInput(f"{told}: the address makes no sense")
    with ExitStack() as stack:
        try:  # of several runs one downloads, the others wait
            stack.enter_context(locked(target.with_name(target.name + ".lock")))
        except OSError as error:
            folder = settings.download_folder
            raise BadInput(f"ingest.download_folder={folder}: {error.strerror}") from error
        if not target.is_file():
            part = target.with_name(target.name + ".part")
            _fetch(address, part, settings, told)
            _check(part, settings, told)
            part.replace(target)
        else:
            _check(target, settings, told)
    return target


def _fetch(address: str, part: Path, settings: Ingest, told: str) -> None:
    """Fetch until `part` is whole; attempts that bring something do not count."""
    logger.info("downloading %s to %s", shown(address), part.parent)
    failures = 0
    while True:
        before = _size(part)
        try:
            return _attempt(address, part, settings, told)
        except requests.HTTPError as error:
            answer = error.response
            reason = f"the server answers {answer.status_code} {_line(answer.reason)}".rstrip()
            if answer.status_code < 500 and answer.status_code not in (408, 429):
                raise BadInput(f"{told}: {reason}") from None
        except requests.TooManyRedirects:
            reason = f"the server redirects more than {REDIRECTS} times"
            raise BadInput(f"{told}: {reason}") from None
        except (OSError, urllib3.exceptions.HTTPError, _Broken) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = _reason(error)
        after = _size(part)
        failures = 1 if after > before else failures + 1
        if failures >= ATTEMPTS:
            raise BadInput(
                f"{told}: {TRY_AGAIN}: {reason}; run again to go on from {after / 1e6:.0f} MB"
            )
        time.sleep(PAUSE * 2 ** (failures - 1))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: BaseException) -> str:
    """What went wrong at the bottom; the texts of requests above it have the whole address."""
    while error.__context__:
        error = error.__context__
    return _line(error) or type(error).__name__


def _line(text: object) -> str:
    """What a server or a library says, in a short line."""
    return printable(" ".join(str(text).split()))[:200]


def _redirected(address: str, location: str, told: str) -> str:
    """Where a redirect leads; BadInput when that makes no sense or is less safe."""
    try:
        following = urljoin(address, location.encode("latin-1").decode())
    except ValueError:
        following = ""
    if not location or not _makes_sense(following):
        raise BadInput(f"{told}: the server redirects to an address that makes no sense")
    before, after = urlsplit(address).scheme, urlsplit(following).scheme
    if after != "https" and (after != "http" or before == "https"):
        raise BadInput(
            f"{told}: the server redirects from {before} to {_line(after)}, "
            "which is not followed; download the file yourself and name its path"
        )
    return following


def _makes_sense(address: str) -> bool:
    try:
        requests.PreparedRequest().prepare_url(address, None)
        return bool(urlsplit(address).hostname) and urlsplit(address).port != 0
    except ValueError:
        return False


def _attempt(address: str, part: Path, settings: Ingest, told: str) -> None:
    """One connection, from where `part` ends."""
    start = _size(part)
    version = part.with_name(part.name + ".version")
    headers = {"User-Agent": "Mozilla/5.0", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version.exists():  # go on only if the server still has the same file
            headers["If-Range"] = version.read_text(encoding="latin-1")
    secret = [text.encode() for text in get_auth_from_url(address)]
    with (
        _Session(told) as session,
        session.get(
            address,
            headers=headers,
            auth=tuple(secret) if any(secret) else None,
            timeout=settings.download_timeout,
            stream=True,
        ) as response,
    ):
        there = response.headers.get("Content-Range", f"bytes {start}-")
        if response.status_code == 416 and start:  # nothing after the part's end
            if there.endswith(f"/{start}"):
                return
            part.unlink()
            raise _Broken("the file has changed on the server")
        if response.status_code not in (200, 206):
            raise requests.HTTPError(response=response)
        if response.status_code == 200 or not there.startswith(f"bytes {start}-"):
            start = 0
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if validator and not validator.startswith("W/"):
            version.write_text(validator, encoding="latin-1", errors="replace")
        else:
            version.unlink(missing_ok=True)
        left = response.raw.length_remaining  # None: not told, or no number
        _check_size(start + (left or 0), settings, told)
        with part.open("ab" if start else "wb") as file:
            blocks = _received(response, file, settings, told)
            for _ in progress(blocks, total=left and left // BLOCK, label="download, MB"):
                pass
    version.unlink(missing_ok=True)


def _received(
    response: requests.Response, file: BinaryIO, settings: Ingest, told: str
) -> Iterator[None]:
    """Write what comes to the file; yields after each BLOCK. _Broken when it trickles."""
    began, got = time.monotonic(), 0
    while piece := response.raw.read1(BLOCK // 8):
        size = file.tell()
        file.write(piece)
        _check_size(size + len(piece), settings, told)
        if size // BLOCK != (size + len(piece)) // BLOCK:
            yield
        got += len(piece)
        passed = time.monotonic() - began
        if passed > settings.download_timeout:
            if got < SLOWEST * passed:
                raise _Broken(f"only {got} bytes in {passed:.0f} s")
            began, got = time.monotonic(), 0


def _check_size(size: int, settings: Ingest, told: str) -> None:
    if size > settings.max_archive_gb * 1e9:
        raise BadInput(f"{told}: is larger than ingest.max_archive_gb={settings.max_archive_gb:g}")


def _check(path: Path, settings: Ingest, told: str) -> None:
    """Remove the file and raise BadInput when its checksum is another than asked for."""
    if settings.sha256 and file_hash(path) != settings.sha256.lower():
        size = path.stat().st_size
        path.unlink()
        raise BadInput(
            f"{told}: the {size} bytes received have another checksum than "
            f"ingest.sha256={settings.sha256}; removed, run again to download afresh"
        )
