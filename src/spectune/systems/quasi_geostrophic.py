"""Two-layer quasi-geostrophic flow on the β-plane, with pyqg's parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from spectune.grid import Grid, resize
from spectune.systems.navier_stokes import Dealiasing

__all__ = ["EDDY", "JET", "TwoLayerQG", "random_potential_vorticity"]

EDDY: Mapping[str, float] = MappingProxyType({"beta": 1.5e-11, "rek": 5.787e-7, "delta": 0.25})
"""Isotropic eddies: pyqg's defaults (β in 1/(m s), r_ek in 1/s, δ = H₁/H₂)."""

JET: Mapping[str, float] = MappingProxyType({"beta": 1e-11, "rek": 7e-8, "delta": 0.1})
"""Zonal jets: the second configuration of Ross et al. 2023 (same units as `EDDY`)."""


class TwoLayerQG:
    """Doubly periodic two-layer quasi-geostrophic flow, driven by a sheared mean flow.

        ∂q₁/∂t + J(ψ₁, q₁) + U₁ ∂q₁/∂x + Q₁ ∂ψ₁/∂x = D q₁
        ∂q₂/∂t + J(ψ₂, q₂) + U₂ ∂q₂/∂x + Q₂ ∂ψ₂/∂x = −r_ek ∇²ψ₂ + D q₂
        q₁ = ∇²ψ₁ + F₁(ψ₂ − ψ₁),                  q₂ = ∇²ψ₂ + F₂(ψ₁ − ψ₂)
        F₁ = r_d⁻²/(1 + δ),  F₂ = δF₁,   Q₁ = β + F₁(U₁ − U₂),  Q₂ = β − F₂(U₁ − U₂)
        J(ψ, q) = u ∂q/∂x + v ∂q/∂y,     u = −∂ψ/∂y,  v = ∂ψ/∂x

    with layer 1 above layer 2. The sign of ψ is pyqg's, opposite to that of `NavierStokes2D`.
    SI units: q in 1/s, ψ in m²/s, lengths in m. States are Fourier coefficients q̂
    (..., 2, *grid.half_shape) with any number of leading ensemble axes.

    Small scales are dissipated at the rate D(κ) = −D_f − νκ⁴, the only part that is stepped
    implicitly. D_f is pyqg's exponential filter (Arbic & Flierl 2003), written as a rate:

        exp(−D_f τ) = exp(−23.6 (κh − 0.65π)⁴)  for κh > 0.65π,  1 below,

    so that a step Δt = τ multiplies q̂ by pyqg's filter; other steps dissipate as much in the same
    time. Its length h is a parameter that `on` carries over: the flow on another grid obeys the
    same equation. (pyqg's own coarse models filter at their own h: give `filter_spacing`.) Unlike
    in pyqg, products are free of aliasing errors.

    Args:
        grid: doubly periodic grid; pyqg's box is ``Grid.square(n, 1e6)``, 1000 km.
        beta: β (1/(m s)).
        rek: bottom drag r_ek (1/s).
        delta: δ = H₁/H₂.
        rd: deformation radius r_d (m).
        U1: mean zonal flow of layer 1 (m/s).
        U2: mean zonal flow of layer 2 (m/s).
        filter_interval: τ (s); pyqg filters once a step, and Ross et al. step 3600 s. None for no
            filter.
        filter_spacing: h (m); by default the spacing of the coarsest grid that carries the evolved
            modes, Δx with ``"3/2"`` and 3/2 Δx with ``"2/3"``.
        hyperviscosity: ν (m⁴/s), isotropic, for use instead of the filter.
        dealiasing: ``"3/2"`` evolves all modes below Nyquist and forms products on 3N/2 points;
            ``"2/3"`` evolves the modes |k_i| ≤ (N−1)/3 on the N-point grid.
        dtype: float32 or float64.
        device: where states live.

    Raises:
        ValueError: the grid is not a doubly periodic 2D grid, or the dealiasing is unknown.

    Source: pyqg 0.7 (`QGModel`: equations, `EDDY`, filter); Ross, Li, Perezhogin,
    Fernandez-Granda & Zanna 2023 (J. Adv. Model. Earth Syst. 15) for `JET` and τ.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        beta: float = EDDY["beta"],
        rek: float = EDDY["rek"],
        delta: float = EDDY["delta"],
        rd: float = 15_000.0,
        U1: float = 0.025,
        U2: float = 0.0,
        filter_interval: float | None = 3600.0,
        filter_spacing: float | None = None,
        hyperviscosity: float = 0.0,
        dealiasing: Dealiasing = "3/2",
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if grid.ndim != 2 or not grid.periodic:
            raise ValueError(f"expected a doubly periodic grid in two dimensions, found {grid}")
        self.grid = grid
        self.dtype, self.device = dtype, torch.device(device)
        if dealiasing == "2/3":
            self.product_grid = grid
            self.cutoffs = tuple((n - 1) // 3 for n in grid.shape)
        elif dealiasing == "3/2":
            self.product_grid = grid.with_shape(tuple(3 * n // 2 for n in grid.shape))
            self.cutoffs = tuple((n - 1) // 2 for n in grid.shape)
        else:
            raise ValueError(f"expected dealiasing '2/3' or '3/2', found {dealiasing!r}")
        if filter_spacing is None:
            filter_spacing = max(grid.spacing) * (1.5 if dealiasing == "2/3" else 1.0)
        self.parameters: dict[str, Any] = {
            "beta": beta,
            "rek": rek,
            "delta": delta,
            "rd": rd,
            "U1": U1,
            "U2": U2,
            "filter_interval": filter_interval,
            "filter_spacing": filter_spacing,
            "hyperviscosity": hyperviscosity,
        }
        # H₁/H and H₂/H weigh the layers in every integral over depth.
        self.layer_weights = (delta / (1 + delta), 1 / (1 + delta))
        F1 = rd**-2 / (1 + delta)
        F2 = delta * F1
        self.stretching = F1, F2
        self._mean_flow = torch.tensor([U1, U2], dtype=dtype, device=device)[:, None, None]
        # Operators are formed in float64, where κ⁴ of a box in metres is far from underflow.
        ky, kx = grid.wavenumbers()
        k2 = grid.squared_wavenumber()
        mask = torch.ones(grid.half_shape, dtype=torch.float64)
        for k, length, cutoff in zip((ky, kx), grid.lengths, self.cutoffs, strict=True):
            mask = mask * ((k * length / (2 * math.pi)).abs() < cutoff + 0.5)
        self.mask = self._placed(mask)
        rate = -hyperviscosity * k2**2
        if filter_interval is not None:
            excess = (k2.sqrt() * filter_spacing - 0.65 * math.pi).clamp(min=0.0)
            rate = rate - 23.6 / filter_interval * excess**4
        self.linear = self._placed(rate)
        per_determinant = torch.where(k2 > 0, -1 / (k2 * (k2 + F1 + F2)).clamp(min=1e-60), 0.0)
        rows = [torch.stack([k2 + F2, F1 + 0 * k2]), torch.stack([F2 + 0 * k2, k2 + F1])]
        self._inversion = self._placed(torch.stack(rows) * per_determinant)
        self._gradient = self._placed(torch.stack((1j * kx + 0 * ky, 1j * ky + 0 * kx)) * mask)
        gradients = beta + F1 * (U1 - U2), beta - F2 * (U1 - U2)
        of_stream = torch.stack([-1j * kx * gradient + 0 * ky for gradient in gradients])
        of_stream[1] += rek * k2
        self._of_stream = self._placed(of_stream * mask)

    def _placed(self, operator: Tensor) -> Tensor:
        dtype = self.dtype.to_complex() if operator.is_complex() else self.dtype
        return operator.to(self.device, dtype)

    def on(self, grid: Grid, dealiasing: Dealiasing) -> TwoLayerQG:
        """Return the same equations, small-scale dissipation included, on another grid."""
        return TwoLayerQG(
            grid, dealiasing=dealiasing, dtype=self.dtype, device=self.device, **self.parameters
        )

    def stream_function(self, vorticity: Tensor) -> Tensor:
        """Return ψ̂ (..., 2, *half_shape) of q̂, with zero mean in each layer."""
        return (self._inversion * vorticity.unsqueeze(-4)).sum(-3)

    def potential_vorticity(self, stream: Tensor) -> Tensor:
        """Return q̂ (..., 2, *half_shape) of ψ̂."""
        k2 = self.grid.squared_wavenumber(self.dtype, self.device)
        stretching = torch.tensor(self.stretching, dtype=self.dtype, device=self.device)
        return -k2 * stream + stretching[:, None, None] * (stream.flip(-3) - stream)

    def velocity(self, vorticity: Tensor) -> Tensor:
        """Return (u, v) without the mean flow, (2, ..., 2, *product_grid.shape), in m/s."""
        return self._products(self._velocity(self.stream_function(vorticity)))

    def _velocity(self, stream: Tensor) -> Tensor:
        ddx, ddy = self._gradient
        return torch.stack((-ddy * stream, ddx * stream))

    def _products(self, coefficients: Tensor) -> Tensor:
        if self.product_grid is not self.grid:
            coefficients = resize(coefficients, self.grid, self.product_grid)
        return self.product_grid.inverse(coefficients)

    def advection(self, vorticity: Tensor) -> Tensor:
        """Return the transform of J(ψᵢ, qᵢ) = ∂(uᵢqᵢ)/∂x + ∂(vᵢqᵢ)/∂y on the evolved modes.

        Args:
            vorticity: q̂ (..., 2, *grid.half_shape) on the evolved modes, complex.
        """
        return self._advection(vorticity, self.stream_function(vorticity))

    def _advection(self, vorticity: Tensor, stream: Tensor) -> Tensor:
        u, v, q = self._products(torch.cat((self._velocity(stream), vorticity[None])))
        flux = self.product_grid.transform(torch.stack((u * q, v * q)))
        if self.product_grid is not self.grid:
            flux = resize(flux, self.product_grid, self.grid)
        ddx, ddy = self._gradient
        advection: Tensor = ddx * flux[0] + ddy * flux[1]
        return advection

    def tendency(self, vorticity: Tensor) -> Tensor:
        """Return the part of ∂q̂/∂t that is stepped explicitly: all but the dissipation D."""
        stream = self.stream_function(vorticity)
        carried = self._mean_flow * self._gradient[0] * vorticity
        return self._of_stream * stream - carried - self._advection(vorticity, stream)

    def project(self, field: Tensor) -> Tensor:
        """Return the evolved modes of a real field (..., 2, *grid.shape)."""
        return self.grid.transform(field) * self.mask

    def energy(self, vorticity: Tensor) -> Tensor:
        """Return the energy of the eddies per unit mass (m²/s²), shape (...).

        E = ½ Σᵢ Hᵢ/H ⟨|∇ψᵢ|²⟩ + ½ F₁H₁/H ⟨(ψ₁ − ψ₂)²⟩ = −½ Σᵢ Hᵢ/H ⟨ψᵢ qᵢ⟩
        """
        psi, q = self.grid.inverse(self.stream_function(vorticity)), self.grid.inverse(vorticity)
        weights = torch.tensor(self.layer_weights, dtype=self.dtype, device=self.device)
        energy: Tensor = -0.5 * (weights * (psi * q).mean((-2, -1))).sum(-1)
        return energy

    def courant_rate(self, vorticity: Tensor) -> float:
        """Return max(|u + U| k_max + |v| l_max), the fastest advective frequency (1/s)."""
        u, v = self.velocity(vorticity)
        l_max, k_max = (
            2 * math.pi * cutoff / length
            for cutoff, length in zip(self.cutoffs, self.grid.lengths, strict=True)
        )
        return float(((u + self._mean_flow).abs() * k_max + v.abs() * l_max).max())


def random_potential_vorticity(grid: Grid, *, generator: torch.Generator) -> Tensor:
    """Return a weak perturbation from which the flow becomes turbulent by itself.

        q₁ = 10⁻⁷ R(x, y) + 10⁻⁶ R'(x) 1/s,   R, R' ~ U[0, 1),   mean removed;   q₂ = 0

    Args:
        grid: doubly periodic grid.
        generator: source of R and R'; the same seed gives the same field.

    Returns:
        q (2, *grid.shape), float64.

    Source: the default initial state of pyqg's `QGModel`.
    """
    noise = torch.rand(grid.shape, dtype=torch.float64, generator=generator)
    stripes = torch.rand(grid.shape[1], dtype=torch.float64, generator=generator)
    upper = 1e-7 * noise + 1e-6 * stripes
    return torch.stack((upper - upper.mean(), torch.zeros_like(upper)))
