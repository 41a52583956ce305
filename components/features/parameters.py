"""The parameters of the features stage: those of train on which features depend."""

from __future__ import annotations

from components.networks.parameters import Features

__all__ = ["Features"]
