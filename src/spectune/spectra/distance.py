"""How far two spectra are from each other, in decibels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["log_spectral_distance"]

# Below this share of its sum, a float32 spectrum is the rounding of its own transform.
_FLOOR = (16 * torch.finfo(torch.float32).eps) ** 2


def log_spectral_distance(a: Tensor, b: Tensor, wavenumber: Tensor, last: float) -> Tensor:
    """Return the root mean square of the difference of two spectra in decibels.

        d = √[ Σ_k w (10 log₁₀ E_a/E_b)² / Σ_k w ],      w = 1/k

    over the shells from 1 to `last`, so that each octave counts the same; shells where either is
    below its own rounding are left out. 3 dB is a factor of two, at every wavenumber on average.

    Args:
        a: (..., nk) variance by shell.
        b: (..., nk), likewise.
        wavenumber: (nk,) of the shells.
        last: largest wavenumber that counts.

    Returns:
        (...), float64. NaN where no shell counts.

    Source: Gray and Markel, IEEE Trans. ASSP 24 (1976).
    """
    a, b, k = a.double(), b.double(), wavenumber.double()
    counts = (k > 0) & (k <= last * (1 + 1e-9))
    for spectrum in (a, b):
        counts = counts & (spectrum > _FLOOR * spectrum.sum(-1, keepdim=True))
    decibel = (10 / math.log(10)) * (a / b).log()
    weight = torch.where(counts, 1 / k.clamp(min=1e-300), 0.0)
    squares = torch.where(counts, decibel.square(), 0.0)
    return ((weight * squares).sum(-1) / weight.sum(-1)).sqrt()
