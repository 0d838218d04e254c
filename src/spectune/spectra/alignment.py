"""Whether a layer changes the way the spectra of base and target differ: one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._autocorrelation import cosine_sums, offset_of_pairs
from spectune.spectra._bins import nyquist_wavenumber
from spectune.spectra._core import shell_wavenumbers
from spectune.spectra.filter_bank import shell_columns
from spectune.spectra.kernels import dilation_steps

__all__ = ["Alignment", "spectral_alignment"]


@dataclass(frozen=True)
class Alignment:
    """How the change of a layer's power response follows the change of its input spectrum.

    Attributes:
        value: weighted correlation over shells, −1 to 1. Positive: the layer now passes more of
            what the target has more of (it follows). Negative: it damps what the target has more
            of (it compensates). NaN if the layer or the spectrum did not change.
        p_value: two-sided chance of a value as far out under `null`.
        null: (n,) values for random changes of the same sizes.
        wavenumber: (nk,) shells of the layer's grid, radians per unit of length.
        response_ratio: (nk,) log of the power response after over before.
        spectrum_ratio: (nk,) log of the input spectrum of target over base; NaN in the shells
            that do not count.
    """

    value: float
    p_value: float
    null: Tensor
    wavenumber: Tensor
    response_ratio: Tensor
    spectrum_ratio: Tensor


def spectral_alignment(
    before: Tensor,
    after: Tensor,
    base_spectrum: Tensor,
    target_spectrum: Tensor,
    grid: Grid,
    dilation: int | Sequence[int] = 1,
    *,
    permutations: int = 499,
    seed: int = 0,
) -> Alignment:
    """Return whether the change of a layer goes the way base and target spectra differ.

        a = corr_k [ log(R'(k)/R(k)), log(E_target(k)/E_base(k)) ],    R(k) = ⟨|Ŵ_ij(k')|²⟩

    R averages over all kernels of the layer and the modes k' of shell k; E is the spectrum of what
    enters the layer. The correlation runs over the shells from 1 to the Nyquist radius of the
    layer's input with weights 1/k, so that each octave counts the same; shells where E is below
    its own rounding are left out.

    Neighbouring shells are not independent: a kernel of K points has a smooth response, with about
    K²/2 free numbers whatever the grid. Shuffling shells would therefore call chance significant.
    Instead, ΔW is shuffled: its entries keep their sizes, and take random signs and places in the
    layer. The two-sided p-value is 2 min(P(a₀ ≥ a), P(a₀ ≤ a)) over these values a₀; it is at
    least 2/(permutations + 1).

    Limits: a correlation of two curves, not a cause. R knows neither phases, nor which channels the
    change serves, nor the nonlinearity; a layer that only mixes channels anew has a ≈ 0 and may
    still be what repairs the network. Where spectra of base and target differ by the same factor
    everywhere, there is no shape to follow and a means nothing.

    Args:
        before: (c_out, c_in, *kernel) weights before re-training.
        after: the same shape, after it.
        base_spectrum: (nk,) spectrum of the layer's input in the base network on base data, on
            the first shells of `grid`; a coarser input has fewer.
        target_spectrum: (nk,) the same on target data.
        grid: that the kernels slide over.
        dilation: spacing of the kernel's points.
        permutations: random changes behind the p-value.
        seed: of these.

    Returns:
        An `Alignment`.

    Raises:
        DataError: if shapes do not fit each other or the grid, or are not finite.

    Source: the claim is that of Subel et al., PNAS Nexus 2 (2023), Fig. 5, made by eye there; the
    test is a permutation test (Good, 2005, ch. 3).
    """
    steps = dilation_steps(before, grid, dilation)
    waves = replace(grid, periodic=True)
    wavenumber = shell_wavenumbers(grid)
    _check(before, after, base_spectrum, target_spectrum, len(wavenumber))
    old, new = (
        w.detach().to("cpu", torch.float64).flatten(2).flatten(0, 1) for w in (before, after)
    )
    kernel = tuple(before.shape[2:])
    # C(s) for every pair of points of the kernel: R = Σ_tt' G(t, t') C(t − t') with G = WᵀW.
    half = (kernel[0], *(2 * size - 1 for size in kernel[1:]))
    sums = cosine_sums(half, shell_columns(waves), waves, steps)
    if not grid.periodic:  # the spectra are on the shells of cosines, half as wide
        known = shell_wavenumbers(waves)
        sums = torch.from_numpy(np.stack([np.interp(wavenumber, known, row) for row in sums]))
    reached = sums[offset_of_pairs(kernel)]

    def power(kernels: Tensor) -> Tensor:
        return (kernels.T @ kernels).flatten() @ reached / len(kernels)

    spectrum_ratio, weight = _shift(base_spectrum, target_spectrum, wavenumber, grid)
    reference = power(old)
    counts = weight > 0

    def correlate(kernels: Tensor) -> float:
        ratio = (power(kernels)[counts] / reference[counts]).log()
        return _correlation(ratio, spectrum_ratio[counts], weight[counts])

    value = correlate(new) if bool((new != old).any()) else torch.nan
    generator = torch.Generator().manual_seed(seed)
    change = (new - old).flatten()
    null = torch.full((permutations,), torch.nan, dtype=torch.float64)
    for trial in range(permutations if value == value else 0):
        signs = torch.randint(0, 2, change.shape, generator=generator) * 2 - 1
        moved = change[torch.randperm(len(change), generator=generator)] * signs
        null[trial] = correlate(old + moved.reshape(old.shape))
    above, below = (1 + int((null >= value).sum())), (1 + int((null <= value).sum()))
    p_value = min(1.0, 2 * min(above, below) / (permutations + 1))
    return Alignment(
        value=value,
        p_value=p_value if value == value else torch.nan,
        null=null,
        wavenumber=wavenumber,
        response_ratio=(power(new) / reference).log(),
        spectrum_ratio=spectrum_ratio,
    )


def _check(before: Tensor, after: Tensor, base: Tensor, target: Tensor, shells: int) -> None:
    if before.shape != after.shape:
        raise DataError(
            f"after: found shape {tuple(after.shape)}, expected {tuple(before.shape)} as before"
        )
    if base.ndim != 1 or base.shape != target.shape or len(base) > shells:
        raise DataError(
            f"base_spectrum, target_spectrum: found shapes {tuple(base.shape)} and "
            f"{tuple(target.shape)}, expected one shape (nk,) with at most {shells} shells"
        )
    if not all(bool(x.isfinite().all()) for x in (before, after, base, target)):
        raise DataError("weights or spectra: found NaN or infinite values, expected none")
    if not bool(before.any()):
        raise DataError("before: every kernel is zero, so its response has no ratio")


def _shift(base: Tensor, target: Tensor, wavenumber: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Return log(E_target/E_base), NaN where it does not count, and the weight of each shell."""
    ratio = torch.full_like(wavenumber, torch.nan)
    k = wavenumber[: len(base)]
    base, target = base.to(k), target.to(k)
    # The shells of a coarse input end before those of the grid, and its corners are not whole.
    last = min(nyquist_wavenumber(grid), float(k[-1])) * (1 + 1e-9)
    floor = (16 * torch.finfo(torch.float32).eps) ** 2
    counts = (k > 0) & (k <= last)
    for spectrum in (base, target):
        counts &= spectrum > floor * spectrum.sum()
    ratio[: len(base)][counts] = (target[counts] / base[counts]).log()
    weight = torch.where(ratio.isnan(), 0.0, 1 / wavenumber.clamp(min=wavenumber[1]))
    return ratio, weight


def _correlation(x: Tensor, y: Tensor, weight: Tensor) -> float:
    w = weight / weight.sum()
    x, y = x - w @ x, y - w @ y
    variance = (w @ x.square()) * (w @ y.square())
    # A constant ratio leaves rounding, which has no shape to correlate.
    if len(x) < 3 or not float(variance) > 1e-24:
        return torch.nan
    return float(w @ (x * y) / variance.sqrt())
