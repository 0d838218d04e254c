"""What a simulation needs of a time scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["OneStep", "SchemeFactory", "TimeScheme", "in_double"]


class TimeScheme(Protocol):
    """A rule that takes ∂x̂/∂t = L x̂ + N(x̂), L diagonal, from t to t + Δt.

    The attributes are facts about the rule, the same for every L, N and Δt.
    """

    @property
    def name(self) -> str:
        """Short name, as in `SCHEMES`."""
        ...

    @property
    def order(self) -> int:
        """Order of the error in Δt at a fixed time."""
        ...

    @property
    def stages(self) -> int:
        """Number of evaluations of N in one step."""
        ...

    @property
    def stability_limit(self) -> float:
        """Largest λΔt for which x' = iλx, all of it in N, does not grow."""
        ...

    @property
    def courant_limit(self) -> float:
        """Largest CFL number, Δt max(|u| + |v|) k_max, that a simulation should accept.

        The stability limit, except for a scheme that lives on the viscosity of the flow.
        """
        ...

    def step(self, state: Tensor) -> Tensor:
        """Return the state (..., *half_shape) one Δt later; the argument stays as it is."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the next step needs besides the state; empty for a one-step scheme."""
        ...

    def load(self, memory: Mapping[str, Tensor]) -> None:
        """Go on from a `state_dict`; an empty one starts anew.

        Raises:
            ValueError: the memory is that of another scheme or of another Δt.
        """
        ...


SchemeFactory = Callable[[Tensor, Callable[[Tensor], Tensor], float], TimeScheme]
"""From L (*half_shape), N and Δt to a scheme: a class of this package, or a `partial` of one."""


def in_double(linear: Tensor) -> Tensor:
    """Return L in float64 or complex128, in which the operators of a scheme are formed."""
    return linear.to(torch.complex128 if linear.is_complex() else torch.float64)


class OneStep:
    """A scheme that needs nothing but the state."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return an empty memory."""
        return {}

    def load(self, memory: Mapping[str, Tensor]) -> None:
        """Accept an empty memory."""
        if memory:
            raise ValueError(
                f"{type(self).__name__} remembers nothing, but the state comes with "
                f"{sorted(memory)} of another scheme; go on with that scheme, or drop the memory"
            )
