"""A tiny dataset, and a trained model whose backbone stays as it is."""

from tests.train.conftest import dataset, trained

__all__ = ["dataset", "trained"]
