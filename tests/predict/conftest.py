"""A model and photos, made once for all tests of prediction."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.predict.builders import draw_photos, untrained


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small ResNet for 32 x 32 pixels."""
    return untrained(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twelve JPEG files of several sizes."""
    return draw_photos(tmp_path_factory.mktemp("photos"), 12)
