"""The pipeline as a user runs it: offline, from a copy of the checkout, in a subprocess."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from components.imaging.dataset import load_info
from tests.checkout import ENTRY, Checkout

# Seconds instead of minutes; the stages, the loop and the report are the real ones.
TINY = ("preprocess.image_size=32", "train.epochs=2", "evaluate=quick")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with one finished run."""
    checkout = Checkout(tmp_path_factory.mktemp("trained"))
    done = checkout.run(*TINY)
    assert done.returncode == 0, done.stderr
    return checkout


def test_a_run_leaves_what_a_person_looks_for(trained: Checkout) -> None:
    folder = trained.run_folder()
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        ".hydra",
        "config.yaml",
        "run.log",
        "manifest.csv",
        "model.keras",
        "metrics.json",
        "report.html",
    }
    assert 0 <= json.loads((folder / "metrics.json").read_text())["accuracy"] <= 1
    assert "epochs: 2" in (folder / "config.yaml").read_text()
    log = (folder / "run.log").read_text()
    for stage in ("ingest", "preprocess", "train", "evaluate"):
        assert f"{stage:<10} runs: never run" in log


def test_a_run_touches_nothing_outside_its_outputs(trained: Checkout) -> None:
    names = {path.name for path in trained.root.iterdir()}
    assert names == {".gitignore", "components", "pipelines", "conf", "data", "outputs"}
    assert not list((trained.root / "outputs" / "tmp").iterdir())


def test_the_report_needs_no_network(trained: Checkout) -> None:
    report = (trained.run_folder() / "report.html").read_text()
    assert not re.search(r"""(src|href)=["']https?:""", report)
    assert report.count("<img") >= 4


def test_the_screen_shows_progress_and_no_warnings(tmp_path: Path) -> None:
    done = Checkout(tmp_path).run(*TINY)
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert len(lines) < 15
    assert lines[-1].startswith("accuracy ")
    assert lines[-1].endswith("/report.html")
    assert lines[-2].startswith("predict    python pipelines/predict.py images=new_photos model=")
    assert lines[-3].startswith("model      outputs/models/small_resnet-")
    assert any(line.startswith("epoch 2/2") for line in lines)


def test_the_same_seed_twice_gives_the_same_weights(tmp_path: Path, trained: Checkout) -> None:
    again = Checkout(tmp_path)
    assert again.run(*TINY).returncode == 0
    models = [{path.name for path in one.root.glob("outputs/models/*")} for one in (trained, again)]
    assert models[0] == models[1] != set()


def test_a_broken_image_is_left_out_and_told(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (checkout.root / "data/train/cat/000.jpg").write_bytes(b"no image")
    done = checkout.run("run.stages=[ingest,preprocess]")
    assert done.returncode == 0, done.stderr
    assert "199 of 200 images in 2 classes, 1 left out" in done.stdout
    told, first = done.stdout.splitlines()[-2:]
    assert told.startswith(
        "left out   1 of 200 files; all of them with pictures: outputs/datasets/"
    )
    assert Path(checkout.root / told.partition("pictures: ")[2]).is_file()
    assert first.startswith("           train/cat/000.jpg: ")
    (raw,) = (checkout.root / "outputs/datasets").glob("raw-*")
    (row,) = [line for line in (raw / "images.csv").read_text().splitlines() if "left_out" in line]
    assert "train/cat/000.jpg" in row


def test_a_folder_with_any_number_of_classes_trains(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    photos = tmp_path / "my photos"
    for number, path in enumerate(sorted((checkout.root / "data/train").rglob("*.jpg"))):
        target = photos / f"class {number % 3}" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(f"{number}.jpg").write_bytes(path.read_bytes())
    done = checkout.run(*TINY, "ingest=folder", f"ingest.path='{photos}'")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((checkout.run_folder() / "metrics.json").read_text())
    assert metrics["classes"] == ["class 0", "class 1", "class 2"]


PARSERS = """
import builtins, runpy, sys, threading
real = builtins.compile
def compile_(source, filename, mode, flags=0, *more, **named):
    if flags & 0x400 and threading.current_thread() is not threading.main_thread():
        print("PARSED BY", threading.current_thread().name, filename, file=sys.stderr)
    return real(source, filename, mode, flags, *more, **named)
builtins.compile = compile_
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_no_thread_parses_beside_the_steps(tmp_path: Path) -> None:
    """CPython 3.11.7 ends in a SystemError where two threads parse; ClearML's did, by itself."""
    checkout = Checkout(tmp_path)
    done = checkout.python("-c", PARSERS, ENTRY, *TINY, "run.stages=[ingest,preprocess]")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.slow
def test_the_real_photos_train(tmp_path: Path, shared_data: Path) -> None:
    import zipfile

    with zipfile.ZipFile(shared_data / "PetImages.zip") as archive:
        archive.extractall(tmp_path)
    done = Checkout(tmp_path).run(*TINY, "ingest=folder", f"ingest.path={tmp_path / 'PetImages'}")
    assert done.returncode == 0, done.stderr
    assert "\n1405 of 1417 images in 2 classes, 12 left out (" in done.stdout


def test_a_model_of_a_set_that_was_extended_is_that_of_one_from_scratch(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    stages = "run.stages=[ingest,preprocess]"
    assert checkout.run(*TINY, stages).returncode == 0
    cats, dogs = (checkout.root / "data/train" / label for label in ("cat", "dog"))
    shutil.copy(cats / "000.jpg", tmp_path / "moved.jpg")
    (dogs / "000.jpg").replace(cats / "000.jpg")  # and so under another label
    (tmp_path / "moved.jpg").replace(dogs / "new.jpg")
    (dogs / "001.jpg").unlink()
    made = []
    for outputs in ("outputs", "fresh"):
        done = checkout.run(*TINY, "run.stages=[ingest,preprocess,train]", f"run.outputs={outputs}")
        assert done.returncode == 0, done.stderr
        processed = (checkout.root / outputs / "datasets").glob("processed-*")
        newest = max(processed, key=lambda folder: folder.stat().st_mtime_ns)
        models = [path.name for path in (checkout.root / outputs / "models").iterdir()]
        made.append((models, load_info(newest)["content"], load_info(newest)["files"]))
    assert made[0][:2] == made[1][:2]
    assert made[0][2] != made[1][2]  # the first took over what it had
