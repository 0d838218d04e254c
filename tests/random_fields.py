"""Random fields whose spectrum is known."""

import torch

from spectune.grid import Grid


def power_law(grid: Grid, n: int, slope: float, seed: int = 0) -> torch.Tensor:
    """Return n homogeneous Gaussian fields with E(k) ∝ k^slope in their shells, zero mean."""
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(n, *grid.shape, generator=generator, dtype=torch.float64)
    k = grid.squared_wavenumber().sqrt()
    # A shell of a d-dimensional box holds about k^{d−1} modes.
    exponent = (slope - (grid.ndim - 1)) / 2
    gain = torch.where(k > 0, k.clamp(min=1e-9) ** exponent, 0.0)
    return grid.inverse(grid.transform(white) * gain)
