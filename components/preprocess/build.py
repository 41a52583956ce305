"""Split, resize, encode and pack a raw dataset: in one go, or in parts that are merged."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from components.imaging.dataset import (
    COLUMNS,
    LEFT_OUT,
    PLACE,
    SPLITS,
    Image,
    ShardReader,
    ShardWriter,
    load_images,
    load_info,
    recorded_parameters,
    save_images,
    save_info,
)
from components.imaging.preview import write_preview
from components.preprocess.images import process_images
from components.preprocess.parameters import Preprocess
from components.preprocess.splits import assign
from components.runtime.parallel import chunked, count_workers, map_ordered
from components.runtime.progress import progress
from components.runtime.schema import BadInput

logger = logging.getLogger(__name__)


def build_dataset(raw: Path, folder: Path, settings: Preprocess) -> dict[str, Any]:
    """Turn the raw dataset in `raw` into a processed one in `folder`; what `dataset.json` says.

    BadInput when a split that was asked for gets no image.
    """
    info = build_part(raw, folder, settings, 0, 1)
    _log(info)
    return info


def build_part(
    raw: Path, folder: Path, settings: Preprocess, part: int, parts: int
) -> dict[str, Any]:
    """Like `build_dataset`, but only every `parts`-th tar file, beginning with number `part`."""
    raw_info = load_info(raw)
    if raw_info["kind"] != "raw":
        raise BadInput(f"{raw}: is a {raw_info['kind']} dataset; preprocess needs a raw one")
    root = raw_info["root"]
    if root and not Path(root).is_dir():
        raise BadInput(f"{root}: the photos that ingest saw are no longer there; run ingest again")
    kept, crossing = _plan(raw, settings)
    planned = list(_files(kept, settings.images_per_file))[part::parts]
    images, files = _pack(raw, folder, planned, settings)
    left_out = [(image.path, image.reason) for image in crossing] if part == 0 else []
    about = {
        "name": raw_info["name"],
        "classes": raw_info["classes"],
        "image_size": [settings.image_size, settings.image_size],
        "raw": raw_info["content"],
        "notes": raw_info.get("notes", []),
        "parameters": recorded_parameters(settings),
    }
    return _write(folder, images, left_out, files, about)


def merge_parts(parts: list[Path], folder: Path) -> dict[str, Any]:
    """Merge the parts of one dataset; the bytes are those of a single run of `build_dataset`."""
    infos = [load_info(part) for part in parts]
    if len({(info["raw"], json.dumps(info["parameters"])) for info in infos}) != 1:
        raise BadInput(f"{parts[0]}: the parts come from different datasets or parameters")
    (folder / "shards").mkdir(exist_ok=True)
    for part, info in zip(parts, infos, strict=True):
        for name in info["files"]:
            shutil.copyfile(part / "shards" / name, folder / "shards" / name)
    first = infos[0]
    merged = _write(
        folder,
        [image for part in parts for image in load_images(part)],
        [(item["path"], item["reason"]) for info in infos for item in info["left_out"]],
        {name: digest for info in infos for name, digest in info["files"].items()},
        {
            key: first[key]
            for key in ("name", "classes", "image_size", "raw", "notes", "parameters")
        },
    )
    _log(merged)
    return merged


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


def _files(images: list[Image], images_per_file: int) -> Iterator[tuple[str, int, list[Image]]]:
    """Split, number and images of each tar file."""
    for split in SPLITS:
        own = [image for image in images if image.split == split]
        for number, start in enumerate(range(0, len(own), images_per_file)):
            yield split, number, own[start : start + images_per_file]


def _pack(
    raw: Path, folder: Path, planned: list[tuple[str, int, list[Image]]], settings: Preprocess
) -> tuple[list[Image], dict[str, str]]:
    """Process images into tar files: their rows, and the files' sha256.

    `BadInput` for an image that ingest let pass and that can't be read: its loss would be kept.
    """
    todo = [image for _, _, images in planned for image in images]
    workers = count_workers(settings.workers, map(_size, todo))
    function = functools.partial(process_images, raw, settings)
    chunks = map_ordered(function, chunked(todo, _size), workers)
    made = itertools.chain.from_iterable(stored for _, stored in chunks)
    stored = progress(made, total=len(todo), label="preprocess")
    suffix = {"jpeg": "jpg", "png": "png"}[settings.format]
    rows, files = [], {}
    for split, number, images in planned:
        with ShardWriter(folder, split, len(images), first=number) as writer:
            for image in images:
                data, problem = next(stored)
                if problem:
                    raise BadInput(
                        f"{image.path}: {problem}, but ingest has read it; run again to see it anew"
                    )
                shard, offset, size = writer.add(f"{image.sha256}.{suffix}", data)
                rows.append(
                    image._replace(verdict="", reason="", shard=shard, offset=offset, size=size)
                )
        files.update(writer.files)
    return rows, files


def _size(image: Image) -> int:
    """About how many bytes the original has: a JPEG takes a quarter of a byte a pixel."""
    return image.size or image.width * image.height // 4


def _write(
    folder: Path,
    images: Iterable[Image],
    left_out: list[tuple[str, str]],
    files: dict[str, str],
    about: dict[str, Any],
) -> dict[str, Any]:
    """The table, the preview and `dataset.json`, which comes last."""
    images = sorted(images, key=_order)
    counts = Counter((image.split, image.label) for image in images)
    save_images(folder, images, "processed")
    files = dict(sorted(files.items()))
    info = {
        "kind": "processed",
        **about,
        "counts": {
            split: {label: counts[split, label] for label in about["classes"]} for split in SPLITS
        },
        "left_out": [{"path": path, "reason": reason} for path, reason in sorted(left_out)],
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
