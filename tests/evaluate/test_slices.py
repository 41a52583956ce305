"""Parts of the test set."""

import numpy as np

from components.evaluate.bootstrap import Bootstrap
from components.evaluate.slices import slices
from tests.evaluate.builders import make_predictions


def with_images(count: int, **columns):
    predictions = make_predictions([0] * count, [[0.9, 0.1]] * count)
    predictions.images[:] = [
        image._replace(**{name: of(number) for name, of in columns.items()})
        for number, image in enumerate(predictions.images)
    ]
    return predictions


def test_thirds_by_size_and_all_images_in_one_of_them():
    predictions = with_images(30, width=lambda n: 100 + n, height=lambda n: 100 + n)
    predictions.probabilities[:10] = [0.2, 0.8]  # wrong on the ten smallest
    parts = [part for part in slices(predictions, None) if part["by"] == "image size"]
    assert [(part["images"], part["accuracy"]) for part in parts] == [(10, 0), (10, 1), (10, 1)]
    assert parts[0]["name"].startswith("small, to 110")


def test_equal_values_and_few_images_have_no_thirds():
    assert not [p for p in slices(with_images(30), None) if p["by"] == "image size"]
    few = with_images(10, width=lambda n: 100 + n)
    assert slices(few, None) == []


def test_sources_are_the_folders_above_the_classes():
    predictions = with_images(4, path=lambda n: f"{'camera' if n else 'web'}/cat/{n}.jpg")
    boot = Bootstrap([""] * 4, resamples=50, level=0.95, seed=1)
    parts = slices(predictions, boot)
    assert [(p["by"], p["name"], p["images"]) for p in parts] == [
        ("source", "camera", 3),
        ("source", "web", 1),
    ]
    assert all(np.diff(p["interval"]) > 0 for p in parts)
