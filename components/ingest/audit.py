"""Examine every file of a source once, in parallel, and write the raw dataset."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from components.imaging.dataset import (
    FINE,
    LEFT_OUT,
    PLACE,
    REPAIRED,
    Image,
    ShardReader,
    ShardWriter,
    recorded_parameters,
    save_images,
    save_info,
)
from components.imaging.preview import write_preview
from components.ingest.layout import File
from components.ingest.pages import MOST_PICTURES, kind_of, write_left_out_page
from components.ingest.parameters import Ingest
from components.ingest.sources import open_source, public
from components.ingest.sources.kind import Resolve, Source
from components.ingest.verdict import (
    THUMBNAIL,
    Finding,
    Limits,
    examine_all,
)
from components.runtime.parallel import chunked, count_workers, map_ordered
from components.runtime.progress import progress
from components.runtime.schema import BadInput
from components.runtime.text import printable

logger = logging.getLogger(__name__)

IMAGES_PER_FILE, BYTES_PER_FILE = 1000, 1e8  # of a packed raw dataset, whichever comes first
KEEPER = {"test": 0, "validation": 1, "train": 2, "": 3}  # which of equal files stays


class Seen(NamedTuple):
    """A file, the finding on it, and where it was packed (`shard`, `offset`, `size`)."""

    file: File
    finding: Finding
    packed: tuple[str, int, int] = ("", 0, 0)


def build_raw_dataset(
    settings: Ingest, folder: Path, *, resolve: Resolve | None = None, pack: bool = False
) -> dict[str, Any]:
    """Examine the source and write `dataset.json`, `images.csv` and two pages into `folder`.

    Files of a folder stay where they are unless `pack` asks for copies in `shards/`; those of an
    archive are always packed. `resolve` turns a ClearML dataset's name into a local folder.
    Returns what `dataset.json` says. BadInput when the source does not serve or exceeds a limit.
    """
    source = open_source(settings, resolve)
    pack = pack or source.root is None
    with ShardWriter(folder, "raw", IMAGES_PER_FILE, bytes_per_file=BYTES_PER_FILE) as writer:
        examined = _examine(source, settings, writer if pack else None)
        seen = list(progress(examined, total=len(source.files), label="ingest"))
    seen.sort(key=lambda item: item.file.path)
    images = _without_duplicates([_image(item) for item in seen])
    images = _with_groups(images, seen, settings.near_duplicate_distance)
    info = _describe(source, settings, images)
    _check_limits(source, settings, images, info)
    info["files"] = writer.files
    save_images(folder, images, "raw")
    save_info(folder, info)
    with ShardReader(folder) as reader:
        write_preview(folder / "preview.jpg", images, reader)
        pictures = {item.file.path: item.finding.picture for item in seen if item.finding.picture}
        page = folder / "left_out.html"
        write_left_out_page(page, images, pictures, reader, settings.max_megapixels)
    _log(info)
    return info


def _examine(source: Source, settings: Ingest, writer: ShardWriter | None) -> Iterator[Seen]:
    """The finding on each file, in the source's order; good files go to `writer`."""
    limits = Limits(*(getattr(settings, name) for name in Limits._fields))
    workers = count_workers(settings.workers, (file.size for file in source.files))
    if writer:  # the bytes are read here, for the workers and for packing
        root, contents = None, source.contents()
    else:  # workers read the files themselves; no bytes travel
        root, contents = source.root, ((file, b"") for file in source.files)
    chunks = chunked(contents, lambda content: len(content[1]) if writer else content[0].size)
    function = functools.partial(examine_all, root, limits)
    results = map_ordered(function, chunks, workers)
    pictures = MOST_PICTURES
    for (file, data), finding in ((c, f) for pair in results for c, f in zip(*pair, strict=True)):
        packed = ("", 0, 0)
        if writer and finding.verdict != LEFT_OUT:
            packed = writer.add(finding.sha256, data)
        pictures -= bool(finding.picture)
        if pictures < 0:
            finding = finding._replace(picture=b"")
        yield Seen(file, finding, packed)


def _image(item: Seen) -> Image:
    file, finding, packed = item
    return Image(
        path=file.path, label=file.label, split=file.split,
        verdict=finding.verdict, reason=finding.reason, sha256=finding.sha256,
        width=finding.width, height=finding.height,
        brightness=round(sum(finding.thumbnail) / THUMBNAIL**2, 1),
        shard=packed[0], offset=packed[1], size=packed[2],
    )  # fmt: skip


def _without_duplicates(images: list[Image]) -> list[Image]:
    """Of equal files one stays, the first or a test image; of those with two labels none.

    Rows keep their order; those left out get the verdict and the reason.
    """
    kept = [place for place, image in enumerate(images) if image.verdict != LEFT_OUT]
    hashes = [images[place].sha256 for place in kept]
    images = list(images)
    for places in _several(kept, hashes):
        labels = sorted({images[place].label for place in places})
        places.sort(key=lambda place: (KEEPER[images[place].split], place))
        first = images[places[0]]
        for place in places if len(labels) > 1 else places[1:]:
            if len(labels) == 1:
                reason = f"duplicate: of {first.path}"
            else:
                other = next(p for p in places if images[p].label != images[place].label)
                reason = f"two labels: equal to {images[other].path}"
            images[place] = images[place]._replace(verdict=LEFT_OUT, reason=reason)
    return images


def _several(places: list[int], keys: list[Any]) -> list[list[int]]:
    """The places that share a key with others, key by key."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for place, key in zip(places, keys, strict=True):
        groups[key].append(place)
    return [group for group in groups.values() if len(group) > 1]


def _with_groups(images: list[Image], seen: list[Seen], distance: int) -> list[Image]:
    """The rows with `group` filled in for images that have near duplicates.

    Groups with several labels are told in `reason`: near is not equal, so their images stay.
    """
    kept = [place for place, image in enumerate(images) if image.verdict != LEFT_OUT]
    if distance < 0 or len(kept) < 2:
        return images
    from components.ingest.near_duplicates import group_near_duplicates  # numpy: not for workers

    pixels = bytearray().join(seen[place].finding.thumbnail for place in kept)
    images = list(images)
    for places in _several(kept, group_near_duplicates(pixels, THUMBNAIL, distance)):
        name = min(images[place].sha256 for place in places)[:16]
        note = "near duplicate with another label"
        labels = {images[place].label for place in places}
        for place in places:
            image = images[place]
            reason = ", ".join(filter(None, [image.reason, note if len(labels) > 1 else ""]))
            images[place] = image._replace(group=name, reason=reason)
    return images


def _describe(source: Source, settings: Ingest, images: list[Image]) -> dict[str, Any]:
    """The content of `dataset.json`."""
    kept = [image for image in images if image.verdict != LEFT_OUT]
    classes = sorted({file.label for file in source.files if file.label})
    counts = Counter(image.label for image in kept)
    verdicts = Counter(image.verdict for image in images)
    kinds = sorted(kind_of(image.reason) for image in images if image.verdict == LEFT_OUT)
    root = None if any(image.shard for image in kept) else str(source.root)
    return {
        "kind": "raw",
        "name": source.name,
        "classes": classes,
        "source": source.told,
        "root": root,
        "counts": {label: counts[label] for label in classes},
        "splits": dict(sorted(Counter(image.split for image in kept if image.split).items())),
        "verdicts": {verdict: verdicts[verdict] for verdict in (FINE, REPAIRED, LEFT_OUT)},
        "reasons": dict(Counter(kinds).most_common()),
        "notes": source.notes,
        "near_duplicate_groups": len({image.group for image in kept if image.group}),
        "distributions": {
            label: _distributions([image for image in kept if image.label == label])
            for label in classes
        },
        "content": _content(images, source.name, classes),
        "parameters": recorded_parameters(public(settings)),
    }


def _content(images: list[Image], name: str, classes: list[str]) -> str:
    """The hash of all that preprocess takes over: not of where the bytes lie."""
    about = "\0".join([name, *classes, ""])
    digest = hashlib.sha256(about.encode("utf-8", "surrogateescape"))
    for image in images:
        digest.update("\0".join(map(str, image[:PLACE])).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _distributions(images: list[Image]) -> dict[str, list[float]]:
    """Minimum, 10 %, median, 90 % and maximum of width, height (pixels) and brightness (0-255)."""
    result = {}
    for name in ("width", "height", "brightness"):
        values = sorted(getattr(image, name) for image in images) or [0]
        result[name] = [values[round(part * (len(values) - 1))] for part in (0, 0.1, 0.5, 0.9, 1)]
    return result


def _check_limits(
    source: Source, settings: Ingest, images: list[Image], info: dict[str, Any]
) -> None:
    left_out = [image for image in images if image.verdict == LEFT_OUT]
    told = _told(info["reasons"])
    example = ""
    if left_out:
        example = f", such as {printable(left_out[0].path)}: {printable(left_out[0].reason)}"
    for label, good in info["counts"].items():
        if good < settings.min_images_per_class:
            raise BadInput(
                f"{source.told}: class {printable(label)} has {good} good images, "
                f"fewer than ingest.min_images_per_class={settings.min_images_per_class}"
                + (f" (left out: {told}{example})" if left_out else "")
            )
    if len(left_out) > settings.max_rejected_fraction * len(images):
        raise BadInput(
            f"{source.told}: {len(left_out)} of {len(images)} files are left out, more than "
            f"ingest.max_rejected_fraction={settings.max_rejected_fraction} ({told}{example})"
        )


def _told(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in reasons.items())


def _log(info: dict[str, Any]) -> None:
    fine, repaired, left_out = info["verdicts"].values()
    reasons = _told(info["reasons"])
    logger.info(
        "%d of %d images in %d classes, %d left out%s",
        fine + repaired, fine + repaired + left_out, len(info["classes"]), left_out,
        f" ({reasons})" if reasons else "",
    )  # fmt: skip
    for note in info["notes"]:
        logger.info("%s", note)
    if info["near_duplicate_groups"]:
        logger.info("%d groups of near duplicates stay together", info["near_duplicate_groups"])
