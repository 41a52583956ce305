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
from components.ingest.download import cached_path, download
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
        data, etag = DATA, '"1"'
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
        if kind != "endless":
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


def test_nobody_answers(tmp_path: Path) -> None:
    settings = ingest_settings("archive", download_folder=tmp_path)
    with pytest.raises(BadInput, match=r"download failed: .*refused"):
        download("http://127.0.0.1:9/pets.zip", settings)


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
