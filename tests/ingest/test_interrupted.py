"""Runs that are killed or fill the disk, in processes of their own."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ingest.builders import contents, fill, photos

ROOT = Path(__file__).parents[2]
# Both stages into temporary folders that are moved into place, as the pipeline does it.
SCRIPT = """
import shutil, sys, tempfile
from pathlib import Path
from components.runtime import parallel
from components.ingest.audit import build_raw_dataset
from components.preprocess.build import build_dataset
from tests.ingest.builders import ingest_settings, preprocess_settings

parallel.SMALL_WORK = 0
photos, outputs = map(Path, sys.argv[1:])
def publish(name, make):
    if not (outputs / name).exists():
        folder = Path(tempfile.mkdtemp(dir=outputs))
        make(folder)
        folder.rename(outputs / name)
settings = ingest_settings(path=photos, workers=2)
publish("raw", lambda folder: build_raw_dataset(settings, folder, pack=True))
settings = preprocess_settings(workers=2)
publish("done", lambda folder: build_dataset(outputs / "raw", folder, settings))
"""


def start(photos: Path, outputs: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", SCRIPT, str(photos), str(outputs)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)


def workers_of(session: int) -> list[int]:
    """Processes of the session that are still there."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def all_end(session: int) -> bool:
    """Whether the session's processes are gone within some seconds."""
    deadline = time.monotonic() + 10
    while workers_of(session) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not workers_of(session)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_run_after_killed_ones_ends_with_the_same_bytes(tmp_path: Path) -> None:
    folder = fill(tmp_path / "photos", photos(400))
    undisturbed, outputs = tmp_path / "undisturbed", tmp_path / "outputs"
    undisturbed.mkdir()
    outputs.mkdir()
    begin = time.monotonic()
    assert start(folder, undisturbed).wait() == 0
    length = time.monotonic() - begin
    dice = random.Random(2)
    for _ in range(12):
        run = start(folder, outputs)
        time.sleep(dice.uniform(0.05, 0.9) * length)
        run.kill()
        run.communicate()
        assert all_end(run.pid), "workers outlive their parent"
        for name in ("raw", "done"):
            if (outputs / name).exists():
                assert contents(outputs / name) == contents(undisturbed / name)
        shutil.rmtree(outputs / "done", ignore_errors=True)
        if dice.random() < 0.7:
            shutil.rmtree(outputs / "raw", ignore_errors=True)
    assert start(folder, outputs).wait() == 0
    for name in ("raw", "done"):
        assert contents(outputs / name) == contents(undisturbed / name)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 200 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_leaves_no_dataset(tmp_path: Path, small_disk: Path) -> None:
    folder = fill(tmp_path / "photos", photos(200))
    run = start(folder, small_disk)
    errors = run.communicate(timeout=120)[1].decode()
    assert run.returncode != 0
    assert "No space left on device" in errors
    assert not (small_disk / "raw").exists()
    assert all_end(run.pid)
