"""Features are computed once for each image and view, and equal those computed anew, to the bit."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.features import build
from components.features.build import build_features
from components.imaging.dataloader import OnDisk, open_split
from components.imaging.dataset import (
    SPLITS,
    Image,
    load_images,
    load_info,
    save_images,
    save_info,
)
from components.imaging.framework import keras
from components.networks.features import (
    PLAIN,
    Extractor,
    backbone_hash,
    fetched,
    views_of,
)
from components.networks.models import backbone_and_head, build_classifier
from components.runtime.files import read_json
from components.runtime.stores.local_store import LocalStore
from components.train.parameters import Train
from tests.train.helpers import make_dataset, settings

CODE = "c0de" * 4


class World:
    """A store, and a dataset of which parts are embedded."""

    def __init__(self, folder: Path, dataset: Path, weights: Path) -> None:
        self.folder, self.dataset, self.weights = folder, dataset, str(weights / "model.keras")
        self.store = LocalStore(folder / "outputs")

    def settings(self, **changes: Any) -> Train:
        return settings(**{"weights": self.weights, "cached_views": 2, **changes})

    def part(self, keep: Any) -> Path:
        """The dataset with those rows that `keep` returns of all."""
        target = self.folder / "part"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.dataset, target)
        rows: list[Image] = keep(load_images(self.dataset))
        save_images(target, rows, "processed")
        info = load_info(target)
        info["counts"] = {split: {"disc": sum(r.split == split for r in rows)} for split in SPLITS}
        save_info(target, info)
        return target

    def features(self, dataset: Path, code: str = CODE, **changes: Any) -> tuple[int, Path]:
        """Embed a dataset: how many features were computed, and the folder with all."""
        made: list[Extractor] = []

        class Counted(Extractor):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                made.append(self)

        with self.store.workspace() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(build, "Extractor", Counted)
            chosen = self.settings(**changes)
            artifact = build_features(self.store, dataset, folder, chosen, code, lambda *_: None)
            return made[0].computed, self.store.fetch(self.store.publish(folder, artifact))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, dataset: Path, trained: Path) -> Path:
    """The features of the dataset, computed from nothing."""
    world = World(tmp_path_factory.mktemp("whole"), dataset, trained)
    computed, folder = world.features(dataset, code="")
    assert computed == 24 * 2 + 8 + 8
    return folder


@pytest.fixture
def world(tmp_path: Path, dataset: Path, trained: Path) -> World:
    return World(tmp_path, dataset, trained)


def same(one: Path, other: Path) -> bool:
    """Whether both have the same files."""
    return read_json(one / "sealed.json")["files"] == read_json(other / "sealed.json")["files"]


def test_an_image_has_the_same_bits_at_any_place_of_any_batch(tmp_path: Path) -> None:
    images = open_split(make_dataset(tmp_path / "data", size=64, train=40), "train")
    keras.utils.set_random_seed(1)
    backbone, _ = backbone_and_head(build_classifier(settings(), 2, (64, 64)))

    def computed(some: OnDisk, view: Any) -> np.ndarray:
        return Extractor(backbone_hash(backbone), lambda: backbone)(some, view)

    for view in views_of(settings(cached_views=2)):
        together = computed(images, view)
        assert together.shape == (40, 64)
        order = np.random.default_rng(0).permutation(40)[:37]
        rows = [images.images[row] for row in order]
        apart = computed(
            dataclasses.replace(images, images=rows, labels=images.labels[order]), view
        )
        np.testing.assert_array_equal(apart, together[order])
    assert (together != computed(images, PLAIN)).any()


@pytest.mark.parametrize(
    ("before", "missing"),
    [
        (lambda rows: rows[1:], 2),  # a training image, which has two views
        (lambda rows: rows[:-1], 1),
        (lambda rows: rows[::-1], 0),
        (lambda rows: [row._replace(path=f"new/{row.path}", label="disc") for row in rows], 0),
        (lambda rows: [*rows[:12], *(row._replace(split="test") for row in rows[12:])], 12),
    ],
    ids=["train", "test", "order", "names", "splits"],
)
def test_only_images_that_no_earlier_dataset_had_are_computed(
    world: World, whole: Path, before: Any, missing: int
) -> None:
    world.features(world.part(before))
    computed, again = world.features(world.dataset)
    assert computed == missing
    assert same(again, whole)


def test_what_another_change_needs_is_kept(world: World, whole: Path) -> None:
    assert world.features(world.dataset)[0] == 64
    for changes, missing in (
        (dict(rotation=20.0), 24),
        (dict(seed=2), 24),
        (dict(cached_views=3), 24),
        (dict(learning_rate=0.5, dropout=0.5, fine_tune_epochs=3), 0),
    ):
        computed, reused = world.features(world.dataset, **changes)
        assert computed == missing, changes
    assert same(reused, whole)
    assert world.features(world.dataset, code="0ther" * 3)[0] == 64


def test_of_one_backbone_the_newest_stay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "KEPT", 2)
    folders = [world.features(world.dataset, seed=seed)[1] for seed in range(3)]
    assert [folder.exists() for folder in folders] == [False, True, True]


@pytest.mark.parametrize("file", ["view_1.npy", "features.json"])
def test_a_damaged_file_is_noticed_and_made_again(world: World, file: str) -> None:
    _, folder = world.features(world.dataset)
    reference = folder.relative_to(world.store.outputs).as_posix()
    before = (folder / file).read_bytes()
    (folder / file).chmod(0o600)
    (folder / file).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert list(fetched(world.store, reference)) == []
    computed, again = world.features(world.dataset)
    assert computed == 64
    assert (again / file).read_bytes() == before
    assert list(fetched(world.store, reference)) == [again]


def test_a_backbone_is_known_by_what_it_computes(world: World) -> None:
    def hashed(size: int = 16, **changes: Any) -> str:
        network = build_classifier(world.settings(**changes), 2, (size, size))
        return backbone_hash(backbone_and_head(network)[0])

    assert hashed() == hashed(learning_rate=0.1)
    keras.utils.set_random_seed(5)
    assert len({hashed(), hashed(size=24), hashed(weights=None), hashed(weights=None)}) == 4
