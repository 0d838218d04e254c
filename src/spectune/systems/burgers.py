"""Forced viscous Burgers flow in one dimension."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spectune.grid import Grid, resize
from spectune.systems._one_dimensional import OneDimensionalFlow
from spectune.systems.navier_stokes import Dealiasing

__all__ = ["Burgers1D", "random_forcing"]


class Burgers1D(OneDimensionalFlow):
    """Periodic viscous Burgers equation with a forcing that the caller holds or redraws.

        ∂u/∂t + u ∂u/∂x = ν ∂²u/∂x² + f        on [0, L)

    States are Fourier coefficients û (..., *grid.half_shape) with any number of leading ensemble
    axes; units are those of the grid's length and of ν (length²/time).

    The forcing is constant in time until `force` is called again: leave it alone for steady
    forcing, or call ``system.force(random_forcing(...))`` between the snapshots of a run for
    forcing that is white in time. It is not part of `parameters`; `on` carries it over to another
    grid.

    Args:
        grid: periodic 1D grid of any length.
        viscosity: ν.
        dealiasing: ``"2/3"`` evolves the modes up to (N−1)/3 on the N-point grid (direct
            simulation); ``"3/2"`` evolves all modes below Nyquist and forms products on 3N/2
            points (large-eddy simulation). Both are free of aliasing errors.
        dtype: float32 or float64.
        device: where states live.

    Raises:
        ValueError: the grid is not a periodic 1D grid, ν is negative or the dealiasing unknown.

    Source: Subel et al. 2021 (Phys. Fluids 33, 031702); Burgers 1948 (Adv. Appl. Mech. 1).
    """

    def __init__(
        self,
        grid: Grid,
        *,
        viscosity: float,
        dealiasing: Dealiasing = "2/3",
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if viscosity < 0:
            raise ValueError(f"expected a viscosity ν ≥ 0, found {viscosity}")
        rate = -viscosity * grid.squared_wavenumber()
        super().__init__(grid, rate, {"viscosity": viscosity}, dealiasing, dtype, device)

    def force(self, field: Tensor) -> None:
        """Set f, a real field (..., *grid.shape), from now on."""
        forcing = self.project(field.to(self.device, self.dtype))
        if forcing.shape == self.forcing.shape:
            self.forcing.copy_(forcing)  # in its place: a recorded step finds it there
        else:
            self.forcing = forcing

    def on(self, grid: Grid, dealiasing: Dealiasing) -> Burgers1D:
        """Return the same equation and forcing on another grid of the same box."""
        other = Burgers1D(
            grid,
            dealiasing=dealiasing,
            dtype=self.dtype,
            device=self.device,
            **self.parameters,
        )
        other.forcing = resize(self.forcing, self.grid, grid) * other.mask
        return other


def random_forcing(
    grid: Grid,
    *,
    amplitude: float,
    interval: float,
    modes: int = 3,
    members: tuple[int, ...] = (),
    generator: torch.Generator,
) -> Tensor:
    """Return one draw of a large-scale forcing that is white in time.

        f(x) = A/√τ Σ_{m=1}^{M} σ_m cos(2π m x/L + 2π φ_m),      σ_m ~ N(0, 1),  φ_m ~ U[0, 1)

    Held for a time τ and then redrawn, it feeds the energy ½⟨u²⟩ at the mean rate A²M/4, whatever
    τ is, as long as τ is short for the flow.

    Args:
        grid: periodic 1D grid.
        amplitude: A, velocity/√time.
        interval: τ, the time for which the draw is held.
        modes: M, the largest forced mode number.
        members: leading ensemble axes; every member gets a draw of its own.
        generator: source of σ and φ; the same seed gives the same forcings.

    Returns:
        f (*members, *grid.shape), float64.

    Source: the large-scale stochastic forcing of Dolaptchiev, Achatz & Timofeyev 2013 (Theor.
    Comput. Fluid Dyn. 27) and Subel et al. 2021, which use M = 3. (That they scale and redraw it in
    this way is assumed.)
    """
    (x,) = grid.coordinates()
    m = torch.arange(1, modes + 1, dtype=torch.float64)
    sigma = torch.randn((*members, modes), dtype=torch.float64, generator=generator)
    phase = torch.rand((*members, modes), dtype=torch.float64, generator=generator)
    waves = torch.cos(2 * math.pi * (m[:, None] * x / grid.lengths[0] + phase[..., None]))
    return torch.as_tensor(amplitude / interval**0.5 * (sigma[..., None] * waves).sum(-2))
