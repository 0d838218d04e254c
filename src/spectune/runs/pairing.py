"""What is input and what is target when a system is coarse-grained: the table of all systems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from spectune.coarse import (
    CoarseGraining,
    Filter,
    Lorenz96CoarseGraining,
    OneDimensionalCoarseGraining,
    QuasiGeostrophicCoarseGraining,
    box_filter,
    gaussian_filter,
    sharp_filter,
)
from spectune.errors import CaseError
from spectune.grid import Grid
from spectune.runs.catalog import Setup, Variable
from spectune.systems import (
    Burgers1D,
    KuramotoSivashinsky1D,
    Lorenz96,
    NavierStokes2D,
    TwoLayerQG,
)

__all__ = ["FILTERS", "TARGETS", "Pairing", "pairing"]

FILTERS: Final[Mapping[str, Filter]] = MappingProxyType(
    {"gaussian": gaussian_filter, "box": box_filter, "sharp": sharp_filter}
)
"""The filters by name."""

TARGETS: Final = ("pi", "tau")
"""What a target can be: the subgrid term Π, or the subgrid stress τ."""

_Spectral = NavierStokes2D | TwoLayerQG | Burgers1D | KuramotoSivashinsky1D


@dataclass(frozen=True)
class Pairing:
    """How pairs are made of the states of a system.

    Attributes:
        grid: of the pairs.
        filter: its name; None where the coarse-graining has none.
        width: Δ of the filter, in the unit of the grid.
        inputs: variable of each input channel.
        targets: variable of each target channel.
        pairs: from states (m, *state) to inputs (m, c_in, *grid.shape) and targets
            (m, c_out, *grid.shape).
    """

    grid: Grid
    filter: str | None
    width: float | None
    inputs: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    pairs: Callable[[Tensor], tuple[Tensor, Tensor]]


def pairing(
    setup: Setup,
    *,
    n: int | None,
    filter: str | None,
    width: float | None,
    targets: Sequence[str],
) -> Pairing:
    """Return how pairs are made of a system of the catalogue.

    | system | inputs | targets |
    | --- | --- | --- |
    | Navier–Stokes | ψ̄, ω̄ | Π, or τ_xx, τ_xy, τ_yy |
    | two-layer QG | ψ̄₁, ψ̄₂, q̄₁, q̄₂ | Π₁, Π₂ |
    | Burgers, Kuramoto–Sivashinsky | ū | Π |
    | Lorenz-96 | X | Π = −(hc/b) Σ_j Y_j |

    Definitions and signs are those of the coarse-grainings in `spectune.coarse`.

    Args:
        setup: the system that was simulated; its states are taken on its device, in its dtype.
        n: points of the coarse grid in each direction; None for Lorenz-96, which keeps its X.
        filter: name in `FILTERS`, by default gaussian; None for Lorenz-96.
        width: Δ of the filter, by default 2Δx of the coarse grid; None for Lorenz-96.
        targets: of `TARGETS`, in the order of the channels.

    Raises:
        CaseError: an impossible or missing value, or a grid with modes that the run has not.
    """
    system = setup.system
    if not targets or len(set(targets)) < len(targets) or not set(targets) <= set(TARGETS):
        raise CaseError(
            f"targets are {', '.join(targets) or 'empty'}; expected {' or '.join(TARGETS)}, or "
            "both, each once"
        )
    if "tau" in targets and not isinstance(system, NavierStokes2D):
        raise CaseError(
            "target tau: the subgrid stress is that of 2D Navier–Stokes flow, and the run is of "
            "another system; give pi"
        )
    if isinstance(system, Lorenz96):
        return _lorenz96(system, setup, n=n, filter=filter, width=width)
    assert isinstance(system, _Spectral)
    filter = filter or "gaussian"
    if filter not in FILTERS:
        raise CaseError(f"there is no filter '{filter}'; expected one of {', '.join(FILTERS)}")
    if width is not None and not width > 0:
        raise CaseError(f"the width of the filter is {width:g}; expected more than 0")
    grid, kernel = _coarse_grid(system, n), FILTERS[filter]
    if isinstance(system, NavierStokes2D):
        return _navier_stokes(CoarseGraining(system, grid, kernel, width), filter, targets)
    if isinstance(system, TwoLayerQG):
        return _two_layers(QuasiGeostrophicCoarseGraining(system, grid, kernel, width), filter)
    return _ring(OneDimensionalCoarseGraining(system, grid, kernel, width), filter)


def _coarse_grid(system: _Spectral, n: int | None) -> Grid:
    fine = system.grid.shape[-1]
    # Beyond the evolved modes a filtered state is zero by dealiasing, not by its filter.
    evolved = int(system.mask.reshape(-1, system.mask.shape[-1]).amax(0).nonzero().max())
    largest = min(2 * evolved + 2, fine - 2)
    if n is None:
        raise CaseError(
            f"n, the number of points of the coarse grid, is missing; give an even one up to "
            f"{largest}"
        )
    if n % 2 or n < 4:
        raise CaseError(f"n = {n} points; expected an even number from 4 to {largest}")
    if n >= fine:
        raise CaseError(
            f"n = {n} is not coarser than the run, which has {fine} points; give {largest} or less"
        )
    if n > largest:
        raise CaseError(
            f"n = {n} keeps modes up to {n // 2 - 1}, but the run of {fine} points evolves those "
            f"up to {evolved} (its dealiasing cuts the others off); give {largest} or less"
        )
    return system.grid.with_shape((n,) * system.grid.ndim)


def _navier_stokes(coarse: CoarseGraining, filter: str, targets: Sequence[str]) -> Pairing:
    dims = coarse.grid.dims
    variables = {
        "pi": (Variable("pi", "subgrid term of the vorticity equation", "1", dims),),
        "tau": tuple(
            Variable(f"tau_{ij}", f"subgrid stress, component {ij}", "1", dims)
            for ij in ("xx", "xy", "yy")
        ),
    }

    def pairs(state: Tensor) -> tuple[Tensor, Tensor]:
        psi, omega, subgrid = coarse.pair(state)
        values: dict[str, tuple[Tensor, ...]] = {"pi": (subgrid,)}
        if "tau" in targets:
            values["tau"] = coarse.stress(state)
        channels = [channel for target in targets for channel in values[target]]
        return torch.stack((psi, omega), 1), torch.stack(channels, 1)

    return Pairing(
        coarse.grid,
        filter,
        coarse.width,
        (
            Variable("psi", "filtered stream function", "1", dims),
            Variable("omega", "filtered vorticity", "1", dims),
        ),
        tuple(variable for target in targets for variable in variables[target]),
        pairs,
    )


def _two_layers(coarse: QuasiGeostrophicCoarseGraining, filter: str) -> Pairing:
    def layers(name: str, long_name: str, unit: str) -> tuple[Variable, ...]:
        return tuple(
            Variable(f"{name}_{layer}", f"{long_name} of layer {layer}", unit, coarse.grid.dims)
            for layer in (1, 2)
        )

    def pairs(state: Tensor) -> tuple[Tensor, Tensor]:
        psi, q, subgrid = coarse.pair(state)
        return torch.cat((psi, q), 1), subgrid

    return Pairing(
        coarse.grid,
        filter,
        coarse.width,
        layers("psi", "filtered stream function", "m2 s-1")
        + layers("q", "filtered potential vorticity", "s-1"),
        layers("pi", "subgrid term of the potential vorticity equation", "s-2"),
        pairs,
    )


def _ring(coarse: OneDimensionalCoarseGraining, filter: str) -> Pairing:
    def pairs(state: Tensor) -> tuple[Tensor, Tensor]:
        velocity, subgrid = coarse.pair(state)
        return velocity[:, None], subgrid[:, None]

    dims = coarse.grid.dims
    return Pairing(
        coarse.grid,
        filter,
        coarse.width,
        (Variable("u", "filtered velocity", "1", dims),),
        (Variable("pi", "subgrid term of the velocity equation", "1", dims),),
        pairs,
    )


def _lorenz96(
    system: Lorenz96, setup: Setup, *, n: int | None, filter: str | None, width: float | None
) -> Pairing:
    given = {"n": n, "filter": filter, "width": width}
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise CaseError(
            f"{', '.join(named)}: coarse-graining lorenz96 keeps the slow variables X as they are, "
            "without a coarser grid or a filter; leave out what is named"
        )
    if not system.fast_count:
        raise CaseError(
            "the run has no fast variables (fast_count = 0), so that there is no subgrid term; "
            "simulate with some"
        )
    coarse = Lorenz96CoarseGraining(system)

    def pairs(state: Tensor) -> tuple[Tensor, Tensor]:
        slow, subgrid = coarse.pair(state)
        return slow[:, None], subgrid[:, None]

    return Pairing(
        coarse.grid,
        None,
        None,
        (setup.variables[0],),
        (Variable("pi", "effect of the fast variables on the slow ones", "1", coarse.grid.dims),),
        pairs,
    )
