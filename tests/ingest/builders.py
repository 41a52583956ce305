"""What the tests of the data stages are built from: settings as shipped, and drawn photos."""

from __future__ import annotations

import dataclasses
import io
import random
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from components.ingest.parameters import Ingest
from components.preprocess.parameters import Preprocess

CONF = Path(__file__).parents[2] / "conf"


def ingest_settings(source: str = "folder", **changes: Any) -> Ingest:
    """conf/ingest/<source>.yaml with changes."""
    names = ("ingest/audit/default", "ingest/folder", f"ingest/{source}")
    values = {key: value for name in names for key, value in _values(name).items()}
    return dataclasses.replace(Ingest(**values), **_texts(changes))


def preprocess_settings(**changes: Any) -> Preprocess:
    """conf/preprocess/default.yaml with changes, on small images."""
    small = {"image_size": 16, "images_per_file": 20}
    return dataclasses.replace(Preprocess(**_values("preprocess/default")), **small | changes)


def photo(seed: int, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """Coarse noise: unlike every other seed's, even to a perceptual hash."""
    noise = Image.frombytes("RGB", (8, 6), random.Random(seed).randbytes(8 * 6 * 3))
    return noise.resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """The image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files by their paths below `folder`."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def photos(per_class: int, classes: tuple[str, ...] = ("cat", "dog")) -> dict[str, bytes]:
    """Files `<class>/<number>.jpg` with different drawn photos."""
    return {
        f"{label}/{number}.jpg": encoded(photo(1000 * place + number))
        for place, label in enumerate(classes)
        for number in range(per_class)
    }


def contents(folder: Path) -> dict[str, bytes]:
    """All files below `folder` with their bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _values(name: str) -> dict[str, Any]:
    values = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    return {key: value for key, value in values.items() if key != "defaults"}


def _texts(changes: dict[str, Any]) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in changes.items()}
