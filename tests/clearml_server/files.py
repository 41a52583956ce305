"""The file server: POST multipart uploads to `/`, GET, HEAD and DELETE by path."""

from __future__ import annotations

import gzip
import json
import mimetypes
import re
import shutil
from email.message import Message
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .http import Handler

COMPRESSED_FROM = 500  # bytes


class FilesHandler(Handler):
    root: Path  # set on the subclass that a server makes

    def do_POST(self) -> None:
        body, saved = self.read_body(), []
        for name, content in parse_multipart(body, self.headers.get("Content-Type", "")):
            target = self._locate(name)
            if not target:
                return self.reply(404, b"Not Found", "text/plain")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            saved.append(name.lstrip("/"))
        self.reply(200, json.dumps(saved).encode(), "text/html; charset=utf-8")

    def do_GET(self) -> None:
        self.read_body()
        path = unquote(urlsplit(self.path).path)
        if path == "/":
            return self.reply(200, b"OK", "text/html; charset=utf-8")
        target = self._locate(path)
        if not target or not target.is_file():
            return self.reply(404, b"Not Found", "text/html; charset=utf-8")
        kind, encoding = mimetypes.guess_type(target.name)
        kind = "application/octet-stream" if encoding == "gzip" or not kind else kind
        compresses = "gzip" in self.headers.get("Accept-Encoding", "")
        if compresses and _is_text(kind) and target.stat().st_size >= COMPRESSED_FROM:
            content = gzip.compress(target.read_bytes())
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            return
        with target.open("rb") as file:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(target.stat().st_size))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                shutil.copyfileobj(file, self.wfile, 1024 * 1024)

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        self.read_body()
        path = unquote(urlsplit(self.path).path)
        target = self._locate(path)
        if not target or not target.is_file():
            message = f"File {path.lstrip('/')} not found"
            return self.reply(404, message.encode(), "text/html; charset=utf-8")
        target.unlink()
        self.reply(200, json.dumps(path.lstrip("/")).encode(), "text/html; charset=utf-8")

    def _locate(self, name: str) -> Path | None:
        """The file of a name, never one outside of the folder."""
        target = (self.root / name.lstrip("/")).resolve()
        return target if target.is_relative_to(self.root) else None


def _is_text(kind: str) -> bool:
    """What the real server's Flask-Compress makes smaller on the way."""
    return kind.startswith("text/") or kind == "application/json"


def parse_multipart(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """Names and contents of the files in a form. The body is in memory: test files are small."""
    match = re.search(r'boundary="?([^";]+)', content_type)
    if not match:
        return []
    delimiter, files = b"--" + match[1].encode(), []
    position = body.find(delimiter)
    while position >= 0:
        start = position + len(delimiter) + 2
        head_end = body.find(b"\r\n\r\n", start)
        position = body.find(b"\r\n" + delimiter, start)
        if head_end < 0 or position < 0:
            break
        head = Message()
        for line in body[start:head_end].decode().split("\r\n"):
            key, _, value = line.partition(":")
            head[key] = value.strip()
        name = head.get_param("name", header="content-disposition")
        if isinstance(name, tuple):  # names beyond ASCII come as (charset, language, text)
            name = unquote(name[2], name[0] or "utf-8")
        if name:
            files.append((name, body[head_end + 4 : position]))
        position += 2
    return files
