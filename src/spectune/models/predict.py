"""Run a model over many samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["predict"]


def predict(model: nn.Module, inputs: Tensor, batch: int = 16) -> Tensor:
    """Return the outputs for all samples (n, c_in, *grid), without a graph.

    Args:
        model: in the mode it is to run in.
        inputs: (n, c_in, *grid).
        batch: samples at a time; bounds the memory.
    """
    with torch.no_grad():
        return torch.cat([model(part) for part in torch.split(inputs, batch)])
