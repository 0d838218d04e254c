"""Blocks of consecutive samples, the units that are drawn where samples are not independent."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._core import shell_spectrum

__all__ = ["block_spectra", "resampled_counts"]

# Fewer leave the spread of the samples, and so any statement on significance, to chance.
_FEWEST = 4


def block_spectra(fields: Tensor, grid: Grid, block: int, name: str = "fields") -> Tensor:
    """Return the shell spectra (b, ..., nk), float64, averaged over blocks of consecutive samples.

    b = ⌊n / block⌋; the last n − b·block samples, which fill no block, are left out.

    Raises:
        DataError: if there are fewer than 4 blocks, or as `shell_spectrum`.
    """
    if block < 1:
        raise DataError(f"block: found {block}, expected the number of samples of a block, ≥ 1")
    count = len(fields) // block if fields.ndim > grid.ndim else 0
    if count < _FEWEST:
        raise DataError(
            f"{name}: found shape {tuple(fields.shape)} in blocks of {block}, expected (sample, "
            f"..., {', '.join(grid.dims)}) with at least {_FEWEST} blocks: fewer say nothing about "
            "their spread; give more samples or shorter blocks"
        )
    power = shell_spectrum(fields[: count * block], grid).power.to(torch.float64)
    return power.reshape(count, block, *power.shape[1:]).mean(1)


def resampled_counts(units: int, draws: int, generator: torch.Generator) -> Tensor:
    """Return how often each unit is drawn, (draws, units) float64: `units` with replacement."""
    chosen = torch.randint(units, (draws, units), generator=generator)
    counts = torch.zeros(draws, units, dtype=torch.float64)
    return counts.scatter_add_(1, chosen, torch.ones_like(counts))
