"""The API over HTTP, and the object that tests start."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

# imported for their endpoints
from . import events, models, params, pipelines, projects, queues, tasks, users, workers  # noqa: F401
from .errors import ApiError
from .files import FilesHandler
from .http import Handler, Server
from .state import API_VERSION, ENDPOINTS, Call, State, new_id

PATH = re.compile(r"^/?(?:v(?P<version>\d+\.?\d+)/)?(?P<name>[a-zA-Z_]\w+\.[a-zA-Z_]\w+)/?$")

# What the open-source server answers; other names it does not know. Those of them that nothing here
# has needed yet are refused as "not implemented", so that no test takes them for missing.
KNOWN = set(Path(__file__).with_name("endpoints.txt").read_text().split())


class ApiHandler(Handler):
    state: State  # set on the subclass that a server makes
    log = None

    def do_GET(self) -> None:
        started, body, code, subcode, message = time.perf_counter(), self.read_body(), 200, 0, "OK"
        url = urlsplit(self.path)
        match = PATH.match(url.path)
        if not match:
            return self.reply(404, b"no such page", "text/plain")
        name, version = match["name"], match["version"] or API_VERSION
        data = "{}"
        try:
            if name not in ENDPOINTS and name in KNOWN:
                raise ApiError("not_implemented", f"{name}: the in-memory server lacks it")
            if name not in ENDPOINTS:
                message = f"Unable to find endpoint for name {name} and version {version}"
                raise ApiError("unknown_endpoint", replace=message)
            users.authorize(self.headers.get("Authorization"))
            call = self._call(name, version, body, url.query)
            with self.state.lock:
                # encoded under the lock, because the answer refers to what is stored
                data = json.dumps(ENDPOINTS[name](self.state, call))
        except ApiError as error:
            code, subcode, message = error.code, error.subcode, str(error)
        except Exception as error:
            traceback.print_exc()
            code, message = 500, str(error)
        meta = {
            "id": new_id(),
            "trx": new_id(),
            "endpoint": {"name": name, "requested_version": version, "actual_version": "1.0"},
            "result_code": code,
            "result_subcode": subcode,
            "result_msg": message,
            "error_stack": None,
            "error_data": {},
        }
        answer = f'{{"meta": {json.dumps(meta)}, "data": {data}}}'
        self.reply(code, answer.encode(), "application/json")
        if self.log or code >= 500:
            took = (time.perf_counter() - started) * 1000
            line = f"{time.strftime('%X')} {took:.1f}ms {code} {name} {body} -> {message} {data}"
            print(line[:4000], file=self.log or sys.stderr, flush=True)

    do_POST = do_PUT = do_GET

    def _call(self, name: str, version: str, body: bytes, query: str) -> Call:
        numbers = tuple(int(n) for n in version.split("."))
        worker = self.headers.get("X-ClearML-Worker") or "<unknown>"
        data, batch = {}, None
        if self.headers.get("Content-Type", "").startswith("application/json-lines"):
            batch = [json.loads(line) for line in body.splitlines() if line.strip()]
        else:
            data = (json.loads(body) if body.strip() else None) or {}
            for key, found in parse_qs(query).items():
                data[key] = found if len(found) > 1 else found[0]
        return Call(name, numbers, data, batch, worker)


class ClearMLServer:
    """API and file server on 127.0.0.1, on free ports unless given; what they hold ends with it.

    CLEARML_TEST_SERVER_LOG names a file that gets a line for every API request and its answer.
    """

    def __init__(self, port: int = 0, files_port: int = 0):
        self.state = State()
        users.add_user(self.state)
        queues.create_queue(self.state, "default", system_tags=["default"])
        self._folder = tempfile.mkdtemp(prefix="clearml-files-")
        log = os.environ.get("CLEARML_TEST_SERVER_LOG")
        self._log = Path(log).open("a") if log else None  # noqa: SIM115 - stop() closes it
        api = type("Api", (ApiHandler,), {"state": self.state, "log": self._log})
        files = type("Files", (FilesHandler,), {"root": Path(self._folder).resolve()})
        self._servers = [
            Server(("127.0.0.1", port), api),
            Server(("127.0.0.1", files_port), files),
        ]

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def files_folder(self) -> Path:
        """Where the file server keeps what it is given."""
        return Path(self._folder).resolve()

    @property
    def files_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    @property
    def web_url(self) -> str:
        """There is no web UI: clients only print links that begin so."""
        return self.api_url

    def write_conf(self, path: str | os.PathLike) -> Path:
        """A clearml.conf with the URLs and keys of this server."""
        path = Path(path)
        path.write_text(
            "api {\n"
            f'  api_server: "{self.api_url}"\n'
            f'  web_server: "{self.web_url}"\n'
            f'  files_server: "{self.files_url}"\n'
            f'  credentials {{ access_key: "{users.ACCESS_KEY}", '
            f'secret_key: "{users.SECRET_KEY}" }}\n'
            "}\n"
        )
        return path

    def start(self) -> ClearMLServer:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._log:
            self._log.close()

    def __enter__(self) -> ClearMLServer:
        return self.start()

    def __exit__(self, *exc_info) -> None:
        self.stop()
