"""Blocks of consecutive samples, the units that are drawn where samples are not independent."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._core import shell_spectrum

__all__ = ["FEWEST_BLOCKS", "block_means", "resampled_counts", "sample_spectra"]

# Fewer leave the spread of the samples, and so any statement on significance, to chance.
FEWEST_BLOCKS = 4


def sample_spectra(fields: Tensor, grid: Grid, name: str = "fields") -> Tensor:
    """Return the shell spectra (n, ..., nk) of samples (n, ..., *grid.shape), in their dtype.

    Raises:
        DataError: without an axis of samples, or as `shell_spectrum`.
    """
    if fields.ndim <= grid.ndim:
        raise DataError(
            f"{name}: found shape {tuple(fields.shape)}, expected (sample, ..., "
            f"{', '.join(grid.dims)})"
        )
    return shell_spectrum(fields, grid).power


def block_means(power: Tensor, block: int, name: str = "fields") -> Tensor:
    """Return spectra (n, ..., nk) averaged over blocks of samples, (b, ..., nk) float64.

    b = ⌊n / block⌋; the last n − b·block samples, which fill no block, are left out.

    Raises:
        DataError: if there are fewer than 4 blocks.
    """
    if block < 1:
        raise DataError(f"block: found {block}, expected the number of samples of a block, ≥ 1")
    count = len(power) // block
    if count < FEWEST_BLOCKS:
        raise DataError(
            f"{name}: found {len(power)} samples in blocks of {block}, expected at least "
            f"{FEWEST_BLOCKS} blocks: fewer say nothing about their spread; give more samples or "
            "shorter blocks"
        )
    whole = power[: count * block].to(torch.float64)
    return whole.reshape(count, block, *power.shape[1:]).mean(1)


def resampled_counts(units: int, draws: int, generator: torch.Generator) -> Tensor:
    """Return how often each unit is drawn, (draws, units) float64: `units` with replacement."""
    chosen = torch.randint(units, (draws, units), generator=generator)
    counts = torch.zeros(draws, units, dtype=torch.float64)
    return counts.scatter_add_(1, chosen, torch.ones_like(counts))
