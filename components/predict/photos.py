"""From the paths of image files to the pixels that a model was trained to see."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from components.imaging.decoding import Recipe, as_trained


class Photo(NamedTuple):
    """The pixels of a file, size x size x 3 bytes of RGB, or why there are none."""

    pixels: bytes
    problem: str


def read_photos(recipe: Recipe, paths: list[str]) -> list[Photo]:
    """Each file as the model was trained to see it; never raises."""
    return [read_photo(recipe, path) for path in paths]


def read_photo(recipe: Recipe, path: str) -> Photo:
    """One file; never raises, whatever its bytes are."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  faster
            return Photo(b"", "is no file")  # a pipe or a device might never end
        data = Path(path).read_bytes()
        if not data:
            return Photo(b"", "is empty")
        return Photo(as_trained(data, recipe).tobytes(), "")
    except UnidentifiedImageError:
        return Photo(b"", "is not an image")
    except Image.DecompressionBombError:
        return Photo(b"", "has too many pixels")
    except FileNotFoundError:
        return Photo(b"", "there is no such file")
    except Exception as error:  # damaged files raise almost anything
        return Photo(b"", f"can't be read: {' '.join(str(error).split())[:100]}")
