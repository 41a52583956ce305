"""No file ends a run: whatever its bytes are, every reader goes on, and they agree."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.imaging.dataset import FINE, LEFT_OUT, REPAIRED, Image, ShardReader, save_info
from components.imaging.decoding import Recipe
from components.imaging.preview import write_preview
from components.ingest.layout import File
from components.ingest.near_duplicates import group_near_duplicates
from components.ingest.pages import write_left_out_page
from components.ingest.verdict import THUMBNAIL, Limits, examine
from components.predict.photos import read_photo
from components.preprocess.images import process_images
from tests.ingest.builders import encoded, photo, preprocess_settings
from tests.ingest.formats import WRITTEN, deep_png, deep_tiff, written

LIMITS = Limits(max_megapixels=1, min_side=16, min_contrast=0)
DRAWN = photo(1, (48, 40))
FILES = [
    *(written(DRAWN, name) for name in WRITTEN),
    *(encoded(DRAWN, "TIFF", compression=way) for way in ("tiff_lzw", "packbits", "jpeg")),
    *(encoded(DRAWN.convert(mode), "PNG") for mode in ("P", "LA", "RGBA", "1")),
    encoded(DRAWN, "GIF"),
    encoded(DRAWN, "BMP"),
    encoded(DRAWN.convert("CMYK")),
    encoded(DRAWN.convert("F"), "TIFF"),
    deep_png(list(range(0, 48 * 40 * 30, 10)), (48, 40), 3),
    deep_tiff(list(range(0, 48 * 40 * 30, 10)), (48, 40), 3, ">", packed=True),
]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A good file cut, spliced with another, or with bytes changed, left out or put in."""
    data = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        near = min(len(data), place + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(("cut", "end", "zeros", "bytes", "leave out", "splice")))
        if kind in ("cut", "end"):
            del data[place:]
            data += b"\xff\xd9" if kind == "end" else b""
        elif kind == "zeros":
            data[place:] = bytes(len(data) - place)
        elif kind == "splice":
            data[place:] = draw(st.sampled_from(FILES))[place:]
        else:
            data[place:near] = b"" if kind == "leave out" else draw(st.binary(max_size=40))
    return bytes(data)


@contextlib.contextmanager
def quiet():
    """libtiff writes to standard error by itself."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept), os.close(nowhere)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=files())
def test_whatever_the_bytes_every_reader_goes_on(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name, quiet():
        folder = Path(name)
        (folder / "photo").write_bytes(data)
        save_info(folder, {"kind": "raw", "root": name})
        found = examine(data, File("photo", "cat"), LIMITS)
        assert found.verdict in (FINE, REPAIRED, LEFT_OUT)
        assert bool(found.reason) or found.verdict == FINE
        assert found.reason.isprintable()
        good = found.verdict != LEFT_OUT
        if good:
            assert len(group_near_duplicates(2 * found.thumbnail, THUMBNAIL, 8)) == 2
        row = Image("photo", "cat", sha256=found.sha256, width=found.width, height=found.height)
        with ShardReader(folder) as reader:
            write_preview(folder / "preview.jpg", [row], reader)
            rows = [row._replace(verdict=LEFT_OUT, reason=found.reason)]
            write_left_out_page(folder / "page.html", rows, {}, reader, LIMITS.max_megapixels)
        [(stored, problem)] = process_images(folder, preprocess_settings(), [row])
        assert bool(stored) != bool(problem)
        photo = read_photo(Recipe(16, "stretch", "png", 0), str(folder / "photo"))
        assert bool(photo.pixels) != bool(photo.problem)
        if good:  # what passes the audit is good for all
            assert not problem and not photo.problem
