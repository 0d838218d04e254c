"""What Burgers and Kuramoto–Sivashinsky share: a velocity that carries itself around a ring."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from spectune.grid import Grid, resize
from spectune.systems.navier_stokes import Dealiasing

__all__ = ["OneDimensionalFlow"]


class OneDimensionalFlow:
    """A periodic velocity with a diagonal linear part and a forcing that is held in time.

        ∂u/∂t + ∂(u²/2)/∂x = L u + f

    States are Fourier coefficients û (..., *grid.half_shape) with any number of leading ensemble
    axes. The mean of u is a state like any other: the equations do not change in a moving frame.

    Attributes:
        grid: periodic 1D grid.
        parameters: what distinguishes this flow from others of its kind.
        linear: L on the coefficients, real.
        mask: 1 on the evolved modes, 0 elsewhere.
        cutoff: largest evolved mode number.
        forcing: f̂ on the evolved modes, (*half_shape,) or with ensemble axes that broadcast.
        dtype: float32 or float64.
        device: where states live.

    Source: Canuto et al. 2006, Spectral Methods, section 3.3, for aliasing-free products.
    """

    def __init__(
        self,
        grid: Grid,
        rate: Tensor,
        parameters: dict[str, Any],
        dealiasing: Dealiasing,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        if grid.ndim != 1 or not grid.periodic:
            raise ValueError(f"expected a periodic grid in one dimension, found {grid}")
        self.grid, self.parameters = grid, parameters
        self.dtype, self.device = dtype, torch.device(device)
        (n,) = grid.shape
        if dealiasing == "2/3":
            self.product_grid = grid
            self.cutoff = (n - 1) // 3
        elif dealiasing == "3/2":
            self.product_grid = grid.with_shape((3 * n // 2,))
            self.cutoff = (n - 1) // 2
        else:
            raise ValueError(f"expected dealiasing '2/3' or '3/2', found {dealiasing!r}")
        (k,) = grid.wavenumbers()
        self.mask = (torch.arange(len(k)) <= self.cutoff).to(self.device, dtype)
        self.linear = rate.to(self.device, dtype)
        self.forcing = torch.zeros(grid.half_shape, dtype=dtype.to_complex(), device=self.device)
        self._half_derivative = (0.5j * k).to(self.device, dtype.to_complex()) * self.mask

    def velocity(self, state: Tensor) -> Tensor:
        """Return u on the grid of the products, (..., *product_grid.shape)."""
        if self.product_grid is not self.grid:
            state = resize(state, self.grid, self.product_grid)
        return self.product_grid.inverse(state)

    def advection(self, state: Tensor) -> Tensor:
        """Return the transform of u ∂u/∂x = ∂(u²/2)/∂x on the evolved modes, free of aliasing.

        Args:
            state: û (..., *grid.half_shape) on the evolved modes, complex.
        """
        square = self.product_grid.transform(self.velocity(state) ** 2)
        if self.product_grid is not self.grid:
            square = resize(square, self.product_grid, self.grid)
        return self._half_derivative * square

    def tendency(self, state: Tensor) -> Tensor:
        """Return the part of ∂û/∂t that is stepped explicitly, −(advection) + f̂."""
        return self.forcing - self.advection(state)

    def project(self, field: Tensor) -> Tensor:
        """Return the evolved modes of a real field (..., *grid.shape)."""
        return self.grid.transform(field) * self.mask

    def courant_rate(self, state: Tensor) -> float:
        """Return max|u| k_max, the fastest advective frequency (1/time)."""
        largest = 2 * math.pi * self.cutoff / self.grid.lengths[0]
        return float(self.velocity(state).abs().max()) * largest
