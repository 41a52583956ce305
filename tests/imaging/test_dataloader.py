"""Reading a processed dataset: order, values, and both ways of holding it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.imaging import dataloader
from components.imaging.dataloader import InMemory, OnDisk, load_source, load_split
from components.imaging.dataset import ShardReader, load_images
from components.imaging.decoding import decode_rgb
from components.runtime.schema import BadInput
from tests.train.helpers import CLASSES, make_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("dataset"), size=16, train=24, others=10)


def test_a_split_comes_in_the_order_of_the_table(dataset: Path) -> None:
    rows = load_images(dataset, "test")
    reader = ShardReader(dataset)
    batches = list(load_split(dataset, "test", 4))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    assert [CLASSES[label] for label in labels] == [row.label for row in rows]
    expected = np.stack([np.asarray(decode_rgb(reader.read(row))) for row in rows])
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, expected)


def test_from_memory_and_from_disk_come_the_same_batches(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = load_source(dataset, "train")
    monkeypatch.setattr(dataloader, "memory", lambda: 0)
    streamed = load_source(dataset, "train")
    assert isinstance(kept, InMemory)
    assert isinstance(streamed, OnDisk)
    order = np.random.default_rng(0).permutation(24)
    batches = [list(source.batches(order, 5, drop_last=True)) for source in (kept, streamed)]
    assert len(batches[0]) == len(batches[1]) == 4
    for (one, one_label), (other, other_label) in zip(*batches, strict=True):
        assert one.shape == (5, 16, 16, 3)
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one_label, other_label)


def test_an_empty_split_is_named(dataset: Path) -> None:
    with pytest.raises(BadInput, match=r"no validation images.*preprocess\.validation_fraction"):
        load_split(make_dataset(dataset / "other", others=0), "validation", 4)
