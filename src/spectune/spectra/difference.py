"""Where the spectra of two sets of fields differ, by how much, and whether it is chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._blocks import block_means, sample_spectra
from spectune.spectra._core import shell_wavenumbers
from spectune.spectra.bands import Band, in_band, octaves

__all__ = ["SpectralDifference", "difference_of_spectra", "spectral_difference"]


@dataclass(frozen=True)
class SpectralDifference:
    """Two mean spectra beside each other, in bands.

    Attributes:
        bands: the nb bands with a shell in them.
        base: (..., nb) variance of the base in each band, in the field's unit squared, float64.
        target: (..., nb) the same of the target.
        log_ratio: (..., nb) ln(target/base): 0.69 is twice the variance, −0.69 half of it.
        p_value: (..., nb) probability of a difference as large if both sets were alike.
        significant: (..., nb) whether the band is among those found at the false discovery rate.
        false_discovery_rate: expected share of wrong ones among the significant bands.
    """

    bands: tuple[Band, ...]
    base: Tensor
    target: Tensor
    log_ratio: Tensor
    p_value: Tensor
    significant: Tensor
    false_discovery_rate: float


def spectral_difference(
    base: Tensor,
    target: Tensor,
    grid: Grid,
    generator: torch.Generator,
    bands: Sequence[Band] | None = None,
    draws: int = 2000,
    block: int = 1,
    false_discovery_rate: float = 0.05,
) -> SpectralDifference:
    """Return in which bands the spectra of two sets of fields differ.

        t = (ln m_target − ln m_base) / √[(s/m)²_target + (s/m)²_base],
        p = (1 + #{|t*| ≥ |t|}) / (1 + draws)

    m and s are mean and standard error of the samples' variance in the band; t* is t after the
    samples of both sets were shuffled between them (permutation test). Divided by its error, t
    also tests equal means of sets whose spread differs. Over all bands and channels together the
    false discovery rate is held by the procedure of Benjamini and Hochberg.

    Args:
        base: (n, ..., *grid.shape), float32 or float64, in physical units or those of the base.
        target: (n', ..., *grid.shape), in the same units.
        grid: the grid of both.
        generator: source of randomness, on the CPU.
        bands: bands to compare, or None for octaves; those without a shell are left out.
        draws: number of shuffles; no p-value is below 1/(1 + draws).
        block: number of consecutive samples shuffled together, several correlation times;
            single snapshots of a slow flow would make any difference significant.
        false_discovery_rate: between 0 and 1.

    Returns:
        A `SpectralDifference`. A band where one set is constant has no ratio and p = 1.

    Raises:
        DataError: with fewer than 4 blocks in a set, different channels, no band with a shell, an
            option out of range, or as `shell_spectrum`.

    Source: Janssen, Statist. Probab. Lett. 36 (1997); Benjamini and Hochberg, J. R. Statist. Soc. B
    57 (1995).
    """
    return difference_of_spectra(
        sample_spectra(base, grid, "base"),
        sample_spectra(target, grid, "target"),
        shell_wavenumbers(grid),
        bands or octaves(grid),
        generator,
        draws,
        block,
        false_discovery_rate,
    )


def difference_of_spectra(
    base: Tensor,
    target: Tensor,
    wavenumber: Tensor,
    bands: Sequence[Band],
    generator: torch.Generator,
    draws: int = 2000,
    block: int = 1,
    false_discovery_rate: float = 0.05,
) -> SpectralDifference:
    """Return `spectral_difference` of fields whose spectra are known, sample by sample.

    Args:
        base: (n, ..., nk) variance of each sample in shells, float32 or float64.
        target: (n', ..., nk), likewise.
        wavenumber: (nk,) of the shells.
        bands: as `spectral_difference`, and so all that follow.
        generator: likewise.
        draws: likewise.
        block: likewise.
        false_discovery_rate: likewise.

    Raises:
        DataError: as `spectral_difference`.
    """
    if not 0 < false_discovery_rate < 1 or draws < 1:
        raise DataError(
            f"found false_discovery_rate {false_discovery_rate} and draws {draws}, expected "
            "0 < false_discovery_rate < 1, draws ≥ 1"
        )
    if base.shape[1:] != target.shape[1:]:
        raise DataError(
            f"target: found channels {tuple(target.shape[1:-1])} and {target.shape[-1]} shells, "
            f"expected those of the base, {tuple(base.shape[1:-1])} and {base.shape[-1]}"
        )
    masks = [(band, in_band(wavenumber, band)) for band in bands]
    masks = [(band, mask) for band, mask in masks if bool(mask.any())]
    if not masks:
        raise DataError(f"bands: no shell of the grid lies in any of {list(bands)}")
    sets = [
        torch.stack([blocks[..., mask.to(blocks.device)].sum(-1) for _, mask in masks], -1).cpu()
        for blocks in (block_means(base, block, "base"), block_means(target, block, "target"))
    ]
    shape = sets[0].shape[1:]
    pooled = torch.cat([values.flatten(1) for values in sets])
    first = torch.zeros(1, len(pooled), dtype=torch.float64)
    first[:, : len(sets[0])] = 1
    order = torch.rand(draws, len(pooled), generator=generator, dtype=torch.float64).argsort(1)
    shuffled = torch.zeros(draws, len(pooled), dtype=torch.float64)
    shuffled.scatter_(1, order[:, : len(sets[0])], 1.0)
    t, found = _studentised(shuffled, pooled).abs(), _studentised(first, pooled).abs()
    # Ties are decided against significance, so rounding must not break them.
    p = (1 + (t >= found * (1 - 1e-9)).sum(0)) / (1 + draws)
    p = torch.where(found[0].isfinite(), p, 1.0)
    base_power, target_power = (values.mean(0) for values in sets)
    return SpectralDifference(
        tuple(band for band, _ in masks),
        base_power,
        target_power,
        (target_power / base_power).log(),
        p.reshape(shape),
        _discoveries(p, false_discovery_rate).reshape(shape),
        false_discovery_rate,
    )


def _studentised(in_base: Tensor, units: Tensor) -> Tensor:
    """Return t (draws, m) of units (n, m), those marked in (draws, n) against the others."""
    # Relative values leave t as it is and keep the difference of squares exact enough.
    relative = units / units.mean(0)
    log, error = [], []
    for mark in (in_base, 1 - in_base):
        count = mark.sum(1, keepdim=True)
        mean = mark @ relative / count
        variance = (mark @ relative.square() / count - mean.square()).clamp(min=0) / (count - 1)
        log.append(mean.log())
        error.append(variance / mean.square())
    return (log[1] - log[0]) / (error[0] + error[1]).sqrt()


def _discoveries(p: Tensor, rate: float) -> Tensor:
    """Return which of the p-values (m,) Benjamini and Hochberg's procedure rejects at a rate."""
    ordered, order = p.sort()
    m = len(p)
    passed = ordered <= rate * torch.arange(1, m + 1, dtype=p.dtype) / m
    count = int(passed.nonzero().max()) + 1 if bool(passed.any()) else 0
    found = torch.zeros(m, dtype=torch.bool)
    found[order[:count]] = True
    return found
