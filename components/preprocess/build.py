"""Split, resize, encode and pack a raw dataset: in one go, or in parts that are merged."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from components.imaging.dataset import (
    COLUMNS,
    LEFT_OUT,
    PLACE,
    SPLITS,
    Image,
    ShardReader,
    load_images,
    load_info,
    recorded_parameters,
    save_images,
    save_info,
)
from components.imaging.packing import (
    Pictures,
    ShardWriter,
    look_into,
    pictures_in,
)
from components.imaging.preview import write_preview
from components.preprocess.images import process_images, recipe_of
from components.preprocess.parameters import Preprocess
from components.preprocess.splits import assign
from components.runtime.parallel import chunked, count_workers, map_ordered
from components.runtime.progress import progress
from components.runtime.schema import BadInput
from components.runtime.stores import pieces_key

logger = logging.getLogger(__name__)

Bring = Callable[[Collection[str]], Any]


def pieces_of(settings: Preprocess, code: str) -> str:
    """`Artifact.pieces` of a processed dataset."""
    return pieces_key(code, *recipe_of(settings))


def build_dataset(
    raw: Path,
    folder: Path,
    settings: Preprocess,
    earlier: Iterable[Path] = (),
    parts: Sequence[Path] = (),
    bring: Bring = lambda files: None,
) -> dict[str, Any]:
    """Turn the raw dataset in `raw` into a processed one in `folder`; what `dataset.json` says.

    Pictures that `parts` of it or `earlier` datasets of the same recipe hold are not made again.
    `bring` is asked for those files of `raw` that are needed beside its tables.
    BadInput when a split that was asked for gets no image.
    """
    raw_info = _raw_info(raw)
    kept, crossing = _plan(raw, settings)
    wanted = {image.sha256 for image in kept}
    pictures: Pictures = {}
    for part in parts:
        if load_info(part) != load_info(part) | _made_of(raw_info, settings):
            raise BadInput(f"{part}: the parts come from different datasets or parameters")
        pictures |= pictures_in(part, wanted)
    pictures |= look_into(earlier, wanted - pictures.keys(), pictures_in)
    images, files = _pack(raw, folder, kept, settings, pictures, bring)
    about = {
        "kind": "processed",
        "name": raw_info["name"],
        "classes": raw_info["classes"],
        "image_size": [settings.image_size, settings.image_size],
        "notes": raw_info.get("notes", []),
        **_made_of(raw_info, settings),
    }
    info = _write(folder, images, crossing, files, about)
    _log(info)
    return info


def build_part(
    raw: Path,
    folder: Path,
    settings: Preprocess,
    part: int,
    parts: int,
    earlier: Iterable[Path] = (),
    bring: Bring = lambda files: None,
) -> None:
    """Make what part number `part` of `parts` has to make of the pictures, for `build_dataset`.

    That is those which lie together in `raw`, so that it is asked for few of its files.
    """
    raw_info = _raw_info(raw)
    kept = sorted(_plan(raw, settings)[0], key=lambda image: (image.shard, image.offset))
    share = kept[len(kept) * part // parts : len(kept) * (part + 1) // parts]
    share.sort(key=_order)
    wanted = {image.sha256 for image in share}
    there = look_into(earlier, wanted, pictures_in)
    share = [image for image in share if image.sha256 not in there]
    images, files = _pack(raw, folder, share, settings, {}, bring)
    save_images(folder, images, "processed")
    save_info(folder, {"kind": "part", "files": files, **_made_of(raw_info, settings)})


def _raw_info(raw: Path) -> dict[str, Any]:
    """What the raw dataset says; BadInput where it is none or its photos are gone."""
    raw_info = load_info(raw)
    if raw_info["kind"] != "raw":
        raise BadInput(f"{raw}: is a {raw_info['kind']} dataset; preprocess needs a raw one")
    root = raw_info["root"]
    if root and not Path(root).is_dir():
        raise BadInput(f"{root}: the photos that ingest saw are no longer there; run ingest again")
    return raw_info


def _made_of(raw_info: dict[str, Any], settings: Preprocess) -> dict[str, Any]:
    return {"raw": raw_info["content"], "parameters": recorded_parameters(settings)}


def _log(info: dict[str, Any]) -> None:
    counts = {split: sum(labels.values()) for split, labels in info["counts"].items()}
    told = ", ".join(f"{count} {split}" for split, count in counts.items())
    logger.info("%d images: %s, %d left out", sum(counts.values()), told, len(info["left_out"]))


def _plan(raw: Path, settings: Preprocess) -> tuple[list[Image], list[Image]]:
    """The images to process in their final order, with their splits; those left out."""
    good = [image for image in load_images(raw) if image.verdict != LEFT_OUT]
    kept, crossing = assign(
        good, settings.validation_fraction, settings.test_fraction, settings.split_seed
    )
    counts = Counter(image.split for image in kept)
    asked = {"validation": settings.validation_fraction, "test": settings.test_fraction}
    for split in SPLITS:
        if not counts[split] and asked.get(split, 1) > 0:
            name = f"preprocess.{split}_fraction={asked[split]}" if split in asked else "preprocess"
            raise BadInput(f"{name}: none of {len(good)} images is left for {split}; add images")
    return sorted(kept, key=_order), crossing


def _order(image: Image) -> tuple[int, str]:
    """By split, then by hash: the classes are mixed, so reading in sequence is reading shuffled."""
    return SPLITS.index(image.split), image.sha256


def _files(images: list[Image], images_per_file: int) -> list[list[Image]]:
    """The images of each tar file, if all are packed anew: never of two splits."""
    splits = [[image for image in images if image.split == split] for split in SPLITS]
    return [
        own[start : start + images_per_file]
        for own in splits
        for start in range(0, len(own), images_per_file)
    ]


def _pack(
    raw: Path,
    folder: Path,
    images: list[Image],
    settings: Preprocess,
    pictures: Pictures,
    bring: Bring,
) -> tuple[list[Image], dict[str, str]]:
    """Process images into tar files: their rows, and the files' sha256.

    `BadInput` for an image that ingest let pass and that can't be read: its loss would be kept.
    """
    todo = [image for image in images if image.sha256 not in pictures]
    if shards := {f"shards/{image.shard}" for image in todo if image.shard}:
        bring(shards)
    workers = count_workers(settings.workers, map(_size, todo))
    function = functools.partial(process_images, raw, settings)
    chunks = map_ordered(function, chunked(todo, _size), workers)
    made = itertools.chain.from_iterable(stored for _, stored in chunks)
    stored = progress(made, total=len(todo), label="preprocess")
    ending = {"jpeg": ".jpg", "png": ".png"}[settings.format]
    most = settings.images_per_file
    with ShardWriter(folder, most, ending=ending, earlier=pictures) as writer:
        new = [image for image in images if image.sha256 not in writer.places]
        for file in _files(new, most):
            for image in file:
                if not writer.take_over(image.sha256):
                    data, problem = next(stored)
                    if problem:
                        raise BadInput(
                            f"{image.path}: {problem}, but ingest has read it; "
                            "run again to see it anew"
                        )
                    writer.add(image.sha256, data)
            writer.end_shard()
    rows = (image._replace(verdict="", reason="") for image in images)
    return writer.placed(rows), dict(sorted(writer.files.items()))


def _size(image: Image) -> int:
    """About how many bytes the original has: a JPEG takes a quarter of a byte a pixel."""
    return image.size or image.width * image.height // 4


def _write(
    folder: Path,
    images: list[Image],
    crossing: list[Image],
    files: dict[str, str],
    about: dict[str, Any],
) -> dict[str, Any]:
    """The table, the preview and `dataset.json`, which comes last."""
    counts = Counter((image.split, image.label) for image in images)
    save_images(folder, images, "processed")
    left_out = sorted((image.path, image.reason) for image in crossing)
    info = about | {
        "counts": {
            split: {label: counts[split, label] for label in about["classes"]} for split in SPLITS
        },
        "left_out": [{"path": path, "reason": reason} for path, reason in left_out],
        "files": files,
    }
    with ShardReader(folder, info) as reader:
        info["content"] = _content(images, reader, info)
        write_preview(folder / "preview.jpg", images, reader)
    save_info(folder, info)
    return info


def _content(images: list[Image], reader: ShardReader, info: dict[str, Any]) -> str:
    """The hash of all that training reads, in whichever tar file it lies."""
    about = [info["classes"], info["image_size"], info["parameters"]["resize"]]
    digest = hashlib.sha256(json.dumps(about).encode())
    columns = [Image._fields.index(name) for name in COLUMNS["processed"]]
    told = [place for place in columns if place < PLACE]
    for image in images:
        row = "\0".join(str(image[place]) for place in told).encode("utf-8", "surrogateescape")
        digest.update(row + hashlib.sha256(reader.read(image)).digest())
    return digest.hexdigest()
