"""Initial states of 2D turbulence."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.grid import Grid

__all__ = ["random_vorticity"]


def random_vorticity(
    grid: Grid, *, peak: float = 10.0, energy: float = 0.5, generator: torch.Generator
) -> Tensor:
    """Return a vorticity field with random phases and a given energy spectrum.

        E(k) ∝ k⁴ exp(−(k/k_p)²),      Σ_k E(k) = energy = ½ mean(u² + v²)

    Args:
        grid: doubly periodic grid.
        peak: k_p.
        energy: kinetic energy per unit mass.
        generator: source of the phases; the same seed gives the same field.

    Returns:
        ω (*grid.shape), float64, zero mean.

    Source: SCIENCE protocol after McWilliams 1984 (J. Fluid Mech. 146).
    """
    noise = grid.transform(torch.randn(grid.shape, dtype=torch.float64, generator=generator))
    k = grid.squared_wavenumber().sqrt()
    # A shell of radius k holds ∝ k modes, and the energy of a mode is |ω̂|²/(2k²).
    amplitude = torch.sqrt(k**4 * torch.exp(-((k / peak) ** 2)) * k)
    vorticity = noise / noise.abs().clamp(min=1e-30) * amplitude * grid.resolved()
    vorticity[0, 0] = 0.0
    field = grid.inverse(vorticity)
    coefficients = grid.transform(field)
    stream = coefficients / k.clamp(min=1e-30) ** 2
    stream[0, 0] = 0.0
    current = 0.5 * float((field * grid.inverse(stream)).mean())
    return torch.as_tensor(field * (energy / current) ** 0.5)
