"""Splits: whatever the images, the rules hold."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.imaging.dataset import Image
from components.preprocess.splits import assign
from components.runtime.schema import BadInput


def image(number: int, label: str, group: str = "", split: str = "") -> Image:
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    return Image(f"{label}/{number}.jpg", label, split, sha256=sha256, group=group)


def datasets(splits: list[str] | None = None) -> st.SearchStrategy[list[Image]]:
    """Up to 80 images of three classes, some in groups, with ready-made splits or without."""
    rows = st.tuples(
        st.sampled_from("abc"), st.sampled_from(["", "", "", "g1", "g2", "g3"]),
        st.sampled_from(splits or [""]),
    )  # fmt: skip
    return st.lists(rows, min_size=1, max_size=80).map(
        lambda found: [image(number, *row) for number, row in enumerate(found)]
    )


fractions = st.floats(0, 0.45)


def splits_of(images: list[Image], *arguments: float) -> dict[str, str]:
    return {image.path: image.split for image in assign(images, *arguments, 0)[0]}


@given(datasets(["", "train", "validation", "test"]), fractions, fractions)
def test_every_image_gets_a_split_or_a_reason(images: list[Image], one: float, two: float) -> None:
    kept, left_out = assign(images, one, two, 0)
    assert sorted(i.path for i in kept + left_out) == sorted(i.path for i in images)
    assert {i.split for i in kept} <= {"train", "validation", "test"}
    assert all(i.reason for i in left_out)


@given(datasets(["", "train", "validation", "test"]), fractions, fractions)
def test_no_group_crosses(images: list[Image], one: float, two: float) -> None:
    groups = defaultdict(set)
    for kept in assign(images, one, two, 0)[0]:
        groups[kept.group or kept.path].add(kept.split)
    assert all(len(splits) == 1 for splits in groups.values())


@given(datasets(), st.randoms(), st.integers(0, 5))
def test_the_order_of_the_images_does_not_matter(images: list[Image], dice, seed: int) -> None:
    shuffled = dice.sample(images, len(images))
    assert set(assign(images, 0.2, 0.2, seed)[0]) == set(assign(shuffled, 0.2, 0.2, seed)[0])


@given(st.lists(st.booleans(), min_size=300, max_size=300))
@settings(max_examples=30)
def test_an_image_stays_when_others_are_added_or_removed(stays: list[bool]) -> None:
    images = [image(n, "abc"[n % 3]) for n in range(300)]
    some = [one for one, stay in zip(images, stays, strict=True) if stay]
    counts = Counter(one.label for one in some)
    if min(counts["a"], counts["b"], counts["c"]) < 40:
        return  # a class that misses a split takes an image from another one
    everything = splits_of(images, 0.2, 0.2)
    assert splits_of(some, 0.2, 0.2).items() <= everything.items()


@given(datasets())
def test_an_addition_moves_nothing_out_of_the_test_set_but_by_need(images: list[Image]) -> None:
    """Even when it joins a group; classes here are too small to promise more."""
    big = [image(1000 + n, label) for n in range(60) for label in "abc"]
    before = splits_of(big + images[1:], 0.2, 0.2)
    after = splits_of(big + images, 0.2, 0.2)
    assert all(after[path] == "test" for path, split in before.items() if split == "test")


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.4])
def test_each_class_is_cut_in_the_same_proportions(fraction: float) -> None:
    count = 3000
    images = [image(n, "ab"[n % 2]) for n in range(2 * count)]
    counts = Counter((i.label, i.split) for i in assign(images, fraction, fraction, 0)[0])
    spread = 4 * (count * fraction * (1 - fraction)) ** 0.5  # four standard deviations
    for label in "ab":
        for split in ("validation", "test"):
            assert abs(counts[label, split] - count * fraction) < spread


@given(st.integers(3, 12), st.integers(0, 30))
def test_even_a_tiny_class_has_an_image_in_every_split(size: int, seed: int) -> None:
    images = [image(n, "tiny") for n in range(size)] + [image(n + 99, "big") for n in range(200)]
    kept, _ = assign(images, 0.15, 0.15, seed)
    assert {i.split for i in kept if i.label == "tiny"} == {"train", "validation", "test"}


def test_a_ready_made_split_is_respected() -> None:
    images = [image(n, "ab"[n % 2], split="test" if n % 4 > 1 else "train") for n in range(400)]
    kept, left_out = assign(images, 0.2, 0.4, 0)
    after = {i.path: i.split for i in kept}
    assert left_out == []
    assert {after[i.path] for i in images if i.split == "test"} == {"test"}
    assert {after[i.path] for i in images if i.split == "train"} == {"train", "validation"}
    assert 20 < Counter(after.values())["validation"] < 60


def test_training_images_near_ready_made_test_images_are_left_out() -> None:
    images = [image(1, "a", "g", "train"), image(2, "a", "g", "test"), image(3, "a", "", "train")]
    kept, left_out = assign(images, 0, 0, 0)
    assert {i.path: i.split for i in kept} == {"a/2.jpg": "test", "a/3.jpg": "train"}
    assert [i.path for i in left_out] == ["a/1.jpg"]
    assert "near duplicate" in left_out[0].reason


def test_another_seed_draws_other_sets() -> None:
    images = [image(n, "ab"[n % 2]) for n in range(200)]
    assert assign(images, 0.2, 0.2, 0) != assign(images, 0.2, 0.2, 1)


def test_nothing_left_for_training_is_a_mistake() -> None:
    with pytest.raises(BadInput, match=r"preprocess\.test_fraction=0\.5.*below 1"):
        assign([image(1, "a")], 0.5, 0.5, 0)
