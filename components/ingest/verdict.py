"""The verdict on one file, from its bytes alone; runs in worker processes, where imports cost."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageFile

from components.imaging.dataset import FINE, LEFT_OUT, REPAIRED
from components.imaging.decoding import (
    SHRINKABLE,
    SIDEWAYS,
    SUFFIXES,
    Refused,
    decode_rgb,
    has_alpha,
    is_deep,
    open_image,
    turn_of,
    was_turned,
)
from components.ingest.damage import as_grey, missing_share
from components.ingest.layout import File
from components.runtime.files import read_below

THUMBNAIL = 16  # pixels, side of the grey thumbnail that near duplicates are found by
PICTURE = 112  # pixels, longer side of a picture on the page of files left out


class Limits(NamedTuple):
    """What an image must keep; the parameters of the same names say more."""

    max_megapixels: float
    min_side: int
    min_contrast: int
    max_missing_fraction: float = 0.02


class Finding(NamedTuple):
    """What a file turned out to be."""

    verdict: str
    reason: str = ""
    sha256: str = ""
    width: int = 0  # pixels, upright
    height: int = 0
    thumbnail: bytes = b""  # grey, THUMBNAIL x THUMBNAIL, upright; empty when not decoded
    picture: bytes | None = b""  # a small JPEG of an image left out, as far as it can be decoded;
    # None: there may be one, but enough others are shown


def suffix_of(path: str) -> str:
    """All that counts of a file's name."""
    name = path.rpartition("/")[2]
    place = name.rfind(".")
    return name[place:].lower() if 0 < place < len(name) - 1 else ""


def examine_all(
    root: Path | None, limits: Limits, contents: list[tuple[File, bytes]]
) -> list[Finding]:
    """Findings on files whose bytes are given, or are to be read below the folder `root`."""
    findings = []
    for file, data in contents:
        try:
            if root and not file.problem:
                data = read_below(root, file.path)
        except OSError as error:
            file = file._replace(problem=f"cannot be read: {error.strerror}")
        findings.append(examine(data, file, limits))
    return findings


def examine(data: bytes, file: File, limits: Limits) -> Finding:
    """The verdict on one file; never raises, whatever the bytes are."""
    if file.problem:
        return Finding(LEFT_OUT, file.problem)
    sha256 = hashlib.sha256(data).hexdigest()
    if not data:
        return Finding(LEFT_OUT, "empty", sha256)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        finding = _examine(data, file.path, limits)
        picture = _picture(data, limits) if finding.verdict == LEFT_OUT else b""
    return finding._replace(sha256=sha256, picture=picture)


def _examine(data: bytes, path: str, limits: Limits) -> Finding:
    width = height = 0
    try:
        image = open_image(data, limits.max_megapixels)
        width, height = image.size
        if min(width, height) < limits.min_side:
            return Finding(LEFT_OUT, f"too small: {width}x{height} pixels", "", width, height)
        repairs, turned = _repairs(image), was_turned(image)
        grey = as_grey(image)
        darkest, brightest = grey.getextrema()
        small = grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        missing = missing_share(data, image, grey) if brightest > darkest else 0.0
        turn = turn_of(image)
    except Refused as refused:
        return Finding(LEFT_OUT, str(refused), "", *refused.size)
    except Exception as error:  # damaged files raise almost anything
        return Finding(LEFT_OUT, _damage(error), "", width, height)
    if image.format not in SHRINKABLE:
        width, height = image.size  # Pillow may have turned it
    if turn is not None:
        small = small.transpose(turn)
        if turn in SIDEWAYS:
            width, height = height, width
    if brightest - darkest < limits.min_contrast:
        return Finding(LEFT_OUT, "blank", "", width, height, small.tobytes())
    if missing > limits.max_missing_fraction:
        told = f"damaged: {missing:.0%} of the picture is missing"
        return Finding(LEFT_OUT, told, "", width, height, small.tobytes())
    if turned or turn is not None:
        repairs.insert(0, "turned upright")
    suffix = suffix_of(path)
    if suffix not in SUFFIXES[image.format]:
        repairs.insert(0, f"{image.format} named {suffix or 'without ending'}")
    verdict = REPAIRED if repairs else FINE
    return Finding(verdict, ", ".join(repairs), "", width, height, small.tobytes())


def _repairs(image: ImageFile.ImageFile) -> list[str]:
    """What decoding will put right, in words; of an image whose header alone is read."""
    repairs = []
    if is_deep(image):
        repairs.append("more than 8 bits")
    if has_alpha(image):
        repairs.append("transparency on white")
    elif image.mode in ("1", "L"):
        repairs.append("greyscale")
    elif image.mode in ("CMYK", "YCbCr", "LAB"):
        repairs.append(f"{image.mode} colours")
    elif image.mode == "P":
        repairs.append("palette colours")
    if getattr(image, "is_animated", False) and image.format != "MPO":
        repairs.append("first of several frames")
    return repairs


def _picture(data: bytes, limits: Limits) -> bytes:
    """A small JPEG of what can be decoded; empty when nothing can."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        rgb = decode_rgb(data, PICTURE, limits.max_megapixels)
        rgb.thumbnail((PICTURE, PICTURE))
        buffer = io.BytesIO()
        rgb.save(buffer, "JPEG", quality=70)
        return buffer.getvalue()
    except Exception:
        return b""
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _damage(error: Exception) -> str:
    """What is wrong, from the error's text in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    known = {"truncated": "truncated", "supported": "unusual"}
    kind = next((kind for word, kind in known.items() if word in text.lower()), "damaged")
    return f"{kind}: {text}"[:100]
