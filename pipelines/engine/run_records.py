"""What a run leaves in its folder for programs: what became of each stage, figures, its task."""

from __future__ import annotations

import itertools
import os.path
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from components.runtime.files import write_json

STAGES = "stages.json"  # of any run: each stage, the reference of its output, and why it ran
RESULT = "result.json"  # of any run that finished: the figures by which runs are compared
TASK = "task.json"  # of any run on a server: id and page of its controller


def new_folder(path: str) -> str:
    """Make a folder that no other run has: `path`, or with a number behind when it is there."""
    path = os.path.expanduser(path)  # noqa: PTH111
    for number in itertools.count(1):
        folder = Path(path if number == 1 else f"{path}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.is_dir():
                break
        except OSError:
            break  # whoever writes there tells it
        else:
            return str(folder)
    return path


# Once for each configuration, however often it is asked for: Hydra asks several times.
OmegaConf.register_new_resolver("new_folder", new_folder, use_cache=True, replace=True)


def keep_task(task: Any, folder: Path) -> None:
    """Write down which task a run is on the server."""
    write_json(folder / TASK, {"id": task.id, "page": page_of(task)})


def page_of(run: Any) -> str:
    """Where the web UI shows a run with its graph, under PIPELINES; not its task's console."""
    host = run.get_output_log_web_page().partition("/projects/")[0]
    return f"{host}/pipelines/{run.project}/experiments/{run.id}"
