"""Datasets on a ClearML server: what their pages show, and what a bad network does to them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.imaging.dataset import load_info
from components.ingest.audit import build_raw_dataset
from components.preprocess.build import build_dataset
from tests.clearml_server import ClearMLServer
from tests.clearml_server.files import FilesHandler
from tests.clearml_server.http import Server
from tests.ingest.builders import (
    contents,
    encoded,
    fill,
    ingest_settings,
    photo,
    photos,
    preprocess_settings,
)
from tests.runtime.stores.publishing import Published

MORE = """
from components.imaging.artifact import dataset_artifact
from components.ingest.page import report as raw_page
from components.preprocess.page import report as processed_page
from components.train.artifact import model_artifact

def publish(folder, parent):
    page = processed_page if parent else raw_page
    return store.publish(folder, dataset_artifact(folder, parent, report=page))

from clearml.backend_api import Session

def events(dataset):
    ask = lambda name, **data: Session().send_request("events", name, json=data).json()["data"]
    plots = ask("get_task_plots", task=dataset)["plots"]
    pictures = ask("debug_images", metrics=[{"task": dataset}], iters=1)["metrics"]
    return plots, [e for m in pictures for i in m["iterations"] for e in i["events"]]

def shown(dataset):
    plots, pictures = events(dataset)
    return ", ".join(sorted({f"{one['metric']}/{one['variant']}" for one in plots + pictures}))

def table(dataset, variant):
    (plot,) = [one for one in events(dataset)[0] if one["variant"] == variant]
    return list(zip(*json.loads(plot["plot_str"])["data"][0]["cells"]["values"]))
"""


class BadFiles(FilesHandler):
    """A file server that loses the second half of some files."""

    uploads = downloads = 0  # how many of the next ones are cut
    seen: tuple[str, ...] = ()

    def _locate(self, name: str) -> Path | None:
        found = super()._locate(name)
        kind = type(self)
        if found and "dataset." in name and self.command == "GET" and kind.downloads:
            kind.downloads -= 1
            half = self.root / "half"
            half.write_bytes(found.read_bytes()[: found.stat().st_size // 2])
            return half
        return found

    def do_POST(self) -> None:
        super().do_POST()
        kind = type(self)
        for path in self.root.rglob("*/artifacts/data/dataset.*"):
            if path.name not in kind.seen:
                kind.seen = (*kind.seen, path.name)
                if kind.uploads:
                    kind.uploads -= 1
                    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("published")
    files = photos(30) | {"cat/x.jpg": b"text", "dog/grey.jpg": encoded(photo(77, mode="L"))}
    fill(folder / "photos", files)
    (folder / "raw").mkdir()
    build_raw_dataset(ingest_settings(path=folder / "photos"), folder / "raw", pack=True)
    for size in (16, 24):
        (folder / f"{size}").mkdir()
        build_dataset(folder / "raw", folder / f"{size}", preprocess_settings(image_size=size))
    (folder / "files").mkdir()
    BadFiles.root = (folder / "files").resolve()
    bad = Server(("127.0.0.1", 0), BadFiles)
    threading.Thread(target=bad.serve_forever, args=(0.05,), daemon=True).start()
    with ClearMLServer() as server:
        conf = server.write_conf(folder / "clearml.conf")
        text = conf.read_text().replace(server.files_url, f"http://127.0.0.1:{bad.server_port}")
        conf.write_text(text)
        yield Published(server, conf, folder, MORE)
    bad.shutdown()
    bad.server_close()


@pytest.fixture(scope="module")
def made(published: Published) -> dict[str, str]:
    """A raw dataset, whose first upload loses its half, and two processed from it."""
    BadFiles.uploads = 1
    return published.python(
        """
        raw = publish(folder / "raw", None)
        print("raw =", raw)
        print("again =", publish(folder / "raw", None))
        print("small =", publish(folder / "16", raw))
        large = publish(folder / "24", raw)
        print("large =", large)
        print("raw page =", shown(raw))
        print("large page =", shown(large))
        print("files =", *[row for row in table(raw, "files")])
        print("reasons =", *[row for row in table(raw, "verdicts and reasons")])
        """
    )


def test_an_upload_that_loses_a_half_is_made_again_and_leaves_nothing(
    published: Published, made: dict[str, str]
) -> None:
    assert BadFiles.uploads == 0
    assert set(published.datasets()) == {made["raw"], made["small"], made["large"]}
    assert made["again"] == made["raw"]
    for id, task in published.datasets().items():
        assert task["status"] == "completed", id


def test_datasets_are_versions_of_a_name_with_a_parent(
    published: Published, made: dict[str, str]
) -> None:
    datasets = published.datasets()
    versions = {
        name: datasets[made[name]]["runtime"]["version"] for name in ("raw", "small", "large")
    }
    assert versions == {"raw": "1.0.0", "small": "1.0.0", "large": "1.0.1"}
    for name in ("small", "large"):
        nodes = json.loads(datasets[made[name]]["configuration"]["Dataset Struct"]["value"])
        (own,) = [node for node in nodes.values() if node["job_id"] == made[name]]
        assert [nodes[parent]["job_id"] for parent in own["parents"]] == [made["raw"]]


def test_the_page_of_a_dataset_shows_what_is_in_it(
    published: Published, made: dict[str, str]
) -> None:
    raw, large = (published.datasets()[made[name]] for name in ("raw", "large"))
    content = load_info(published.folder / "raw")["content"]
    assert raw["tags"] == [f"content:{content[:12]}", "photos"]
    assert raw["comment"] == (f"61 images of photos in 2 classes (1 left out), content {content}")
    assert "24 x 24 px" in large["tags"]
    assert set(made["raw page"].split(", ")) >= {
        "audit/files",
        "audit/pictures of files left out",
        "audit/sizes and brightness",
        "audit/verdicts and reasons",
        "class counts/all",
        "images/by class",
        "preview/preview",
    }
    assert set(made["large page"].split(", ")) >= {"class counts/train", "preview/preview"}
    assert "('cat/x.jpg', 'cat', 'left_out', 'not an image" in made["files"]
    assert "('verdict', 'fine', 60)" in made["reasons"]


def test_a_damaged_copy_is_fetched_again_and_one_that_stays_so_is_told(
    published: Published, made: dict[str, str]
) -> None:
    """ClearML itself compares sizes only, and leaves out the files of a chunk that is cut."""
    told = published.python(
        f"""
        copy = store.fetch("{made["small"]}")
        shard = min((copy / "shards").iterdir())
        whole = shard.read_bytes()
        shard.write_bytes(whole[:-1] + b"x")
        assert store.fetch("{made["small"]}") == copy
        print("mended =", shard.read_bytes() == whole)
        (copy / "images.csv").unlink()
        store.fetch("{made["small"]}")
        print("complete =", (copy / "images.csv").exists())
        """
    )
    assert told == {"mended": "True", "complete": "True"}
    BadFiles.downloads = 100
    told = published.python(
        f"""
        try:
            store.fetch("{made["large"]}")
        except OSError as error:
            print("told =", error)
        """
    )
    BadFiles.downloads = 0
    assert "comes damaged from the server" in told["told"]
    told = published.python(f'print("fetched =", store.fetch("{made["large"]}"))')
    assert contents(Path(told["fetched"])) == contents(published.folder / "24")


def test_a_damaged_copy_of_a_model_is_fetched_again(published: Published) -> None:
    told = published.python(
        """
        import zipfile
        model = folder / "model"
        model.mkdir()
        with zipfile.ZipFile(model / "model.keras", "w") as archive:
            archive.writestr("model.weights.h5", bytes(range(256)) * 100)
        info = {"architecture": "small_resnet", "classes": ["cat", "dog"], "content": "c" * 64}
        info |= {"epochs": 1, "validation": {"accuracy": 0.9}}
        (model / "model.json").write_text(json.dumps(info))
        id = store.publish(model, model_artifact(model, "a dataset"))
        copy = store.fetch(id) / "model.keras"
        whole = copy.read_bytes()
        print("arrived =", whole == (model / "model.keras").read_bytes())
        copy.write_bytes(whole.replace(bytes(range(256)), bytes(256), 1))
        print("mended =", (store.fetch(id) / "model.keras").read_bytes() == whole)
        copy.write_bytes(whole[:999])
        print("whole =", (store.fetch(id) / "model.keras").read_bytes() == whole)
        """
    )
    assert told == {"arrived": "True", "mended": "True", "whole": "True"}
