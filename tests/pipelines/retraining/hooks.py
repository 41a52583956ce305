"""A hook to send to: an HTTP server on the loopback interface that keeps what it gets."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "T0P-SECRET-PATH"


class Receiver:
    """Messages in the order of their arrival; `status` is answered, None hangs."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status: int | None = 200
        self.address = ""


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    kept, over = Receiver(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if kept.status is None:
                over.wait(30)
                return
            self.send_response(kept.status)
            if kept.status == 307:
                self.send_header("Location", kept.address)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.address = f"http://127.0.0.1:{server.server_port}/{SECRET}"
    try:
        yield kept
    finally:
        over.set()
        server.shutdown()
        server.server_close()
