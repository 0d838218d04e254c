"""Spectra of fields with gaps: land, clouds, swaths."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._bins import Bins, binned, shell_bins
from spectune.spectra._core import Spectrum, blocks_of_rows, check_field, refuse_not_finite

__all__ = ["masked_spectrum"]

# Below this share of the pairs at distance zero, what few pairs say is amplified too much.
_FEWEST_PAIRS = 0.01


def masked_spectrum(field: Tensor, grid: Grid, taper: float = 4.0) -> Spectrum:
    """Return an estimate of the shell spectrum of a field that is NaN in gaps.

        C(r) = Σ_s (w x')(s) (w x')(s + r) / Σ_s w(s) w(s + r),
        E(k) = Σ_{|k'| ≈ k} Ĉ(k'),      Σ_k E(k) = Σ w² x² / Σ w²

    x' is x without its w²-weighted mean μ, whose square is in shell 0. The weight w is 0 in gaps
    and rises smoothly to 1 away from them, w = m max(0, 2 (G ∗ m) − 1) with m the mask of the data
    and G a Gaussian of standard deviation `taper` grid points. Nothing is filled in: every
    distance r is judged by the pairs of points that exist, as in the pseudo-spectra of cosmology.

    C is unbiased for homogeneous fields but for the removed mean, and so is E after averaging over
    samples. Single samples scatter more than without gaps, and a shell of small variance may come
    out negative. With 24 % of a 128² grid under two islands, octaves of the mean over 40 samples
    are from shell 2 on within 3 % of the truth for k^−5/3 and 12 % for k^−3, where filling with
    zero is wrong 18-fold at small scales (`tests/test_spectra_masked.py`). It fails, with a
    scatter that shows it, for spectra steeper than k^−3, and for k^−3 where single points are
    missing all over the grid: such points are better interpolated.

    Args:
        field: (..., *grid.shape), float32 or float64; NaN where there are no data, in each field
            at places of its own if need be.
        grid: the grid of the field, periodic.
        taper: width of the edge of the weight, in grid points; 0 or more.

    Returns:
        A `Spectrum` with power (..., nk), float64.

    Raises:
        DataError: if the box is not periodic, some distance has almost no pair of points with
            data, a value is infinite, or as `shell_spectrum`.

    Source: Hivon et al., Astrophys. J. 567 (2002); Blackman and Tukey (1958) for the covariance.
    """
    check_field(field, grid)
    if taper < 0:
        raise DataError(f"taper: found {taper}, expected 0 or more grid points")
    if bool(field.isinf().any()):
        refuse_not_finite(field)
    if not grid.periodic:
        raise DataError(
            f"field: found {int(field.isnan().sum())} NaN of {field.numel()} in a box that is not "
            "periodic, where no estimate with gaps is good enough; cut to a region without gaps"
        )
    bins = shell_bins(grid, field.device)
    rows = [
        _of_rows(block.to(torch.float64), grid, bins, taper)
        for block in blocks_of_rows(field.reshape(-1, *grid.shape))
    ]
    power = torch.cat(rows) if rows else field.new_zeros(0, len(bins.wavenumber))
    power = power.reshape(*field.shape[: -grid.ndim], len(bins.wavenumber))
    return Spectrum(bins.wavenumber.clone(), power, bins.width)


def _of_rows(rows: Tensor, grid: Grid, bins: Bins, taper: float) -> Tensor:
    """Return the estimates (b, nk) of fields (b, *grid.shape)."""
    weight = _weight((~rows.isnan()).to(rows.dtype), grid, taper)
    x = rows.nan_to_num(0.0)
    axes = tuple(range(-grid.ndim, 0))
    norm = weight.square().sum(axes, keepdim=True)
    mean = (weight.square() * x).sum(axes, keepdim=True) / norm
    pairs, products = _autocovariance(weight, grid), _autocovariance(weight * (x - mean), grid)
    least = (pairs / pairs.flatten(1)[:, 0].reshape(-1, *(1,) * grid.ndim)).flatten(1).min(1).values
    bad = ~(least > _FEWEST_PAIRS)  # NaN, of a field without data, is bad too
    if bool(bad.any()):
        first = int(bad.nonzero()[0])
        share = float(rows[first].isnan().double().mean())
        raise DataError(
            f"field: row {first} has data in {1 - share:.1%} of the grid, so that some distances "
            f"have less than {_FEWEST_PAIRS:.0%} of the pairs of points, expected pairs at every "
            "distance; cut to a region with fewer gaps, or give a smaller taper"
        )
    power = grid.transform(products / pairs).real.flatten(1) * bins.weight
    out = binned(power, bins)
    out[:, 0] += mean.flatten().square()
    return out


def _weight(mask: Tensor, grid: Grid, taper: float) -> Tensor:
    decay = torch.zeros((), dtype=mask.dtype, device=mask.device)
    for k, spacing in zip(grid.wavenumbers(device=mask.device), grid.spacing, strict=True):
        decay = decay - 0.5 * (k * spacing * taper).square()
    smooth = grid.inverse(grid.transform(mask) * decay.exp())
    return mask * (2 * smooth - 1).clamp(min=0)


def _autocovariance(x: Tensor, grid: Grid) -> Tensor:
    """Return Σ_s x(s) x(s + r) / N over the periodic box, (b, *grid.shape)."""
    modes = grid.transform(x)
    return grid.inverse((modes * modes.conj()).real.to(modes.dtype))
