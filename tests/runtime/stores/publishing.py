"""Processes that publish on the test server and fetch from there, each as a task of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.clearml_server import ClearMLServer
from tests.conftest import ROOT

PUBLISHER = """
import json, logging, sys
from pathlib import Path
from clearml import Task
Task.init("pets", "publisher", auto_connect_frameworks=False, auto_resource_monitoring=False)
from components.runtime.stores.server_store import ServerStore
store = ServerStore()
folder = Path(sys.argv[1])
"""


class Published:
    """A server, datasets to publish there, and processes that do it."""

    def __init__(self, server: ClearMLServer, conf: Path, folder: Path, more: str = "") -> None:
        """`more` is code that each of the processes runs first."""
        self.state = server.state
        self.folder = folder
        self.more = more
        self.environment = {
            "CLEARML_CONFIG_FILE": str(conf),
            "CLEARML_CONFIG_PATH": str(ROOT / "pipelines/engine/clearml"),
            "CLEARML_CACHE_DIR": str(folder / "cache"),
            "PYTHONPATH": str(ROOT),
        }

    def python(self, code: str) -> dict[str, str]:
        """What `code`, in a task of its own, prints as `name = value`."""
        done = subprocess.run(
            [sys.executable, "-c", PUBLISHER + self.more + textwrap.dedent(code), self.folder],
            cwd=self.folder,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [line for line in done.stdout.splitlines() if " = " in line]
        return dict(line.split(" = ", 1) for line in lines)

    def datasets(self) -> dict[str, dict[str, Any]]:
        """The tasks of all datasets by id."""
        tasks = self.state.tasks.values()
        return {task["id"]: task for task in tasks if "dataset" in task["system_tags"]}
