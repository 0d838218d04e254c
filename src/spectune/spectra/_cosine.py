"""The cosine transform for boxes that are not periodic."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["cosine_transform"]


def cosine_transform(field: Tensor, ndim: int) -> Tensor:
    """Return the orthonormal DCT-II over the last `ndim` axes.

        X_m = s_m Σ_j x_j cos(π m (j + ½) / N),   s_0 = √(1/N),   s_m = √(2/N)

    so that Σ_m X_m² = Σ_j x_j² in every dimension. The basis functions are even about both walls,
    hence a field that does not repeat causes no jump at the edge of the box.

    Args:
        field: (..., N_1, …, N_ndim), real.
        ndim: number of trailing axes to transform.

    Returns:
        Same shape and dtype as `field`; entry m of an axis of length L has wavenumber π m / L.

    Source: Denis, Côté and Laprise, Mon. Weather Rev. 130 (2002), eq. 1; the algorithm is
    Makhoul's, IEEE Trans. ASSP 28 (1980): one real FFT of the even samples followed by the
    reversed odd samples.
    """
    for axis in range(-ndim, 0):
        field = _along_last(field.movedim(axis, -1)).movedim(-1, axis)
    return field


def _along_last(x: Tensor) -> Tensor:
    n = x.shape[-1]
    v = torch.cat((x[..., ::2], x[..., 1::2].flip(-1)), dim=-1)
    spectrum: Tensor = torch.fft.rfft(v, dim=-1, norm="ortho")
    half = n // 2 + 1
    # The phase in float64: at large n its rounding would otherwise dominate the result.
    phase = torch.arange(half, dtype=torch.float64, device=x.device) * (-math.pi / (2 * n))
    turned = spectrum * torch.polar(torch.ones_like(phase), phase).to(spectrum.dtype)
    # Re gives modes 0 … n/2 and −Im the mirrored modes n − m, which the real FFT leaves out.
    mirrored = -turned.imag[..., 1 : n - half + 1].flip(-1)
    out = torch.cat((turned.real, mirrored), dim=-1) * math.sqrt(2)
    return torch.cat((out[..., :1] / math.sqrt(2), out[..., 1:]), dim=-1)
