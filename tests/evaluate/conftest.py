"""A tiny dataset and model, and their evaluation, made once for all tests of the stage."""

import pytest

from components.evaluate.evaluation import evaluate_model
from tests.evaluate.builders import make_dataset, make_model, settings


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def evaluation(model, dataset, tmp_path_factory):
    """The folder of an evaluation with everything switched on and itself as the champion."""
    folder = tmp_path_factory.mktemp("evaluation")
    evaluate_model(model, dataset, folder, settings(), champion=model)
    return folder
