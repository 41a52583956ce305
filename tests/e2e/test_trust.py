"""What a cache can get wrong, one scenario a test: docs/trust.md has the table.

Each scenario changes one thing and asserts which stages run and what a person then finds: never
another thing than what that run made or reused, and no stage more than necessary.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from components.runtime.stores.local_store import LocalStore
from tests.checkout import ENTRY, Checkout
from tests.e2e.conftest import STAGES, TINY
from tests.e2e.test_cache import World, reused

ALL = list(STAGES)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A checkout with one finished run, which plans leave as it is."""
    world = World(Checkout(tmp_path_factory.mktemp("trust")), None)
    world.run()
    return world


@pytest.fixture
def own(world: World, tmp_path: Path) -> World:
    """A copy of that checkout, to run and to spoil."""
    copied = World(Checkout(tmp_path), None)
    shutil.copytree(world.root / "outputs", copied.root / "outputs")
    copied.run()  # the raw dataset points to the photos of its own checkout
    return copied


def published(world: World, kind: str) -> Path:
    """The only published folder of that kind, such as `models/*`."""
    (folder,) = world.root.glob(f"outputs/{kind}")
    return folder


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line with these words, and nothing else."""
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert [word for word in words if word not in line] == []


def alter(path: Path) -> None:
    """Another byte at the end, as an editor or a bad disk leaves it; size and times stay."""
    path.chmod(0o644)
    before = path.stat()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# -- what is no change ----------------------------------------------------------------------------


def test_01_nothing(world: World) -> None:
    assert reused(world.plan()) == ALL


def test_02_a_comment_a_docstring_and_layout(world: World) -> None:
    with world.changed("components/train/fit.py", "\n\n\n", '\n\n\n# Why.\n\n\n"""Words."""\n\n'):
        assert reused(world.plan()) == ALL


def test_03_the_machinery(world: World) -> None:
    with world.changed("components/runtime/progress.py", "\n\n\n", "\n\nNOTHING = 0\n\n\n"):
        assert reused(world.plan()) == ALL
    with world.changed("pipelines/engine/steps.py", "\n\n\n", "\n\nNOTHING = 0\n\n\n"):
        assert reused(world.plan()) == ALL


def test_04_a_page_of_clearml(world: World) -> None:
    with world.changed("components/train/page.py", "\n\n\n", "\n\nNOTHING = 0\n\n\n"):
        assert reused(world.plan()) == ALL


def test_05_a_parameter_that_decides_nothing(world: World) -> None:
    assert reused(world.plan("ingest.workers=2", "evaluate.batch_size=8")) == ALL


def test_06_a_photo_that_was_only_touched(world: World) -> None:
    (world.root / "data/train/cat/000.jpg").touch()
    assert reused(world.plan()) == ALL


def test_07_a_file_of_weights_that_was_only_copied(own: World) -> None:
    first, second = own.root / "a.keras", own.root / "b.keras"
    shutil.copy(published(own, "models/*") / "model.keras", first)
    own.run(f"train.weights={first}")
    shutil.copy(first, second)
    second.replace(first)
    assert reused(own.plan(f"train.weights={first}")) == ALL


# -- what is a change, and of what -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "name", "runs"),
    [
        ("08", "components/evaluate/metrics.py", ["evaluate"]),
        ("09", "components/train/optimizers.py", ["train"]),
        ("10", "components/imaging/decoding.py", ["ingest", "preprocess", "evaluate"]),
        ("11", "components/ingest/verdict.py", ["ingest"]),
    ],
)
def test_08_to_11_the_code_of(world: World, number: str, name: str, runs: list[str]) -> None:
    with world.changed(name, "\n\n\n", "\n\nNOTHING = 0\n\n\n"):
        told = world.plan()
    changed = [stage for stage in ALL if f"{name} changed" in told[stage]]
    assert changed == [stage for stage in runs if stage not in unknown(told)]
    assert not set(reused(told)) & set(runs)


def unknown(told: dict[str, str]) -> list[str]:
    """The stages of a plan that depend on one that runs."""
    return [stage for stage in ALL if "unless the new" in told[stage]]


def test_12_a_parameter(world: World) -> None:
    told = world.plan("train.label_smoothing=0.1")
    assert reused(told) == ["ingest", "preprocess"]
    assert told["train"] == "run: train.label_smoothing 0.0 -> 0.1"


def test_13_a_module_that_is_imported_relatively(world: World) -> None:
    with world.changed(
        "components/train/hardware.py", "\n\n\n", "\n\nfrom . import optimizers as _r\n\n\n"
    ):
        relative = world.plan()["train"]
    assert relative == "run: components/train/hardware.py changed"


def test_14_a_template_below_a_folder(world: World) -> None:
    foot = world.root / "components/evaluate/pages/foot.jinja"
    foot.parent.mkdir()
    foot.write_text("<footer></footer>")
    try:
        assert world.plan()["evaluate"] == "run: components/evaluate/pages/foot.jinja added"
    finally:
        shutil.rmtree(foot.parent)


def test_15_the_version_of_a_package(world: World, tmp_path: Path) -> None:
    (tmp_path / "pillow-99.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: pillow\nVersion: 99.0\n"
    (tmp_path / "pillow-99.0.dist-info" / "METADATA").write_text(metadata)
    told = world.plan(PYTHONPATH=f"{world.root}:{tmp_path}")
    assert re.fullmatch(r"run: pillow \S+ -> 99\.0", told["ingest"])


def test_16_settings_that_change_the_arithmetic(world: World) -> None:
    told = world.plan(TF_ENABLE_ONEDNN_OPTS="0")
    assert reused(told) == ["ingest", "preprocess"]
    assert "TF_ENABLE_ONEDNN_OPTS" in told["train"]


def test_17_the_precision_that_keras_json_sets(world: World, tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps({"floatx": "float64"}))
    told = world.plan(KERAS_HOME=str(tmp_path))
    assert reused(told) == ["ingest", "preprocess"]
    assert "floatx" in told["train"]


def test_18_a_photo_more(world: World) -> None:
    image = world.root / "data/train/cat/more.jpg"
    shutil.copy(world.root / "data/test/cat/000.jpg", image)
    try:
        assert world.plan()["ingest"] == "run: input changed: images of the source"
    finally:
        image.unlink()


def test_19_a_photo_less(world: World, tmp_path: Path) -> None:
    image = world.root / "data/train/cat/001.jpg"
    image.rename(tmp_path / "away.jpg")
    try:
        assert world.plan()["ingest"] == "run: input changed: images of the source"
    finally:
        (tmp_path / "away.jpg").rename(image)


def test_20_a_photo_whose_bytes_changed_at_the_same_size_and_time(world: World) -> None:
    image = world.root / "data/train/cat/002.jpg"
    data = image.read_bytes()
    alter(image)
    try:
        assert world.plan()["ingest"] == "run: input changed: images of the source"
    finally:
        image.write_bytes(data)


def test_21_a_file_of_weights_with_other_bytes(own: World) -> None:
    file = own.root / "a.keras"
    model = published(own, "models/*")
    shutil.copy(model / "model.keras", file)
    own.run(f"train.weights={file}")
    alter(file)
    assert own.plan(f"train.weights={file}")["train"] == "run: input changed: weights"
    reference = f"models/{model.name}"
    assert own.plan(f"train.weights={reference}")["train"].startswith("run: train.weights ")
    told = own.checkout.run(*TINY, f"train.weights={reference}x")
    assert told.returncode == 2
    words = f"error: train.weights={reference}x: there is no such file or model ("
    assert told.stderr.startswith(words)


# -- what is delivered is what was made ------------------------------------------------------------


def test_22_the_report_of_a_changed_template_arrives(own: World) -> None:
    template = "components/evaluate/report.html.jinja"
    with own.changed(template, "</body>", "<p>A new foot.</p></body>"):
        told = own.run()
    assert reused(told) == ["ingest", "preprocess", "train"]
    assert "A new foot." in (own.checkout.run_folder() / "report.html").read_text()


def test_23_equal_weights_by_other_settings_are_told_apart(own: World) -> None:
    for patience in ("5", "6"):
        own.run("train.epochs=2", f"train.patience={patience}")
        model = json.loads((own.checkout.run_folder() / "model.json").read_text())
        assert str(model["parameters"]["patience"]) == patience
        report = (own.checkout.run_folder() / "report.html").read_text()
        assert re.search(rf"patience\D+{patience}\D", report)


def test_24_an_equal_model_made_twice_is_evaluated_once(own: World) -> None:
    told = own.run("run.force=[train]")
    assert told["train"] == "runs: forced"
    assert reused(told) == ["ingest", "preprocess", "evaluate"]
    assert len(list(own.root.glob("outputs/models/*"))) == 1


def test_25_what_is_done_in_a_run_s_folder_stays_there(own: World) -> None:
    own.run("run.force=[preprocess,train,evaluate]")
    folder = own.checkout.run_folder()
    for name in ("manifest.csv", "model.keras", "model.json", "history.csv", "metrics.json"):
        alter(folder / name)
    alter(folder / "report.html")
    assert reused(own.plan()) == ALL


def test_26_a_run_that_only_reused_leads_to_what_it_reused(own: World) -> None:
    own.run()
    page = own.checkout.run_folder() / "report.html"
    (place,) = re.findall(r'url=([^"]+)"', page.read_text())
    assert (page.parent / place).resolve().is_file()
    page.write_text("spoilt")
    assert reused(own.plan()) == ALL


def test_27_runs_that_start_in_one_second_have_folders_of_their_own(own: World) -> None:
    before = set(own.root.glob("outputs/*-*-*/*"))
    command = [sys.executable, ENTRY, *TINY]
    environment = os.environ | {"PYTHONPATH": str(own.root)}
    runs = [subprocess.Popen(command, cwd=own.root, env=environment) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(set(own.root.glob("outputs/*-*-*/*")) - before) == 3


# -- what was altered is never used under its name -------------------------------------------------


@pytest.mark.parametrize("file", ["images.csv", "dataset.json", "shards/*.tar"])
def test_28_an_altered_dataset(own: World, file: str) -> None:
    dataset = published(own, "datasets/processed-*")
    path = min(dataset.glob(file))
    alter(path)
    stages = "run.stages=[train,evaluate]"
    for name in ("latest", f"datasets/{dataset.name}"):
        done = own.checkout.run(*TINY, stages, f"run.dataset={name}", "train.seed=5")
        refused(done, f"run.dataset=datasets/{dataset.name}: ", path.name)
    assert len(list(own.root.glob("outputs/models/*"))) == 1
    assert own.plan()["preprocess"] == "run: its output is missing or was altered"


@pytest.mark.parametrize("file", ["model.keras", "model.json", "trained_on.txt"])
def test_29_an_altered_model(own: World, file: str) -> None:
    model = published(own, "models/*")
    alter(model / file)
    stages = "run.stages=[evaluate]"
    done = own.checkout.run(*TINY, stages, "run.dataset=latest", "run.model=latest")
    refused(done, f"run.model=models/{model.name}: ", file)
    reference = f"model=models/{model.name}"
    images = "images=data/test/cat/000.jpg"
    refused(own.checkout.python("pipelines/predict.py", reference, images), file)
    refused(own.checkout.python("pipelines/export.py", reference, "folder=exported"), file)
    refused(own.checkout.python("pipelines/champion.py", f"promote=models/{model.name}"))
    if file == "model.keras":
        refused(own.checkout.run(*TINY, f"train.weights=models/{model.name}"), file)


def test_30_an_altered_model_in_a_run_s_folder(own: World) -> None:
    own.run("run.force=[train]")
    folder = own.checkout.run_folder()
    images = "images=data/test/cat/000.jpg"
    predict = ("pipelines/predict.py", f"model={folder}", images)
    assert own.checkout.python(*predict).returncode == 0
    alter(folder / "model.keras")
    refused(own.checkout.python(*predict), "model.keras")


def test_31_an_altered_seal(own: World) -> None:
    model = published(own, "models/*")
    seal = json.loads((model / "sealed.json").read_text())
    alter(model / "model.json")
    seal["files"]["model.json"]["sha256"] = "0" * 64
    (model / "sealed.json").write_text(json.dumps(seal))
    assert own.plan()["train"] == "run: its output is missing or was altered"


def test_32_a_lost_output(own: World) -> None:
    shutil.rmtree(published(own, "evaluations/*"))
    told = own.run()
    assert told["evaluate"] == "runs: its output is missing or was altered"
    assert reused(own.plan()) == ALL


def test_33_a_reference_that_leaves_the_store(own: World) -> None:
    model = published(own, "models/*")
    for name in (str(model), f"../outputs/models/{model.name}", "models/.."):
        done = own.checkout.run(
            *TINY, "run.stages=[evaluate]", "run.dataset=latest", f"run.model={name}"
        )
        refused(done, f"run.model={name}: nothing of that name is in ")


# -- others at work --------------------------------------------------------------------------------


def test_34_two_folders_of_equal_photos_share_the_outputs(own: World, tmp_path: Path) -> None:
    first, second = tmp_path / "one" / "photos", tmp_path / "two" / "photos"
    shutil.copytree(own.root / "data/train", first)
    shutil.copytree(first, second)
    stages = "run.stages=[ingest,preprocess]"
    own.run("ingest=folder", f"ingest.path={first}", stages)
    own.run("ingest=folder", f"ingest.path={second}", stages)
    shutil.rmtree(first)
    told = own.run("ingest=folder", f"ingest.path={second}", stages, "preprocess.image_size=24")
    assert told["ingest"].startswith("reused from run ")
    folder = own.checkout.run_folder()
    assert len((folder / "manifest.csv").read_text().splitlines()) == 141


def test_35_photos_that_go_while_a_run_reads_them(own: World) -> None:
    """What ingest accepted and preprocess can't read is an error, not a smaller dataset."""
    image = own.root / "data/train/cat/003.jpg"
    data = image.read_bytes()
    hook = "components/preprocess/build.py"
    gone = f"    from pathlib import Path as P; P({str(image)!r}).unlink(missing_ok=True)\n"
    line = "    raw_info = load_info(raw)\n"
    with own.changed(hook, line, gone + line):
        done = own.checkout.run(*TINY)
    refused(done, "train/cat/003.jpg: ")
    image.write_bytes(data)
    assert reused(own.run()) == ALL


def test_36_one_who_only_looks_removes_nothing(own: World) -> None:
    with LocalStore(own.root / "outputs").workspace() as alive:
        (alive / "half").write_text("half")
        own.plan()
        own.checkout.python("pipelines/champion.py")
        assert (alive / "half").exists()
    assert not alive.exists()


def test_37_a_run_that_was_killed(own: World) -> None:
    running = subprocess.Popen(
        [sys.executable, ENTRY, *TINY, "train.epochs=50"],
        cwd=own.root,
        env=os.environ | {"PYTHONPATH": str(own.root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in running.stdout:
        if line.startswith("epoch 2/"):
            break
    running.kill()
    running.wait()
    assert own.plan("train.epochs=50")["train"] == "run: train.epochs 1 -> 50"
    assert reused(own.plan()) == ALL
    assert not list((own.root / "outputs/tmp").iterdir())
    done = own.checkout.run(*TINY, "train.epochs=50")
    assert re.search(r"^going on after epoch \d+$", done.stdout, re.MULTILINE), done.stderr
    assert not list((own.root / "outputs/checkpoints").iterdir())


def test_38_a_clock_that_ran_ahead(own: World) -> None:
    future = time.time() + 10 * 365 * 86400
    for seal in own.root.glob("outputs/*/*/sealed.json"):
        os.utime(seal, (future, future))
    own.run("train.seed=9")
    newest = json.loads((own.checkout.run_folder() / "stages.json").read_text())[2]["reference"]
    own.run("run.stages=[evaluate]", "run.dataset=latest", "run.model=latest", "evaluate.seed=2")
    model = json.loads((own.root / "outputs" / newest / "model.json").read_text())["content"]
    metrics = json.loads((own.checkout.run_folder() / "metrics.json").read_text())
    assert metrics["model"] == model


@pytest.fixture
def emoji(own: World) -> Iterator[World]:
    photo = own.root / "data/train/cat/\N{CAT FACE} ü.jpg"
    picture = Image.open(own.root / "data/test/cat/000.jpg")
    picture.transpose(Image.Transpose.ROTATE_180).save(
        photo
    )  # no duplicate, which would be left out
    yield own


def test_39_a_locale_without_letters(emoji: World) -> None:
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    stages = "run.stages=[ingest,preprocess]"
    emoji.run(stages, **plain)
    rows = (emoji.checkout.run_folder() / "manifest.csv").read_text("utf-8")
    assert "train/cat/\N{CAT FACE} ü.jpg" in rows
    assert reused(emoji.run(stages) | dict.fromkeys(("train", "evaluate"), "reused")) == ALL


def test_40_another_checkout_with_the_environment_of_the_first(own: World, tmp_path: Path) -> None:
    """The environment's `components` are those of this repository; the copy runs its own."""
    name = "components/ingest/component.py"
    with own.changed(name, "    from components", '    print("of the copy")\n    from components'):
        done = own.checkout.anywhere(
            tmp_path, ENTRY, *TINY, "run.force=[ingest]", "run.stages=[ingest]"
        )
    assert done.returncode == 0, done.stderr
    assert "of the copy" in done.stdout


def test_41_a_record_of_another_shape(own: World) -> None:
    for number, path in enumerate(sorted(own.root.glob("outputs/cache/*/*.json"))):
        path.write_text(["[]", "7", '{"reference": 1}', "{}"][number % 4])
    told = own.run()
    assert reused(told) == []
