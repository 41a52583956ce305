"""From the paths of image files to the pixels that a model was trained to see."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.imaging.decoding import MAX_MEGAPIXELS, Recipe, Refused, as_trained


class Limits(NamedTuple):
    """Beyond which a file is not read; the same as in `ingest` unless told otherwise."""

    max_megapixels: float = MAX_MEGAPIXELS
    max_file_mb: float = 64.0


USUAL = Limits()


class Photo(NamedTuple):
    """The pixels of a file, size x size x 3 bytes of RGB, or why there are none."""

    pixels: bytes
    problem: str


def as_array(photos: list[Photo], size: int) -> np.ndarray:
    """[N, size, size, 3] uint8 of the N photos that could be read."""
    pixels = b"".join(photo.pixels for photo in photos)
    return np.frombuffer(pixels, np.uint8).reshape(-1, size, size, 3)


def read_photos(recipe: Recipe, paths: list[str], limits: Limits = USUAL) -> list[Photo]:
    """Each file as the model was trained to see it; never raises."""
    return [read_photo(recipe, path, limits) for path in paths]


def read_photo(recipe: Recipe, path: str, limits: Limits = USUAL) -> Photo:
    """One file; never raises, whatever its bytes are."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            return Photo(b"", "is no file")  # a pipe or a device might never end
        if status.st_size > limits.max_file_mb * 1e6:
            return Photo(b"", f"is too large: {status.st_size / 1e6:.0f} MB")
        data = Path(path).read_bytes()
        if not data:
            return Photo(b"", "is empty")
        return Photo(as_trained(data, recipe, limits.max_megapixels).tobytes(), "")
    except Refused as reason:
        return Photo(b"", f"is {reason}")
    except FileNotFoundError:
        return Photo(b"", "there is no such file")
    except Exception as error:  # damaged files raise almost anything
        return Photo(b"", f"can't be read: {' '.join(str(error).split())[:100]}")
