"""What every system of equations offers to a time scheme and a simulation."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

__all__ = ["System"]


class System(Protocol):
    """∂x/∂t = L x + N(x) with diagonal L; states with any number of leading ensemble axes."""

    @property
    def linear(self) -> Tensor:
        """L, of the shape of a state without ensemble axes, real or complex."""

    def tendency(self, state: Tensor, /) -> Tensor:
        """Return N(x)."""

    def courant_rate(self, state: Tensor, /) -> float:
        """Return the fastest advective frequency of a state (1/time)."""
