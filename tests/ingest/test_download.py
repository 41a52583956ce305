"""Downloads from a server on the loopback that does whatever servers do."""

from __future__ import annotations

import hashlib
import http.server
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components.ingest import download as module
from components.ingest.download import cached_path, download, shown
from components.ingest.sources import open_source, public
from components.runtime.schema import BadInput
from tests.ingest.builders import contents, ingest_settings

DATA = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `DATA` with ranges; the path says what goes wrong."""

    protocol_version = "HTTP/1.1"
    log_message = lambda *_: None  # noqa: E731

    def do_GET(self) -> None:
        server: Any = self.server
        kind = self.path.strip("/").split(".")[0]
        start = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
        server.starts.append(start)
        server.headers.append(dict(self.headers))
        data, etag = DATA, '"1"'
        if kind.startswith("to/"):
            self.send_response(int(self.path.split("/")[2]))
            if location := server.locations.get(self.path):
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind.isdigit() and not (kind == "503" and len(server.starts) > 2):
            self.send_error(int(kind))
            return
        if kind == "changes" and len(server.starts) > 1:
            etag = '"2"'
            if self.headers.get("If-Range") != etag:
                start = 0
        if kind == "noranges":
            start = 0
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        claimed = len(data) - start + {"more": 1000, "less": -1000}.get(kind, 0)
        if kind == "length":
            self.send_header("Content-Length", server.length)
        elif kind != "endless":
            self.send_header("Content-Length", str(claimed))
        self.send_header("ETag", etag)
        self.end_headers()
        self.close_connection = True
        try:
            if kind in ("breaks", "noranges", "changes") and len(server.starts) < 4:
                self.wfile.write(data[start : start + 700_000])
            elif kind in ("stalls", "trickles") and len(server.starts) < 2:
                for place in range(1000 if kind == "trickles" else 1):
                    self.wfile.write(data[start + place : start + place + 1])
                    self.wfile.flush()
                    server.release.wait(0.05 if kind == "trickles" else 30)
            elif kind == "endless":
                while True:
                    self.wfile.write(data)
            else:
                self.wfile.write(data[start : start + claimed])
        except OSError:
            pass


@pytest.fixture
def server() -> Iterator[Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.starts, server.release = [], threading.Event()
    server.headers, server.locations, server.length = [], {}, ""
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)


def fetch(server: Any, kind: str, folder: Path, **changes: Any) -> Path:
    changes = {"sha256": SHA256, "download_timeout": 0.5} | changes
    settings = ingest_settings("archive", path="-", download_folder=folder, **changes)
    return download(f"{server.address}/{kind}.zip", settings)


def test_a_download_is_kept_once(server: Any, tmp_path: Path) -> None:
    path = fetch(server, "good", tmp_path)
    assert path.read_bytes() == DATA
    assert path.name.endswith("--good.zip")
    assert fetch(server, "good", tmp_path) == path
    assert server.starts == [0]
    assert [name for name in contents(tmp_path) if not name.endswith(".lock")] == [path.name]


def test_a_broken_connection_goes_on_where_it_ended(server: Any, tmp_path: Path) -> None:
    assert fetch(server, "breaks", tmp_path).read_bytes() == DATA
    assert server.starts == [0, 700_000, 1_400_000, 2_100_000]


def test_a_run_that_was_killed_is_gone_on_with(server: Any, tmp_path: Path) -> None:
    settings = ingest_settings("archive", download_folder=tmp_path)
    target = cached_path(f"{server.address}/good.zip", settings)
    target.with_name(target.name + ".part").write_bytes(DATA[:1_000_000])
    assert fetch(server, "good", tmp_path).read_bytes() == DATA
    assert server.starts == [1_000_000]


def test_a_part_that_is_whole_needs_no_more(server: Any, tmp_path: Path) -> None:
    settings = ingest_settings("archive", download_folder=tmp_path)
    target = cached_path(f"{server.address}/good.zip", settings)
    target.with_name(target.name + ".part").write_bytes(DATA)
    assert fetch(server, "good", tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("kind", ["noranges", "changes"])
def test_it_starts_again_when_it_can_not_go_on(server: Any, tmp_path: Path, kind: str) -> None:
    assert fetch(server, kind, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("kind", ["stalls", "trickles"])
def test_a_server_that_is_too_slow_is_asked_again(server: Any, tmp_path: Path, kind: str) -> None:
    start = time.monotonic()
    assert fetch(server, kind, tmp_path).read_bytes() == DATA
    assert len(server.starts) == 2
    assert time.monotonic() - start < 10


def test_an_overloaded_server_is_asked_again(server: Any, tmp_path: Path) -> None:
    assert fetch(server, "503", tmp_path).read_bytes() == DATA


@pytest.mark.parametrize(
    ("kind", "words", "attempts"),
    [
        ("404", "the server answers 404 Not Found", 1),
        ("403", "the server answers 403 Forbidden", 1),
        ("500", "the server answers 500 Internal Server Error", module.ATTEMPTS),
        ("less", "another checksum than ingest.sha256", 1),
    ],
)
def test_what_does_not_come_is_told_in_one_line(
    server: Any, tmp_path: Path, kind: str, words: str, attempts: int
) -> None:
    with pytest.raises(BadInput) as error:
        fetch(server, kind, tmp_path)
    assert words in str(error.value)
    assert f"ingest.path={server.address}/{kind}.zip: " in str(error.value)
    assert "\n" not in str(error.value)
    assert len(server.starts) == attempts
    assert not list(tmp_path.glob("*.zip"))


def test_a_server_that_promises_too_much_is_asked_and_given_up(server: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"download failed|checksum"):
        fetch(server, "more", tmp_path, sha256="0" * 64)
    assert not list(tmp_path.glob("*.zip"))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: Any, tmp_path: Path, code: int) -> None:
    server.locations = {f"/to/{code}/1.zip": f"/to/{code}/2.zip", f"/to/{code}/2.zip": "../../good"}
    assert fetch(server, f"to/{code}/1", tmp_path).read_bytes() == DATA


LOCATIONS = {
    "ftp://example.org/x.zip": "redirects from http to ftp, which is not followed",
    "file:///etc/passwd": "makes no sense",
    "data:,x": "makes no sense",
    "javascript:x": "makes no sense",
    "http://[bad": "makes no sense",
    "http://host:port/": "makes no sense",
    "http://:80/x": "makes no sense",
    "http://host:99999/": "makes no sense",
    "https://": "makes no sense",
    "": "makes no sense",
    "/to/302/x.zip": "redirects more than 10 times",
    "//user:secret@[x": "makes no sense",
    "h\xe9llo\x00 \x1b[2J": "makes no sense",
}


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_redirect_to_where_it_must_not_lead_is_told(
    server: Any, tmp_path: Path, location: str
) -> None:
    server.locations = {"/to/302/x.zip": location}
    with pytest.raises(BadInput) as told:
        fetch(server, "to/302/x", tmp_path)
    assert LOCATIONS[location] in str(told.value)
    assert str(told.value).isprintable()
    assert "secret" not in str(told.value)
    assert len(server.starts) <= module.REDIRECTS


def test_nothing_less_than_https_follows_https() -> None:
    for less in ("http://a.org/x", "//a.org:80/x", "ftp://a.org/x", "HTTP://a.org"):
        if less.startswith("//"):
            assert module._redirected("https://a.org/", less, "x") == "https://a.org:80/x"
            continue
        with pytest.raises(
            BadInput, match=r"redirects from https to (http|ftp), which is not foll"
        ):
            module._redirected("https://a.org/", less, "x")
    assert module._redirected("https://a.org/b/c", "../d", "x") == "https://a.org/d"
    assert module._redirected("http://a.org/b", "https://b.org/", "x") == "https://b.org/"


@pytest.mark.parametrize("length", ["abc", "-5", "\xb2", "9" * 5000, "1e6", ""])
def test_a_length_that_is_no_number_is_not_believed(
    server: Any, tmp_path: Path, length: str
) -> None:
    server.length = length
    assert fetch(server, "length", tmp_path).read_bytes() == DATA


def test_a_password_goes_where_it_belongs_and_is_never_shown(
    server: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    port = server.server_port
    address = f"http://user:se%40cret@127.0.0.1:{port}/good.zip?key=hidden"
    settings = ingest_settings("archive", path=address, download_folder=tmp_path)
    assert download(address, settings).read_bytes() == DATA
    assert server.headers[-1]["Authorization"] == "Basic dXNlcjpzZUBjcmV0"
    server.locations = {"/to/302/a.zip": f"http://localhost:{port}/good.zip"}
    download(f"http://user:secret@127.0.0.1:{port}/to/302/a.zip", settings)
    assert [("Authorization" in headers) for headers in server.headers[1:]] == [True, False]
    with pytest.raises(BadInput) as told:
        open_source(ingest_settings("archive", path=f"{address}/404", sha256="0" * 64))
    for text in (caplog.text, str(told.value), repr(public(settings))):
        assert not [secret for secret in ("cret", "hidden", "user") if secret in text], text


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("https://a.org/x.zip", "https://a.org/x.zip"),
        ("https://u:p@a.org:8/x@y.zip?sig=1#t", "https://a.org:8/x@y.zip?..."),
        ("https://a.org/@scope/x.zip", "https://a.org/@scope/x.zip"),
        ("HTTPS://u:p/w@a.org/x", "HTTPS://a.org/x"),
        ("photos@home?.zip", "photos@home?.zip"),
    ],
)
def test_what_is_shown_of_an_address(address: str, seen: str) -> None:
    assert shown(address) == seen


@pytest.mark.parametrize(
    "address", ["http://", "http://[", "https://:80/", "http://a:b/", "http://a b/"]
)
def test_an_address_that_makes_no_sense_is_told(tmp_path: Path, address: str) -> None:
    with pytest.raises(BadInput, match="the address makes no sense"):
        download(address, ingest_settings("archive", download_folder=tmp_path))


def test_nobody_answers(tmp_path: Path) -> None:
    settings = ingest_settings("archive", download_folder=tmp_path)
    with pytest.raises(BadInput, match=r"download failed: .*refused") as told:
        download("http://user:secret@127.0.0.1:9/pets.zip?key=hidden", settings)
    assert not [secret for secret in ("secret", "hidden", "user") if secret in str(told.value)]


def test_a_stream_without_end_is_cut(server: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"larger than ingest\.max_archive_gb=0\.01"):
        fetch(server, "endless", tmp_path, max_archive_gb=0.01)
    assert sum(map(len, contents(tmp_path).values())) < 11_000_000


def test_a_wrong_checksum_leaves_nothing(server: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="another checksum"):
        fetch(server, "good", tmp_path, sha256="f" * 64)
    assert not list(tmp_path.glob("*.zip*.part")) + list(tmp_path.glob("*.zip"))
    path = fetch(server, "good", tmp_path)
    path.write_bytes(b"altered since")
    with pytest.raises(BadInput, match="another checksum"):
        fetch(server, "good", tmp_path)


def test_runs_at_the_same_time_download_once(server: Any, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(server, "breaks", tmp_path), range(4)))
    assert len(set(paths)) == 1
    assert len(server.starts) == 4  # one download in four pieces


def test_a_folder_that_can_not_be_written_is_told(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput, match=r"ingest\.download_folder="):
        fetch(server, "good", tmp_path / "file" / "folder")
