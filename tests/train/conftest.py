"""A tiny dataset, and a trained model to start from, for all tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.train.fit import train_classifier
from tests.train.helpers import make_dataset, settings


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training images of two classes, 16 x 16 pixels."""
    return make_dataset(tmp_path_factory.mktemp("dataset") / "shapes")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """The folder of a small ResNet trained on it for two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    train_classifier(dataset, folder, settings())
    return folder
