"""What is published are the bytes that `components.runtime.FORMAT` stands for.

The frame is not in the fingerprint of a stage. So where a change of it changes what a stage's
output looks like once it is published, everything would go on being reused as it was. This test
fails then: raise `FORMAT`, and put the new digests here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.runtime import FORMAT, storage
from components.runtime.files import CHECKED, file_hash, write_json
from components.runtime.stores import DATASET, MODEL, WEIGHTS, Artifact, Store
from tests.conftest import ROOT

DIGESTS = {
    1: {
        "dataset": "ef468d3871027130",
        "model": "b923ab47c93cde6f",
        "evaluation": "e71949618bc9ec66",
    }
}

ON_SERVER = """
import sys
from pathlib import Path
from clearml import Task
Task.init("format", "publisher", auto_connect_frameworks=False, auto_resource_monitoring=False)
from components.runtime.stores.server_store import ServerStore
from tests.runtime.stores.test_format import published
print("digest =", published(ServerStore(), sys.argv[1], Path(sys.argv[2])))
"""


def artifact(kind: str) -> Artifact:
    """One of each kind that the stores tell apart."""
    return Artifact(
        kind=kind,
        name="small",
        title=f"a small {kind}",
        content="" if kind == "evaluation" else "0123456789abcdef" * 4,
        apart=("seconds.json", "times"),
        tags=("small",),
        description="two images",
        facts={"images": 2, "size": 0.5, "name": "small"},
        labels=("cat", "dog") if kind == MODEL else (),
        shown=("report.html",) if kind == "evaluation" else (),
    )


def published(store: Store, kind: str, folder: Path) -> str:
    """A digest of what comes back of a small folder: names, bytes and identity."""
    write_json(folder / f"{kind}.json", {"b": [1, 2.5, None], "a": {"é": "ü"}})
    write_json(folder / "seconds.json", {"seconds": 1.5})
    (folder / "times").mkdir()
    (folder / "times" / "table.csv").write_bytes(b"a,b\n1,2\n")
    (folder / "report.html").write_bytes(b"<html>\n")
    (folder / (WEIGHTS if kind == MODEL else "images.bin")).write_bytes(bytes(range(256)))
    reference = store.publish(folder, artifact(kind))
    told = [*store.identity(reference)]
    made = store.fetch(reference)
    for path in sorted(made.rglob("*")):
        if path.is_file() and path.name != CHECKED:
            told += [path.relative_to(made).as_posix(), file_hash(path)]
    summary = folder.parent / "summary.json"
    write_json(summary, told)
    return file_hash(summary)[:16]


@pytest.mark.parametrize("kind", [DATASET, MODEL, "evaluation"])
def test_the_local_store_publishes_the_bytes_of_this_format(kind: str, tmp_path: Path) -> None:
    store = storage.use_outputs(tmp_path)
    with storage.workspace() as folder:
        assert published(store, kind, folder) == DIGESTS[FORMAT][kind], __doc__


@pytest.mark.parametrize("kind", [DATASET, MODEL, "evaluation"])
def test_a_server_keeps_the_bytes_of_this_format(
    kind: str, tmp_path: Path, clearml_conf: Path
) -> None:
    environment = {
        "CLEARML_CONFIG_FILE": str(clearml_conf),
        "CLEARML_CONFIG_PATH": str(ROOT / "pipelines" / "engine" / "clearml"),
        "CLEARML_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    (tmp_path / "made").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ON_SERVER, kind, tmp_path / "made"],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"digest = {DIGESTS[FORMAT][kind]}\n" in done.stdout, __doc__
