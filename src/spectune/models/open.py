"""A model from what a user can type: a factory with weights, or a saved network."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from spectune.errors import ModelError
from spectune.models.checkpoint import load_network
from spectune.models.factory import build_model, load_weights

__all__ = ["open_model"]


def open_model(spec: str, weights: str | Path | None = None) -> nn.Module:
    """Return ``package.module:factory`` with its weights, or the network of a folder.

    Args:
        spec: factory, or a folder written by `save_network`.
        weights: safetensors file for the factory's model.

    Raises:
        ModelError: see `build_model`, `load_weights` and `load_network`.
    """
    if Path(spec).is_dir():
        if weights is not None:
            raise ModelError(
                f"model {spec} is a saved network and has its weights; leave out {weights}"
            )
        return load_network(Path(spec))[0]
    model = build_model(spec)
    if weights is not None:
        load_weights(model, weights)
    return model.eval()
