"""Training and re-training of chosen layers."""

from spectune.training.fit import FitSettings, History, fit
from spectune.training.layers import Layer, match_layers, trainable_layers
from spectune.training.prefix import split_model
from spectune.training.transfer import transfer

__all__ = [
    "FitSettings",
    "History",
    "Layer",
    "fit",
    "match_layers",
    "split_model",
    "trainable_layers",
    "transfer",
]
