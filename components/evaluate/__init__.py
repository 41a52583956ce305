"""Evaluation: how good a model is, how sure one can be of that, and where it fails."""
