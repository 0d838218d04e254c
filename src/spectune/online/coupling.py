"""What a closure sees of a system, and what its Π does to it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spectune.errors import CaseError, ModelError
from spectune.systems import (
    Burgers1D,
    KuramotoSivashinsky1D,
    Lorenz96,
    NavierStokes2D,
    TwoLayerQG,
)

__all__ = ["Closure", "Coupling", "LESSystem"]

Closure = Callable[[Tensor], Tensor]
"""From what is resolved, (n, c_in, *grid), to Π, (n, c_out, *grid), in physical units; of 2D
Navier–Stokes from (ψ̄, ω̄), (n, 2, ny, nx), to Π, (n, 1, ny, nx). See `Coupling`."""

LESSystem = NavierStokes2D | TwoLayerQG | Burgers1D | KuramotoSivashinsky1D | Lorenz96
"""Systems that a closure can be coupled to; of Lorenz-96 the one-scale system."""


class Coupling:
    """Channels of a closure for the states of a system.

    ==================== ========================= ==========
    system               channels of the closure   Π
    ==================== ========================= ==========
    2D Navier–Stokes     ψ̄, ω̄                      of ω̄
    two-layer QG         ψ̄₁, ψ̄₂, q̄₁, q̄₂            of q̄₁, q̄₂
    Burgers, Kuramoto–S. ū                         of ū
    one-scale Lorenz-96  X                         of X
    ==================== ========================= ==========

    The last channels are the state, one for each of Π.

    Args:
        system: the resolved system (`CoarseGraining.les` and its kin).

    Attributes:
        channels: of Π and of the state, c_out.

    Raises:
        CaseError: a system without a place for Π.
    """

    def __init__(self, system: LESSystem) -> None:
        if not isinstance(system, LESSystem):
            raise CaseError(
                f"no closure can be coupled to {type(system).__name__}; expected one of "
                f"{', '.join(kind.__name__ for kind in LESSystem.__args__)}"
            )
        if isinstance(system, Lorenz96) and system.fast_count:
            raise CaseError(
                f"this Lorenz-96 system resolves its {system.fast_count} fast variables itself; a "
                "closure stands in for them in the one-scale system, `system.slow`"
            )
        self.system = system
        self.channels = 2 if isinstance(system, TwoLayerQG) else 1

    def start(self, fields: Tensor) -> Tensor:
        """Return the states to start from of filtered fields (n, *state), members first.

        Args:
            fields: ω̄ (n, ny, nx), ū (n, nx), X (n, K) or q̄ (n, 2, ny, nx).

        Raises:
            CaseError: fields of another shape; or each member has a forcing of its own.
        """
        system = self.system
        expected = (2, *system.grid.shape) if self.channels == 2 else system.grid.shape
        if fields.shape[1:] != expected:
            raise CaseError(
                f"the simulation expects a filtered state of shape {expected}, found "
                f"{tuple(fields.shape[1:])}; filter it to the grid of the system first"
            )
        forcing = getattr(system, "forcing", None)
        if forcing is not None and forcing.ndim > system.grid.ndim and len(fields) > 1:
            raise CaseError(
                f"found a forcing of shape {tuple(forcing.shape)}, one for each member; an "
                "ensemble shares its forcing: run the members one by one with `run_les`"
            )
        return self.state(fields.reshape(len(fields), self.channels, *system.grid.shape))

    def state(self, fields: Tensor) -> Tensor:
        """Return states of real fields (n, c_out, *grid): the evolved modes, or X itself."""
        system = self.system
        fields = fields.to(system.device, system.dtype)
        return system.project(fields if isinstance(system, TwoLayerQG) else fields[:, 0])

    def fields(self, state: Tensor) -> Tensor:
        """Return the real fields (n, c_out, *grid) of states."""
        if isinstance(self.system, Lorenz96):
            return state.movedim(-1, 1)
        fields = self.system.grid.inverse(state)
        return fields if isinstance(self.system, TwoLayerQG) else fields.unsqueeze(1)

    def inputs(self, state: Tensor) -> Tensor:
        """Return what a closure sees of states, (n, c_in, *grid)."""
        if not isinstance(self.system, NavierStokes2D | TwoLayerQG):
            return self.fields(state)
        stream = self.system.stream_function(state)
        join = torch.cat if isinstance(self.system, TwoLayerQG) else torch.stack
        return self.system.grid.inverse(join((stream, state), 1))

    def subgrid(self, closure: Closure, state: Tensor) -> Tensor:
        """Return Π̂ of states, as it is added to their tendency.

        Raises:
            ModelError: the closure returns another shape.
        """
        inputs = self.inputs(state)
        pi = closure(inputs)
        expected = (len(inputs), self.channels, *self.system.grid.shape)
        if pi.shape != expected:
            name = getattr(closure, "name", type(closure).__name__)
            raise ModelError(
                f"closure '{name}': expected Π of shape {expected} from inputs of shape "
                f"{tuple(inputs.shape)}, found {tuple(pi.shape)}; use a closure of this system"
            )
        return self.state(pi)
