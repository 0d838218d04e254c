"""Two-dimensional incompressible Navier–Stokes flow in vorticity form."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from spectune.grid import Grid, resize

__all__ = ["Dealiasing", "NavierStokes2D"]

Dealiasing = Literal["2/3", "3/2"]
"""Products without aliasing errors, in every system."""


class NavierStokes2D:
    """Doubly periodic 2D turbulence with forcing, linear drag and the β-effect.

        ∂ω/∂t + J = ν∇²ω − f − rω − βv,       J = u ∂ω/∂x + v ∂ω/∂y,
        ∇²ψ = −ω,   u = ∂ψ/∂y,   v = −∂ψ/∂x,   ν = 1/Re,
        f = k_f [cos(k_f x) + cos(k_f y)]

    in units where the box is [0, 2π)². States are Fourier coefficients ω̂ (..., *grid.half_shape)
    with any number of leading ensemble axes.

    Products are free of aliasing errors with ``"2/3"``, which evolves only the modes
    |k_i| ≤ (N−1)/3 on the N-point grid (direct simulation), and with ``"3/2"``, which evolves all
    modes below Nyquist and forms products on a grid of 3N/2 points (large-eddy simulation, where
    each mode counts, and J of the filtered fields must equal that at DNS resolution).

    ``"none"`` is for comparison with the authors, who do not dealias: all modes below Nyquist,
    products on the grid itself. A product of modes p and q with |p_i + q_i| ≥ N/2 then lands on
    p_i + q_i ∓ N, so that J depends on the form in which it is written. It is theirs,
    J = ½[u·∇ω + ∇·(uω)], which conserves enstrophy in spite of aliasing, but not energy. (They
    also evolve the Nyquist modes; here these are dropped, as their derivatives have no sign.)

    Args:
        grid: doubly periodic square grid of length 2π.
        reynolds: Re = 1/ν.
        forcing_wavenumber: k_f, an integer; 0 for no forcing.
        forcing_directions: directions in which the forcing varies.
        drag: r.
        beta: β.
        dealiasing: see above.
        dtype: float32 or float64.
        device: where states live.

    Raises:
        ValueError: the box is not doubly periodic of length 2π, or the dealiasing is unknown.

    Source: Subel et al. 2023 (PNAS Nexus 2(3)), eq. 1; Basdevant 1983 (J. Comput. Phys. 50) for J;
    Zang 1991 (Appl. Numer. Math. 7) for its skew-symmetric form.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        reynolds: float,
        forcing_wavenumber: int = 0,
        forcing_directions: str = "xy",
        drag: float = 0.0,
        beta: float = 0.0,
        dealiasing: Dealiasing | Literal["none"] = "2/3",
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if grid.ndim != 2 or not grid.periodic or set(grid.lengths) != {2 * math.pi}:
            raise ValueError(f"expected a doubly periodic box of length 2π, found {grid}")
        self.grid = grid
        self.parameters: dict[str, Any] = {
            "reynolds": reynolds,
            "forcing_wavenumber": forcing_wavenumber,
            "forcing_directions": forcing_directions,
            "drag": drag,
            "beta": beta,
        }
        self.dtype, self.device = dtype, torch.device(device)
        self.viscosity = 1.0 / reynolds
        n = max(grid.shape)
        if dealiasing == "2/3":
            self.product_grid = grid
            cutoff = (n - 1) // 3
        elif dealiasing == "none":
            self.product_grid = grid
            cutoff = n // 2 - 1
        elif dealiasing == "3/2":
            self.product_grid = grid.with_shape((3 * grid.shape[0] // 2, 3 * grid.shape[1] // 2))
            cutoff = n // 2 - 1
        else:
            raise ValueError(f"expected dealiasing 'none', '2/3' or '3/2', found {dealiasing!r}")
        self.dealiasing = dealiasing
        ky, kx = grid.wavenumbers(dtype, device)
        k2 = grid.squared_wavenumber(dtype, device)
        self.inverse_k2 = torch.where(k2 > 0, 1 / k2.clamp(min=1e-30), 0.0)
        self.mask = ((kx.abs() <= cutoff) & (ky.abs() <= cutoff)).to(dtype)
        self.cutoff = cutoff
        self.linear = (-self.viscosity * k2 - drag).to(dtype)
        if beta:
            # −βv with v̂ = −i k_x ψ̂ and ψ̂ = ω̂/k²
            self.linear = self.linear + 1j * beta * kx * self.inverse_k2
        self._velocity = torch.stack((1j * ky * self.inverse_k2, -1j * kx * self.inverse_k2))
        # Basdevant's form of J needs four transforms instead of five:
        #   J = (∂xx − ∂yy)(uv) + ∂xy(v² − u²)
        self._products = torch.stack((ky**2 - kx**2, -kx * ky)) * self.mask
        if dealiasing == "none":
            self._gradient = (1j * kx * self.mask, 1j * ky * self.mask)
        self.forcing = self._forcing(forcing_wavenumber, forcing_directions)

    def _forcing(self, k: int, directions: str) -> Tensor:
        y, x = torch.meshgrid(*self.grid.coordinates(), indexing="ij")
        field = torch.zeros(self.grid.shape, dtype=torch.float64)
        if k:
            for direction, coordinate in (("x", x), ("y", y)):
                if direction in directions:
                    field = field + k * torch.cos(k * coordinate)
        forcing = self.grid.transform(field)
        forcing[forcing.abs() < 1e-12 * max(k, 1)] = 0.0
        return forcing.to(device=self.device, dtype=self.dtype.to_complex()) * self.mask

    def on(self, grid: Grid, dealiasing: Dealiasing | Literal["none"]) -> NavierStokes2D:
        """Return the same equations on another grid."""
        return NavierStokes2D(
            grid,
            dealiasing=dealiasing,
            dtype=self.dtype,
            device=self.device,
            **self.parameters,
        )

    def velocity(self, vorticity: Tensor) -> Tensor:
        """Return (u, v) on the product grid, shape (2, ..., *product_grid.shape)."""
        operator = self._velocity.reshape(2, *[1] * (vorticity.ndim - 2), *self._velocity.shape[1:])
        coefficients = operator * vorticity
        if self.product_grid is not self.grid:
            coefficients = resize(coefficients, self.grid, self.product_grid)
        return self.product_grid.inverse(coefficients)

    def advection(self, vorticity: Tensor) -> Tensor:
        """Return Ĵ, the transform of u ∂ω/∂x + v ∂ω/∂y, on the evolved modes.

        Args:
            vorticity: ω̂ (..., *grid.half_shape) on the evolved modes, complex.
        """
        if self.dealiasing == "none":
            return self._skew_symmetric_advection(vorticity)
        u, v = self.velocity(vorticity)
        products = self.product_grid.transform(torch.stack((u * v, (v - u) * (v + u))))
        if self.product_grid is not self.grid:
            products = resize(products, self.product_grid, self.grid)
        uv, difference = products
        advection: Tensor = self._products[0] * uv + self._products[1] * difference
        return advection

    def _skew_symmetric_advection(self, vorticity: Tensor) -> Tensor:
        dx, dy = self._gradient
        velocity = self.velocity(vorticity)
        omega, *gradient = self.grid.inverse(
            torch.stack((vorticity, dx * vorticity, dy * vorticity))
        )
        flux_x, flux_y = self.grid.transform(velocity * omega)
        carried = self.grid.transform(velocity[0] * gradient[0] + velocity[1] * gradient[1])
        advection: Tensor = 0.5 * (dx * flux_x + dy * flux_y + carried * self.mask)
        return advection

    def momentum_flux(self, vorticity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the transforms of uu, uv and vv on the evolved modes, each (..., *half_shape).

        Their curl of the divergence is the advection, J = (∂xx − ∂yy)(uv) + ∂xy(vv − uu), to
        round-off where products are free of aliasing.
        """
        u, v = self.velocity(vorticity)
        products = self.product_grid.transform(torch.stack((u * u, u * v, v * v)))
        if self.product_grid is not self.grid:
            products = resize(products, self.product_grid, self.grid)
        uu, uv, vv = products * self.mask
        return uu, uv, vv

    def tendency(self, vorticity: Tensor) -> Tensor:
        """Return the part of ∂ω̂/∂t that is stepped explicitly, −Ĵ − f̂."""
        return -self.advection(vorticity) - self.forcing

    def stream_function(self, vorticity: Tensor) -> Tensor:
        """Return ψ̂ = ω̂/k² with zero mean."""
        return vorticity * self.inverse_k2

    def project(self, field: Tensor) -> Tensor:
        """Return the evolved modes of a real field (..., *grid.shape)."""
        return self.grid.transform(field) * self.mask

    def courant_rate(self, vorticity: Tensor) -> float:
        """Return max(|u| + |v|) k_max, the fastest advective frequency (1/time)."""
        return float(self.velocity(vorticity).abs().sum(0).max()) * self.cutoff
