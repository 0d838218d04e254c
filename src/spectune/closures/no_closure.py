"""The closure that leaves the subgrid scales out."""

from __future__ import annotations

from types import MappingProxyType

import torch
from torch import Tensor

from spectune.closures.model import SubgridModel

__all__ = ["NoClosure"]


class NoClosure(SubgridModel):
    """Π = 0, the reference of every score.

    Args:
        channels: of Π.
    """

    name = "no closure"
    parameters = MappingProxyType({})

    def __init__(self, channels: int = 1) -> None:
        self._channels = channels

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return zeros (n, c_out, *grid)."""
        return torch.zeros_like(inputs[:, : self._channels])
