"""Checkpoints: safetensors for the weights, JSON for everything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from spectune.atomic import write_bytes, write_text
from spectune.data.normalization import Normalization
from spectune.errors import ModelError
from spectune.grid import Grid
from spectune.models.factory import build_model, load_weights
from spectune.models.network import Network

__all__ = ["contiguous_weights", "load_network", "save_network"]


def contiguous_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all weights and buffers that safetensors takes: dense, none shared."""
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }


def save_network(
    folder: Path,
    network: Network,
    *,
    factory: str,
    arguments: dict[str, Any],
    grid: Grid,
    provenance: dict[str, Any],
) -> None:
    """Write ``weights.safetensors`` and ``network.json`` into a folder, each atomically.

    Args:
        folder: created if needed.
        network: module and normalisation.
        factory: ``package.module:factory`` that rebuilds the module.
        arguments: of the factory.
        grid: the grid it was trained on.
        provenance: how it came to be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "weights.safetensors", save(contiguous_weights(network.module)))
    description = {
        "factory": factory,
        "arguments": arguments,
        "normalization": network.normalization.to_dict(),
        "grid": grid.to_dict(),
        "provenance": provenance,
    }
    write_text(folder / "network.json", json.dumps(description, indent=2, ensure_ascii=False))


def load_network(folder: Path) -> tuple[Network, nn.Module, dict[str, Any]]:
    """Rebuild a network from `save_network`.

    Returns:
        The network in evaluation mode, its bare module, and the JSON description.

    Raises:
        ModelError: a file is missing or the weights do not fit.
    """
    path = folder / "network.json"
    if not path.is_file():
        raise ModelError(f"network {folder}: expected the file network.json, which is missing")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        factory, arguments = description["factory"], dict(description["arguments"])
        normalization = Normalization.from_dict(description["normalization"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"network {path}: not written by Spectune, or damaged ({error!r})"
        ) from error
    module = build_model(factory, **arguments)
    load_weights(module, folder / "weights.safetensors")
    network = Network(module, normalization).eval()
    return network, module, description
