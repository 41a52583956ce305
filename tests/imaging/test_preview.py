"""The contact sheet names classes as far as its font can."""

from __future__ import annotations

import pytest

from components.imaging.preview import drawable


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("cat 1_a", "cat 1_a"),
        ("ca\udcff", "ca\\udcff"),
        ("\u1eaft\u0117", ("\u1eaft\u0117", "ate")),  # by the version of Pillow
        ("\u732b", ""),
        ("cat \U0001f431", "cat ?"),
    ],
)
def test_what_the_font_has(label: str, shown: str | tuple[str, str]) -> None:
    assert drawable(label) in (shown if isinstance(shown, tuple) else (shown,))
