"""What a convolution kernel does: low-pass, band-pass, high-pass or Gabor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._core import blocks_of_rows
from spectune.spectra._modes import full_plane_weight

__all__ = [
    "KERNEL_CLASSES",
    "KernelClasses",
    "class_columns",
    "classes_of",
    "classify",
    "edge_modes",
]

KERNEL_CLASSES = ("low-pass", "band-pass", "high-pass", "Gabor")

_HALF_POWER = 0.5
_ORIENTED = 0.4  # anisotropy from which a filter counts as oriented


@dataclass(frozen=True)
class KernelClasses:
    """Class and measures of each kernel; leading shape (...) as in the response, (c_out, c_in).

    Attributes:
        code: (...) position of the class in `KERNEL_CLASSES`, −1 for a kernel that is zero.
        centre: (...) energy-weighted mean |k|, radians per unit of length.
        bandwidth: (...) energy-weighted standard deviation of |k|, same unit.
        orientation: (..., ndim) unit vector along which the passed wave vectors lie, in the order
            of `Grid.dims`, with its last non-zero component positive. Meaningful where
            `anisotropy` is not small.
        anisotropy: (...) 0 for a gain that is the same in all directions, 1 for one direction.
    """

    code: Tensor
    centre: Tensor
    bandwidth: Tensor
    orientation: Tensor
    anisotropy: Tensor

    @property
    def labels(self) -> list[str]:
        """Name of the class of each kernel, in flat order; "zero" for a kernel that is zero."""
        return [(*KERNEL_CLASSES, "zero")[code] for code in self.code.flatten().tolist()]

    def counts(self) -> dict[str, int]:
        """Return the number of kernels in each class."""
        labels = self.labels
        return {name: labels.count(name) for name in KERNEL_CLASSES}


def classify(response: Tensor, grid: Grid) -> KernelClasses:
    """Return the class of each kernel from its measured gain.

    With P = |Ŵ|² over all modes of the grid and P_max its largest value:

        centre      k_c = Σ P |k| / Σ P
        bandwidth   b = √(Σ P (|k| − k_c)² / Σ P)
        anisotropy  a = (d λ − 1)/(d − 1),   λ, e = leading eigenpair of Q = Σ P n nᵀ / Σ P

    where n = q/|q|, the direction of q_i = k_i Δ_i, the phase per grid step (k = 0 left out of Q),
    and d the number of dimensions. A mode is *passed* if P ≥ P_max/2, the half-power convention.
    "Edge" is the set of modes at the largest wavenumber of at least one dimension.

    | passes k = 0 | passes a mode of the edge | a ≥ 0.4 | class |
    | --- | --- | --- | --- |
    | yes | no | any | low-pass |
    | yes | yes | any | low-pass if Σ P |q|/Σ P is below that of a flat gain, else high-pass |
    | no | any | yes | Gabor: one orientation, a band away from zero |
    | no | no | no | band-pass |
    | no | yes | no | high-pass |

    Sign, scale and shifts of a kernel change nothing. In 1D, a = 0 and there are no Gabors.

    Args:
        response: (..., *grid.half_shape), gain from `kernel_response`.
        grid: the grid of the response.

    Returns:
        A `KernelClasses` of arrays with the leading shape of the response.

    Raises:
        DataError: if the trailing axes are not those of the grid or a value is not finite.

    Source: the classes of Subel et al., PNAS Nexus 2 (2023), Fig. 4, which the paper assigns by
    eye and by k-means; the half-power limits are a convention of filter design.
    """
    if tuple(response.shape[-grid.ndim :]) != grid.half_shape:
        raise DataError(
            f"response: found shape {tuple(response.shape)}, "
            f"expected {grid.half_shape} in the last axes"
        )
    leading = response.shape[: -grid.ndim]
    rows = response.detach().reshape(-1, math.prod(grid.half_shape))
    weight = full_plane_weight(grid, rows.device).flatten()
    columns = (class_columns(grid).flatten(1).to(rows.device) * weight).T.to(rows.dtype)
    edge = edge_modes(grid).flatten().to(rows.device)
    sums, peaks = [rows.new_zeros(0, columns.shape[1])], [rows.new_zeros(0, 3)]
    for block in blocks_of_rows(rows):
        power = block.square()
        sums.append(power @ columns)
        peaks.append(torch.stack((power[:, 0], power[:, edge].amax(1), power.amax(1)), dim=1))
    return classes_of(torch.cat(sums), torch.cat(peaks), leading, grid)


def classes_of(sums: Tensor, peaks: Tensor, leading: tuple[int, ...], grid: Grid) -> KernelClasses:
    """Return the classes that measured sums and peaks of the power response amount to.

    Args:
        sums: (n, m) Σ c P over the full plane, for the c of `class_columns`.
        peaks: (n, 3) P at k = 0, its largest value on the edge, and the largest of all.
        leading: shape of the n kernels.
        grid: the grid of the response.

    Raises:
        DataError: if a value is not finite.
    """
    d = grid.ndim
    sums, peaks = sums.to(torch.float64), peaks.to(torch.float64)
    if not bool(sums.isfinite().all() and peaks.isfinite().all()):
        raise DataError("response: found NaN or infinite values, expected none")
    energy, first, second, phase = sums[:, :4].unbind(1)
    tensor = sums[:, 4:].reshape(-1, d, d)
    at_zero, at_edge, largest = peaks.unbind(1)

    zero = largest == 0
    safe = energy.masked_fill(zero, 1.0)
    centre = first / safe
    bandwidth = (second / safe - centre.square()).clamp(min=0).sqrt()
    total = tensor.diagonal(dim1=1, dim2=2).sum(1)
    values, vectors = torch.linalg.eigh(tensor / total.masked_fill(total == 0, 1.0)[:, None, None])
    anisotropy = (d * values[:, -1] - 1).clamp(min=0) / max(1, d - 1)
    if d == 1:
        anisotropy = torch.zeros_like(anisotropy)

    low = at_zero >= _HALF_POWER * largest
    high = at_edge >= _HALF_POWER * largest
    weight = full_plane_weight(grid)
    flat = float((class_columns(grid)[3] * weight).sum() / weight.sum())
    oriented = anisotropy >= _ORIENTED
    # Later lines overrule earlier ones, from the last row of the table to the first.
    code = torch.where(high, 2, 1)
    code = torch.where(oriented, 3, code)
    code = torch.where(low, 0, code)
    # The slack keeps the flat gain itself, which is a tie, on one side.
    code = torch.where(low & high & (phase / safe > flat * (1 + 1e-4)), 2, code)
    code = torch.where(zero, -1, code)
    return KernelClasses(
        code=code.reshape(leading),
        centre=centre.reshape(leading),
        bandwidth=bandwidth.reshape(leading),
        orientation=_pointing(vectors[:, :, -1]).reshape(*leading, d),
        anisotropy=anisotropy.reshape(leading),
    )


def class_columns(grid: Grid) -> Tensor:
    """Return 1, |k|, |k|², |q| and n nᵀ, the weights c of the sums Σ c P behind the measures.

    Returns:
        (4 + d², *grid.half_shape), float64, equal at k and −k.
    """
    q = _phases(grid)
    phase = q.square().sum(0).sqrt()
    direction = q / phase.masked_fill(phase == 0, 1.0)
    squared = grid.squared_wavenumber()
    # A Nyquist component has no sign: its mirror image cancels the mixed terms.
    mixed = direction[:, None] * direction[None, :]
    for axis, n in enumerate(grid.shape):
        if n % 2 == 0:
            nyquist = q[axis].abs() >= math.pi * (1 - 1e-9)
            for other in range(grid.ndim):
                if other != axis:
                    mixed[axis, other, nyquist] = mixed[other, axis, nyquist] = 0
    isotropic = torch.stack((torch.ones_like(phase), squared.sqrt(), squared, phase))
    return torch.cat((isotropic, mixed.flatten(0, 1)))


def edge_modes(grid: Grid) -> Tensor:
    """Return the mask (*grid.half_shape) of the largest wavenumber of at least one dimension."""
    sizes = _phases(grid).abs()
    largest = sizes.flatten(1).amax(1).reshape(-1, *(1,) * grid.ndim)
    return (sizes >= largest * (1 - 1e-9)).any(0)


def _phases(grid: Grid) -> Tensor:
    """Return q_i = k_i Δ_i, (d, *grid.half_shape)."""
    return torch.stack(
        [
            (k * h).expand(grid.half_shape)
            for k, h in zip(grid.wavenumbers(), grid.spacing, strict=True)
        ]
    )


def _pointing(vectors: Tensor) -> Tensor:
    """Return unit vectors turned so that their last component that is not small is positive."""
    sign = torch.ones(len(vectors), dtype=vectors.dtype, device=vectors.device)
    decided = torch.zeros(len(vectors), dtype=torch.bool, device=vectors.device)
    for axis in reversed(range(vectors.shape[1])):
        component = vectors[:, axis]
        clear = (component.abs() > 1e-6) & ~decided
        sign = torch.where(clear, component.sign(), sign)
        decided |= clear
    return vectors * sign[:, None]
