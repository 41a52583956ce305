"""Train, validation and test by content: an image's split depends on its bytes alone.

Each group of near duplicates (an image alone is a group of one) draws a number in [0, 1) from the
smallest hash of its members, and the number picks the split. So adding or removing other images
moves nothing, every class is cut in the same proportions, and no group crosses. The proportions are
met as closely as chance allows (600 of 3,000 images: +- 22).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

from components.imaging.dataset import SPLITS, Image
from components.runtime.schema import BadInput

PRIORITY = {"test": 0, "validation": 1, "train": 2, "": 3}  # who keeps a group that crosses


def assign(
    images: list[Image], validation_fraction: float, test_fraction: float, seed: int
) -> tuple[list[Image], list[Image]]:
    """The images with their `split` filled in, and those left out with their `reason`.

    A ready-made split is respected: only splits that it lacks are drawn, from its training images.
    Its training images that are near duplicates of its test images are left out.
    """
    if validation_fraction + test_fraction >= 1:
        raise BadInput(
            f"preprocess.test_fraction={test_fraction}: with preprocess.validation_fraction="
            f"{validation_fraction} nothing is left for training; their sum must be below 1"
        )
    ready = {image.split for image in images}
    shares = {
        "test": 0.0 if "test" in ready else test_fraction,
        "validation": 0.0 if "validation" in ready else validation_fraction,
    }
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        groups[image.group or image.sha256].append(image)

    kept: list[Image] = []
    left_out: list[Image] = []
    drawn: list[tuple[float, list[Image]]] = []
    for members in groups.values():
        first = min((image.split for image in members), key=PRIORITY.__getitem__)
        for image in members:
            if first in ("test", "validation") and image.split not in (first, ""):
                reason = f"near duplicate of an image of the ready-made {first} split"
                left_out.append(image._replace(reason=reason))
            elif first in ("test", "validation"):
                kept.append(image._replace(split=first))
        if first in ("train", ""):
            drawn.append((min(_number(image.sha256, seed) for image in members), members))
    drawn.sort(key=lambda item: item[0])
    for split, members in zip(_draw(drawn, shares), (m for _, m in drawn), strict=True):
        kept += [image._replace(split=split) for image in members]
    return kept, left_out


def _draw(drawn: list[tuple[float, list[Image]]], shares: dict[str, float]) -> list[str]:
    """The split of each group, given in the order of their numbers.

    A class that would miss a split, as very small ones do, gives it the group that came nearest.
    """
    bound, bounds = 0.0, []
    for split, share in shares.items():
        bound += share
        bounds.append((bound, split))
    splits = [next((s for b, s in bounds if number < b), "train") for number, _ in drawn]
    places: dict[str, list[int]] = defaultdict(list)
    for place, (_, members) in enumerate(drawn):
        for label in {image.label for image in members}:
            places[label].append(place)
    for _, own in sorted(places.items()):
        for split in [*(s for s, share in shares.items() if share > 0), "train"]:
            counts = Counter(splits[place] for place in own)
            donor = next((s for s in SPLITS if counts[s] > 1), None)
            if donor and not counts[split]:
                places_there = [place for place in own if splits[place] == donor]
                splits[places_there[-1 if split == "train" else 0]] = split
    return splits


def _number(sha256: str, seed: int) -> float:
    """A number in [0, 1) from a content hash."""
    digest = hashlib.sha256(f"{seed}/{sha256}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
