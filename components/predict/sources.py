"""Which images a person means by a file, a folder, a pattern, or standard input."""

from __future__ import annotations

import glob
import itertools
import logging
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from components.imaging.decoding import FORMATS, SUFFIXES
from components.imaging.walk import Found, walk
from components.runtime.files import below
from components.runtime.schema import BadInput

log = logging.getLogger(__name__)

STANDARD_INPUT = "-"
ENDINGS = frozenset(itertools.chain.from_iterable(SUFFIXES.values()))
HEAD = 32  # bytes by which formats are told
HEIF = re.compile(rb".{4}ftyp.*(avi[fs]|hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
OTHERS = frozenset(  # endings of pictures that are not decoded, which is worth telling
    ".jp2 .j2k .jpx .jxl .jxr .psd .xcf .svg .tga .ico .ppm .pgm .exr .hdr .dng .cr2 .cr3 .nef .arw"
    " .raf .orf .rw2 .pef .srw .raw .dcm .eps .pdf".split()
)


def find_images(images: str) -> tuple[Iterable[str], int | None]:
    """The paths in the order of the results, and how many; None for standard input.

    `BadInput` where there is nothing.
    """
    if images == STANDARD_INPUT:
        lines = (line.rstrip(b"\r\n") for line in sys.stdin.buffer)  # read as they come
        return (os.fsdecode(line) for line in lines if line), None  # a name need not be UTF-8
    path = Path(images).expanduser()
    if os.path.isdir(path):  # noqa: PTH112  which raises for a name that is too long
        found = _in_folder(path)
        if not found:
            raise BadInput(f"images={images}: the folder has no image files")
    elif os.path.exists(path):  # noqa: PTH110
        found = [str(path)]
    elif glob.has_magic(images):
        matching = glob.iglob(str(path), recursive=True)  # noqa: PTH207  Path has no such
        found = sorted(filter(os.path.isfile, matching))
        if not found:
            raise BadInput(f"images={images}: the pattern matches no file")
    else:
        raise BadInput(f"images={images}: there is no such file or folder")
    return found, len(found)


def _in_folder(folder: Path) -> list[str]:
    """The images below a folder, sorted; what neither is one nor is called so is only counted."""
    walked = walk(folder)
    found = [file for file in walked.files if _may_be_image(folder, file)]
    if others := len(walked.files) - len(found):
        log.info("%s: %d other files left aside", folder, others)
    if walked.set_aside:
        log.info("%s: %d folders left aside, as hidden or made by machines, such as %s",
                 folder, len(walked.set_aside), walked.set_aside[0])  # fmt: skip
    return sorted(os.fsdecode(below(folder, file.path)) for file in found)


def _may_be_image(folder: Path, file: Found) -> bool:
    """By what the file begins with; one that is called an image is told, whatever it is."""
    ending = os.path.splitext(file.path)[1].lower()  # noqa: PTH122  faster
    if file.problem or ending in ENDINGS or ending in OTHERS:
        return True
    try:
        with open(below(folder, file.path), "rb") as opened:  # noqa: PTH123  a Path is text
            head = opened.read(HEAD)
    except OSError:
        return True
    return bool(HEIF.match(head)) or any(Image.OPEN[name][1](head) for name in FORMATS)
