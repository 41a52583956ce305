"""Resize and encode: from a file's bytes to the bytes that training reads.

Runs in worker processes, which import nothing else.
"""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from pathlib import Path

from PIL import Image

from components.imaging import dataset
from components.imaging.decoding import decode_resized
from components.preprocess.parameters import Preprocess

Stored = tuple[bytes, str]  # the encoded image, or b"" and why it is left out


def encode(image: Image.Image, format: str, quality: int) -> bytes:
    """The image as JPEG (4:2:0) or PNG without any metadata: the same bytes every time."""
    buffer = io.BytesIO()
    if format == "png":
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def process(data: bytes, size: int, how: str, format: str, quality: int) -> bytes:
    """From an original file to the stored one; raises what Pillow raises on damaged files.

    Without a limit of its own: ingest has judged these very bytes by `ingest.max_megapixels`.
    """
    return encode(decode_resized(data, size, how, math.inf), format, quality)


def process_images(raw: Path, settings: Preprocess, images: list[dataset.Image]) -> list[Stored]:
    """The stored form of some images of the raw dataset in the folder `raw`; never raises."""
    stored = []
    how = (settings.image_size, settings.resize, settings.format, settings.quality)
    with dataset.ShardReader(raw) as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for image in images:
            try:
                data = reader.read(image)
                if hashlib.sha256(data).hexdigest() != image.sha256:
                    raise OSError("the file has changed since ingest")
                stored.append((process(data, *how), ""))
            except Exception as error:  # ingest let it pass, but one image must not end the run
                stored.append((b"", f"{type(error).__name__}: {error}"))
    return stored
