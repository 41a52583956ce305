"""Examine every file of a source once, in parallel, and write the raw dataset."""

from __future__ import annotations

import functools
import hashlib
import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from components.imaging.dataset import (
    FINE,
    LEFT_OUT,
    PLACE,
    REPAIRED,
    Image,
    ShardReader,
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
from components.ingest.findings import findings_in, save_findings
from components.ingest.layout import File
from components.ingest.pages import MOST_PICTURES, kind_of, write_left_out_page
from components.ingest.parameters import Ingest
from components.ingest.sources import open_source, public
from components.ingest.sources.kind import Resolve, Source
from components.ingest.verdict import THUMBNAIL, Finding, Limits, examine_all, suffix_of
from components.runtime.parallel import chunked, count_workers, map_ordered
from components.runtime.progress import progress
from components.runtime.schema import BadInput
from components.runtime.stores import pieces_key
from components.runtime.text import printable

logger = logging.getLogger(__name__)

IMAGES_PER_FILE, BYTES_PER_FILE = 1000, 1e8  # of a packed raw dataset, whichever comes first
KEEPER = {"test": 0, "validation": 1, "train": 2, "": 3}  # which of equal files stays


class Seen(NamedTuple):
    """A file, and the finding on it."""

    file: File
    finding: Finding


def pieces_of(settings: Ingest, code: str) -> str:
    """`Artifact.pieces` of a raw dataset."""
    return pieces_key(code, *_limits(settings))


def build_raw_dataset(
    settings: Ingest,
    folder: Path,
    *,
    resolve: Resolve | None = None,
    pack: bool = False,
    earlier: Iterable[Path] = (),
    scratch: Path | None = None,
) -> dict[str, Any]:
    """Examine the source and write `dataset.json`, `images.csv`, findings and two pages.

    Files of a folder stay where they are unless `pack` asks for copies in `shards/`; those of an
    archive are always packed. `resolve` turns a ClearML dataset's name into a local folder. What
    `earlier` raw datasets of the same limits found is not looked for again; hashes of files are
    kept below `scratch`. Returns what `dataset.json` says. BadInput when the source does not serve
    or exceeds a limit.
    """
    source = open_source(settings, resolve, scratch)
    source = replace(source, files=sorted(source.files, key=lambda file: file.place))
    known, pictures = _known(source, earlier, pack or not source.stays)
    with ShardWriter(
        folder, IMAGES_PER_FILE, bytes_per_file=BYTES_PER_FILE, earlier=pictures
    ) as writer:
        examined = _examine(source, settings, known, writer if pictures is not None else None)
        seen = list(progress(examined, total=len(source.files), label="ingest"))
    source.known.save()
    save_findings(folder, ((item.file.path, item.finding) for item in seen))
    seen.sort(key=lambda item: item.file.path)
    images = _without_duplicates(writer.placed(map(_image, seen)))
    images = _with_groups(images, seen, settings.near_duplicate_distance)
    info = _describe(source, settings, images)
    _check_limits(source, settings, images, info)
    info["files"] = dict(sorted(writer.files.items()))
    save_images(folder, images, "raw")
    save_info(folder, info)
    with ShardReader(folder) as reader:
        write_preview(folder / "preview.jpg", images, reader)
        shown = {item.file.path: item.finding.picture for item in seen if item.finding.picture}
        page = folder / "left_out.html"
        write_left_out_page(page, images, shown, reader, settings.max_megapixels)
    _log(info)
    return info


def _limits(settings: Ingest) -> Limits:
    return Limits(*(getattr(settings, name) for name in Limits._fields))


def _known(
    source: Source, earlier: Iterable[Path], pack: bool
) -> tuple[list[Finding | None], Pictures | None]:
    """The findings of earlier datasets on the files, None where there is none; and the pictures
    that they hold, None if none are to be packed.

    Files are read for their hash only if there is anything to be found by it.
    """
    folders, again = itertools.tee(earlier)
    first = next(again, None)
    if first is None:
        return [None] * len(source.files), {} if pack else None
    keys = [
        (sha256, suffix_of(file.path))
        for file, sha256 in zip(source.files, source.hashes(), strict=True)
    ]
    wanted = {key for file, key in zip(source.files, keys, strict=True) if not file.problem}
    findings = look_into(folders, wanted, findings_in)
    good = {one.sha256 for one in findings.values() if one.verdict != LEFT_OUT}
    pictures = look_into(itertools.chain([first], again), good, pictures_in) if pack else None
    known: list[Finding | None] = []
    shown = 0
    for key in keys:
        finding = findings.get(key)
        if finding and finding.verdict != LEFT_OUT and pack and key[0] not in pictures:
            finding = None  # its bytes are needed
        if finding and finding.picture is None and shown < MOST_PICTURES:
            finding = None
        shown += bool(finding and finding.picture)
        known.append(finding)
    return known, pictures


def _examine(
    source: Source, settings: Ingest, known: list[Finding | None], writer: ShardWriter | None
) -> Iterator[Seen]:
    """The finding on each file, in the source's order; good files go to `writer`."""
    found = [
        Finding(LEFT_OUT, file.problem) if file.problem else finding
        for file, finding in zip(source.files, known, strict=True)
    ]
    files = [file for file, finding in zip(source.files, found, strict=True) if not finding]
    workers = count_workers(settings.workers, (file.size for file in files))
    if writer:  # the bytes are read here, for the workers and for packing
        root, contents = None, source.contents(files)
    else:  # workers read the files themselves; no bytes travel
        root, contents = source.root, ((file, b"") for file in files)
    chunks = chunked(contents, lambda content: len(content[1]) if writer else content[0].size)
    function = functools.partial(examine_all, root, _limits(settings))
    results = map_ordered(function, chunks, workers)
    new = ((c, f) for pair in results for c, f in zip(*pair, strict=True))
    pictures = MOST_PICTURES
    for file, finding in zip(source.files, found, strict=True):
        if not finding:
            (file, data), finding = next(new)
            if finding.sha256:
                source.learn(file, finding.sha256)
            if writer and finding.verdict != LEFT_OUT:
                writer.add(finding.sha256, data)
        elif writer:
            writer.take_over(finding.sha256)
        pictures -= bool(finding.picture)
        if finding.picture and pictures < 0:
            finding = finding._replace(picture=None)
        yield Seen(file, finding)


def _image(item: Seen) -> Image:
    file, finding = item
    return Image(
        path=file.path, label=file.label, split=file.split,
        verdict=finding.verdict, reason=finding.reason, sha256=finding.sha256,
        width=finding.width, height=finding.height,
        brightness=round(sum(finding.thumbnail) / THUMBNAIL**2, 1),
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
