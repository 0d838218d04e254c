"""What every system of equations offers to a time scheme and a simulation."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

__all__ = ["Noise", "Stochastic", "System"]


class System(Protocol):
    """∂x/∂t = L x + N(x) with diagonal L; states with any number of leading ensemble axes."""

    @property
    def linear(self) -> Tensor:
        """L, of the shape of a state without ensemble axes, real or complex."""

    def tendency(self, state: Tensor, /) -> Tensor:
        """Return N(x)."""

    def courant_rate(self, state: Tensor, /) -> float:
        """Return the fastest advective frequency of a state (1/time)."""


class Noise(Protocol):
    """A forcing that is white in time: dx = (L x + N(x)) dt + σ dW with a σ that x does not change.

    It is added after each step of the deterministic part (Euler–Maruyama splitting), and so is
    independent of the time scheme: strongly of order one in Δt, its power exact for every Δt.
    """

    def kick(
        self, state: Tensor, dt: float, *, step: int, substeps: int = 1, first_member: int = 0
    ) -> Tensor:
        """Add σ ΔW of a step to a state in place and return it.

        A pure function of its arguments: nothing is remembered between two steps.

        Args:
            state: at the end of the step, (..., *half_shape).
            dt: Δt.
            step: number of the step from the start of the run, the first one 0.
            substeps: steps that make up one increment of the noise; another number of them walks
                the same path if it is larger or smaller by a power of two.
            first_member: number of the first member of `state` in the whole ensemble.
        """


@runtime_checkable
class Stochastic(Protocol):
    """A system that may have noise beside its tendency."""

    @property
    def noise(self) -> Noise | None:
        """The noise, or None for a system whose future is certain."""
