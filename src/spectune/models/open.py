"""A model from what a user can type: a factory with weights, or a saved network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from spectune.errors import ModelError
from spectune.models.checkpoint import load_network
from spectune.models.factory import build_model, load_weights

__all__ = ["open_model", "rebuilt_by"]


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


def rebuilt_by(spec: str) -> tuple[str, dict[str, Any]]:
    """Return the factory of a model that `open_model` opens, and its arguments.

    Args:
        spec: as for `open_model`.

    Raises:
        ModelError: the folder holds no network.
    """
    if not Path(spec).is_dir():
        return spec, {}
    description = load_network(Path(spec))[2]
    return description["factory"], dict(description["arguments"])
