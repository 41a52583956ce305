"""From what a network gives to probabilities."""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Of logits [N, C]."""
    return normalized(np.exp(logits - logits.max(axis=1, keepdims=True)))


def normalized(shares: np.ndarray) -> np.ndarray:
    """[N, C] float64 whose rows sum to 1 as exactly as they can."""
    shares = np.asarray(shares, np.float64)
    return shares / shares.sum(axis=1, keepdims=True)
