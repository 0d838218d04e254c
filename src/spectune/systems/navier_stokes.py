"""Two-dimensional incompressible Navier–Stokes flow in vorticity form."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from spectune.grid import Grid, resize
from spectune.systems.damping import damping_rate
from spectune.systems.forcing import cosine_forcing
from spectune.systems.ring_forcing import RingForcing

__all__ = ["Dealiasing", "NavierStokes2D"]

Dealiasing = Literal["2/3", "3/2"]
"""Products without aliasing errors, in every system."""


class NavierStokes2D:
    """Doubly periodic 2D turbulence with forcing, friction at all scales and the β-effect.

        ∂ω/∂t + J = ν∇²ω − ν_p (−∇²)^p ω − α (−∇²)^(−q) ω − f + Ẇ − rω − βv,
        J = u ∂ω/∂x + v ∂ω/∂y,   ∇²ψ = −ω,   u = ∂ψ/∂y,   v = −∂ψ/∂x,   ν = 1/Re,
        f = χ k_f [cos(k_f x) + cos(k_f y)]

    in units where the box is [0, 2π)². Hyperviscosity ν_p damps the small scales, hypoviscosity α
    the large ones (`damping_rate`). f is a steady forcing (`cosine_forcing`; in one direction that
    of Kolmogorov flow), Ẇ one that is white in time (`RingForcing`); with neither, the flow decays.
    States are Fourier coefficients ω̂ (..., *grid.half_shape) with any number of leading ensemble
    axes.

    `tendency` and `linear` hold everything but Ẇ, which is no rate: `noise` adds it to the state
    after each step, whatever the time scheme, and a `Simulation` does so by itself.

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
        reynolds: Re = 1/ν; infinite for no viscosity.
        hyperviscosity: ν_p (L^2p/T), 0 for none.
        hyperviscosity_power: p ≥ 2; the term has 2p derivatives.
        hypoviscosity: α (1/(L^2q T)), 0 for none.
        hypoviscosity_power: q ≥ 1.
        forcing_wavenumber: k_f, an integer; 0 for no steady forcing.
        forcing_directions: directions in which f varies, ``"x"``, ``"y"`` or ``"xy"``.
        forcing_amplitude: χ (L/T²), the largest acceleration by one direction of f.
        injection_rate: ε (L²/T³), mean rate at which Ẇ feeds kinetic energy; 0 for no Ẇ.
        ring_wavenumber: middle of the ring that Ẇ forces.
        ring_half_width: half the width of the ring.
        noise_seed: of Ẇ.
        drag: r (1/T).
        beta: β (1/(L T)).
        dealiasing: see above.
        dtype: float32 or float64.
        device: where states live.

    Attributes:
        parameters: the numbers of the equations, plain values; ``NavierStokes2D(grid,
            **parameters)`` are the same equations.
        linear: L (*grid.half_shape), the damping; complex with β.
        forcing: f̂ (*grid.half_shape).
        noise: Ẇ, or None.
        mask: 1 on the evolved modes, 0 elsewhere.
        cutoff: largest evolved mode number.

    Raises:
        ValueError: the grid is not square and doubly periodic of length 2π, or the dealiasing is
            unknown.
        CaseError: a parameter is out of its range, or the grid does not evolve what is forced.

    Source: Subel et al. 2023 (PNAS Nexus 2(3)), eq. 1; Boffetta & Ecke 2012 (Annu. Rev. Fluid
    Mech. 44) for hyper- and hypoviscosity; Basdevant 1983 (J. Comput. Phys. 50) for J; Zang 1991
    (Appl. Numer. Math. 7) for its skew-symmetric form.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        reynolds: float,
        hyperviscosity: float = 0.0,
        hyperviscosity_power: int = 4,
        hypoviscosity: float = 0.0,
        hypoviscosity_power: int = 1,
        forcing_wavenumber: int = 0,
        forcing_directions: str = "xy",
        forcing_amplitude: float = 1.0,
        injection_rate: float = 0.0,
        ring_wavenumber: float = 0.0,
        ring_half_width: float = 1.0,
        noise_seed: int = 0,
        drag: float = 0.0,
        beta: float = 0.0,
        dealiasing: Dealiasing | Literal["none"] = "2/3",
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if grid.ndim != 2 or not grid.periodic or set(grid.lengths) != {2 * math.pi}:
            raise ValueError(f"expected a doubly periodic box of length 2π, found {grid}")
        if grid.shape[0] != grid.shape[1]:
            raise ValueError(f"expected as many points in y as in x, found {grid}")
        self.grid = grid
        self.parameters: dict[str, Any] = {
            "reynolds": reynolds,
            "hyperviscosity": hyperviscosity,
            "hyperviscosity_power": hyperviscosity_power,
            "hypoviscosity": hypoviscosity,
            "hypoviscosity_power": hypoviscosity_power,
            "forcing_wavenumber": forcing_wavenumber,
            "forcing_directions": forcing_directions,
            "forcing_amplitude": forcing_amplitude,
            "injection_rate": injection_rate,
            "ring_wavenumber": ring_wavenumber,
            "ring_half_width": ring_half_width,
            "noise_seed": noise_seed,
            "drag": drag,
            "beta": beta,
        }
        self.dtype, self.device = dtype, torch.device(device)
        rate = damping_rate(
            grid,
            reynolds=reynolds,
            drag=drag,
            hyperviscosity=hyperviscosity,
            hyperviscosity_power=hyperviscosity_power,
            hypoviscosity=hypoviscosity,
            hypoviscosity_power=hypoviscosity_power,
        )
        self.viscosity = 1.0 / reynolds
        n = grid.shape[0]
        if dealiasing == "2/3":
            self.product_grid = grid
            cutoff = (n - 1) // 3
        elif dealiasing == "none":
            self.product_grid = grid
            cutoff = n // 2 - 1
        elif dealiasing == "3/2":
            self.product_grid = grid.with_shape((3 * n // 2, 3 * n // 2))
            cutoff = n // 2 - 1
        else:
            raise ValueError(f"expected dealiasing 'none', '2/3' or '3/2', found {dealiasing!r}")
        self.dealiasing = dealiasing
        ky, kx = grid.wavenumbers(dtype, device)
        k2 = grid.squared_wavenumber(dtype, device)
        self.inverse_k2 = torch.where(k2 > 0, 1 / k2.clamp(min=1e-30), 0.0)
        self.mask = ((kx.abs() <= cutoff) & (ky.abs() <= cutoff)).to(dtype)
        self.cutoff = cutoff
        self.linear = -rate.to(self.device, dtype)
        if beta:
            # −βv with v̂ = −i k_x ψ̂ and ψ̂ = ω̂/k²
            self.linear = self.linear + 1j * beta * kx * self.inverse_k2
        self._velocity = torch.stack((1j * ky * self.inverse_k2, -1j * kx * self.inverse_k2))
        # Basdevant's form of J needs four transforms instead of five:
        #   J = (∂xx − ∂yy)(uv) + ∂xy(v² − u²)
        self._products = torch.stack((ky**2 - kx**2, -kx * ky)) * self.mask
        if dealiasing == "none":
            self._gradient = (1j * kx * self.mask, 1j * ky * self.mask)
        self.forcing = cosine_forcing(
            grid,
            wavenumber=forcing_wavenumber,
            directions=forcing_directions,
            amplitude=forcing_amplitude,
            cutoff=cutoff,
        ).to(self.device, dtype.to_complex())
        self.noise: RingForcing | None = None
        if injection_rate:
            self.noise = RingForcing(
                wavenumber=ring_wavenumber,
                half_width=ring_half_width,
                rate=injection_rate,
                seed=noise_seed,
                cutoff=cutoff,
                dtype=dtype,
                device=device,
            )

    def on(self, grid: Grid, dealiasing: Dealiasing | Literal["none"]) -> NavierStokes2D:
        """Return the same equations on another grid, forced in the modes evolved there."""
        unforced = {"forcing_wavenumber": 0, "injection_rate": 0.0}
        other = NavierStokes2D(
            grid,
            dealiasing=dealiasing,
            dtype=self.dtype,
            device=self.device,
            **self.parameters | unforced,
        )
        other.parameters = self.parameters
        other.forcing = resize(self.forcing, self.grid, grid) * other.mask
        other.noise = None if self.noise is None else self.noise.on(other.cutoff)
        return other

    def velocity(self, vorticity: Tensor) -> Tensor:
        """Return (u, v) on the product grid, shape (2, ..., *product_grid.shape)."""
        return self._on_points(
            self._velocity.reshape(2, *[1] * (vorticity.ndim - 2), *self.grid.half_shape)
            * vorticity
        )

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
        # One field at a time: a check must not need more memory than the steps.
        fastest = vorticity.new_zeros((), dtype=self.dtype)
        for member in vorticity.reshape(-1, *self.grid.half_shape):
            speed = self._on_points(self._velocity[0] * member).abs_()
            speed += self._on_points(self._velocity[1] * member).abs_()
            fastest = torch.maximum(fastest, speed.max())
        return float(fastest) * self.cutoff

    def _on_points(self, coefficients: Tensor) -> Tensor:
        if self.product_grid is not self.grid:
            coefficients = resize(coefficients, self.grid, self.product_grid)
        return self.product_grid.inverse(coefficients)
