"""The page with the photos: the least certain first, and small however many there are."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

import numpy as np

from components.predict.gallery import SHOWN, Gallery
from tests.evaluate.test_report import Tags

ABOUT = {"name": "net", "evaluation": "", "temperature": None, "threshold": None, "nothing": "none"}


def written(gallery: Gallery, **about: object) -> str:
    file = io.StringIO()
    gallery.write(file, ABOUT | about)
    return file.getvalue()


def text_of(page: str) -> str:
    plain = html.unescape(re.sub(r"<(style|title).*?</\1>|<[^>]+>", " ", page, flags=re.S))
    return " ".join(plain.replace("\u202f", " ").split())


def test_the_least_certain_come_first_and_the_page_stays_small(photos: list[Path]) -> None:
    gallery = Gallery(["cat", "dog"])
    certain = np.random.default_rng(0).permutation(10_000) / 20_000 + 0.5
    for number, share in enumerate(certain):
        path = str(photos[number % len(photos)])
        gallery.add(path, "cat", np.array([share, 1 - share], np.float32))
    page = written(gallery)
    shown = [float(share) for share in re.findall(r"<b>cat</b> ([\d.]+)", page)]
    assert len(shown) == SHOWN
    assert shown == sorted(shown)
    assert shown[-1] <= 51.2  # 240 of 10,000 between 50 and 100 %
    assert "10000 photos, the least certain first" in text_of(page)
    assert f"Shown are the {SHOWN} that the model is least certain about" in text_of(page)
    assert len(page) < 3e6


def test_it_is_one_well_formed_file_whatever_the_names_are(photos: list[Path]) -> None:
    gallery = Gallery(["<cat>", "dog"])
    gallery.add(str(photos[0]), "<cat>", np.array([0.9, 0.1]))
    gallery.add("gone \udcff.jpg", "none", np.array([0.6, 0.4]))
    gallery.skip("<script>.jpg", "is empty")
    page = written(gallery, threshold=0.7, temperature=1.25, evaluation="evaluations/01")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert all(address.startswith("data:") for address in tags.addresses)
    assert "http" not in page
    assert "<script>" not in page
    text = text_of(page)
    for words in (
        "What is called none has no class with a probability of 70.0 %.",
        "calibrated with the temperature 1.25 of evaluations/01.",
        "can't be shown none <cat> 60.0 % dog 40.0 % gone \\udcff.jpg <cat> 90.0 % dog 10.0 %",
        "1 file without a prediction All File Reason <script>.jpg is empty",
    ):
        assert words in text, text


def test_a_model_of_one_class(photos: list[Path]) -> None:
    gallery = Gallery(["cat"])
    gallery.add(str(photos[0]), "cat", np.array([1.0]))
    assert "1 photo, the least certain first" in text_of(written(gallery))
