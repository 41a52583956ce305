"""Classes and probabilities of image files, by a trained model."""
