"""The bundled sample: drawn by its script, small, balanced, and no task for a linear model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

DATA = Path(__file__).parents[2] / "data"
CLASSES = ("cat", "dog")


def read_all(folder: Path) -> dict[str, bytes]:
    """Files of train/ and test/ by their path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for split in ("train", "test")
        for path in sorted((folder / split).rglob("*"))
        if path.is_file()
    }


def read_pixels(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 64 * 64 * 3] 0-1 and labels [N]."""
    pixels, labels = [], []
    for label in CLASSES:
        for path in sorted((DATA / split / label).iterdir()):
            with Image.open(path) as image:
                pixels.append(np.asarray(image.convert("RGB").resize((64, 64))).ravel() / 255)
            labels.append(label)
    return np.array(pixels), np.array(labels)


def test_the_script_draws_the_committed_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, DATA / "draw_sample.py", tmp_path], check=True)
    committed, drawn = read_all(DATA), read_all(tmp_path)
    assert committed.keys() == drawn.keys()
    assert [name for name in committed if committed[name] != drawn[name]] == []


def test_about_200_images_under_3_mb() -> None:
    files = read_all(DATA)
    assert 180 <= len(files) <= 220
    assert sum(map(len, files.values())) < 3_000_000


@pytest.mark.parametrize("split", ["train", "test"])
def test_classes_are_balanced(split: str) -> None:
    assert sorted(folder.name for folder in (DATA / split).iterdir()) == sorted(CLASSES)
    assert len({len(list((DATA / split / label).iterdir())) for label in CLASSES}) == 1


def test_a_linear_model_on_raw_pixels_stays_under_80_percent() -> None:
    (train, labels), (test, answers) = read_pixels("train"), read_pixels("test")
    # The weights lie in the span of the training images: there, 140 numbers an image say it all.
    span = np.linalg.qr(train.T)[0]
    for strength in (0.001, 0.01, 0.1, 1, 10):
        model = LogisticRegression(C=strength, max_iter=2000).fit(train @ span, labels)
        assert model.score(test @ span, answers) < 0.8
