"""The stage `train`: from a processed dataset to a classifier."""
