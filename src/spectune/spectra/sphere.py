"""Spectra on the sphere, by degree of the spherical harmonics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.spectra._core import refuse_not_finite
from spectune.spectra.cross import CrossSpectrum
from spectune.spectra.sphere_grid import SphereGrid

__all__ = [
    "SphericalSpectrum",
    "WindSpectrum",
    "spherical_cross",
    "spherical_spectrum",
    "wind_spectrum",
]


@dataclass(frozen=True)
class SphericalSpectrum:
    """Variance by degree.

    Attributes:
        degree: (nl,) l = 0, 1, …, int64.
        wavenumber: (nl,) √(l(l + 1))/a, in radians per unit of the radius a, float64.
        power: (..., nl) variance of each degree, in the field's unit squared, float64.
    """

    degree: Tensor
    wavenumber: Tensor
    power: Tensor


@dataclass(frozen=True)
class WindSpectrum:
    """Kinetic energy by degree.

    Attributes:
        degree: (nl,) l = 0, 1, …, int64.
        wavenumber: (nl,) √(l(l + 1))/a, in radians per unit of the radius a, float64.
        rotational: (..., nl) energy of the part without divergence, in the unit of u squared.
        divergent: (..., nl) energy of the part without vorticity.
    """

    degree: Tensor
    wavenumber: Tensor
    rotational: Tensor
    divergent: Tensor


def spherical_spectrum(field: Tensor, sphere: SphereGrid) -> SphericalSpectrum:
    """Return the spectrum of a scalar by degree.

        E(l) = (1/4π) Σ_{m=−l}^{l} |x̂_lm|²,      Σ_l E(l) = (1/4π) ∫ x² dΩ

    with orthonormal harmonics. Exact to round-off for fields without degrees above
    ``sphere.highest_degree``; higher ones are aliased, as on any grid.

    Args:
        field: (..., nlat, nlon), float32 or float64.
        sphere: the grid of the field.

    Returns:
        A `SphericalSpectrum` with power (..., nl).

    Raises:
        DataError: if the field does not fit the grid, a value is NaN or infinite, or ducc0 is not
            installed (``pip install spectune[sphere]``).

    Source: Boer, J. Atmos. Sci. 40 (1983); the transform is that of ducc0, Reinecke and Seljebotn,
    Astron. Astrophys. 554 (2013).
    """
    rows = _rows(field, sphere, "field")
    power = np.stack([_analysis(row[None], sphere, spin=0)[0] for row in rows])
    degree, wavenumber = _axis(sphere)
    return SphericalSpectrum(degree, wavenumber, _shaped(power, field))


def spherical_cross(prediction: Tensor, truth: Tensor, sphere: SphereGrid) -> CrossSpectrum:
    """Return the cross-spectrum of a prediction and the truth by degree, averaged over samples.

        E_py(l) = (1/4π) Σ_m p̂_lm ŷ_lm* = ½ (E_{p+y} − E_p − E_y)(l),   b(l) = 1/(n (2l + 1))

    b, the squared coherence of n independent pairs of isotropic fields, is what
    `CrossSpectrum.coherence` removes.

    Args:
        prediction: (n, ..., nlat, nlon), float32 or float64; the first axis is averaged.
        truth: the same shape.
        sphere: the grid of both.

    Returns:
        A `CrossSpectrum` on the wavenumbers √(l(l + 1))/a; its `width` is 1/a.

    Raises:
        DataError: if the shapes differ, or as `spherical_spectrum`.
    """
    if prediction.shape != truth.shape or truth.ndim < 3:
        raise DataError(
            f"prediction and truth: found shapes {tuple(prediction.shape)} and "
            f"{tuple(truth.shape)}, expected the same (sample, ..., latitude, longitude)"
        )
    both = prediction.double() + truth.double()
    p, y, sums = (
        spherical_spectrum(values, sphere).power.mean(0) for values in (prediction, truth, both)
    )
    degree, wavenumber = _axis(sphere)
    bias = (1 / (len(truth) * (2 * degree + 1.0))).expand(p.shape)
    return CrossSpectrum(wavenumber, p, y, (sums - p - y) / 2, bias.double(), 1 / sphere.radius)


def wind_spectrum(u: Tensor, v: Tensor, sphere: SphereGrid) -> WindSpectrum:
    """Return the kinetic-energy spectrum of horizontal winds by degree.

        E(l) = (a²/8π) Σ_m (|ζ_lm|² + |δ_lm|²)/(l(l + 1)),    Σ_l E(l) = (1/4π) ∫ ½(u² + v²) dΩ

    ζ vorticity (rotational part), δ divergence. By vector harmonics, so without derivatives on the
    grid. Solid rotation has all of its energy in l = 1 of the rotational part.

    Args:
        u: (..., nlat, nlon) eastward wind, float32 or float64.
        v: the same shape, northward wind.
        sphere: the grid of both. At the poles the components refer to the meridian of the column.

    Returns:
        A `WindSpectrum` with energies (..., nl).

    Raises:
        DataError: if the shapes differ, or as `spherical_spectrum`.

    Source: Lambert, Atmosphere-Ocean 22 (1984); Koshyk and Hamilton, J. Atmos. Sci. 58 (2001).
    """
    if u.shape != v.shape:
        raise DataError(f"v: found shape {tuple(v.shape)}, expected that of u, {tuple(u.shape)}")
    # The harmonics' components point to the south and to the east.
    pairs = zip(-_rows(v, sphere, "v"), _rows(u, sphere, "u"), strict=True)
    power = 0.5 * np.stack([_analysis(np.stack(pair), sphere, spin=1) for pair in pairs], 1)
    degree, wavenumber = _axis(sphere)
    return WindSpectrum(degree, wavenumber, _shaped(power[1], u), _shaped(power[0], u))


def _analysis(components: np.ndarray, sphere: SphereGrid, spin: int) -> np.ndarray:
    """Return (1/4π) Σ_m |·|² by degree: of a scalar (1, nl), of a vector its E and B (2, nl)."""
    lmax = sphere.highest_degree
    modes = _library().sht.analysis_2d(
        map=np.ascontiguousarray(components),
        spin=spin,
        lmax=lmax,
        mmax=lmax,
        geometry=sphere.geometry,
        nthreads=torch.get_num_threads(),
    )
    # By order m, and within it by degree l = m … lmax; m and −m are conjugate.
    degree = np.concatenate([np.arange(m, lmax + 1) for m in range(lmax + 1)])
    weight = np.where(np.arange(len(degree)) <= lmax, 1.0, 2.0) / (4 * np.pi)
    squared = (modes.real**2 + modes.imag**2) * weight
    return np.stack([np.bincount(degree, row, lmax + 1) for row in squared])


def _rows(field: Tensor, sphere: SphereGrid, name: str) -> np.ndarray:
    """Return fields (b, nlat, nlon) from north to south, float64."""
    if tuple(field.shape[-2:]) != sphere.shape or field.numel() == 0:
        raise DataError(
            f"{name}: found shape {tuple(field.shape)}, expected at least one field with "
            f"(latitude, longitude) = {sphere.shape} in the last axes"
        )
    if field.dtype not in (torch.float32, torch.float64):
        raise DataError(f"{name}: found dtype {field.dtype}, expected torch.float32 or float64")
    if not bool(field.isfinite().all()):
        refuse_not_finite(field, name)
    rows = field.detach().to("cpu", torch.float64).reshape(-1, *sphere.shape).numpy()
    return rows if sphere.north_first else rows[:, ::-1]


def _shaped(power: np.ndarray, field: Tensor) -> Tensor:
    return torch.from_numpy(power).reshape(*field.shape[:-2], -1)


def _axis(sphere: SphereGrid) -> tuple[Tensor, Tensor]:
    degree = torch.arange(sphere.highest_degree + 1)
    exact = degree.to(torch.float64)
    return degree, (exact * (exact + 1)).sqrt() / sphere.radius


def _library() -> Any:
    try:
        import ducc0
    except ImportError as error:
        raise DataError(
            "spectra on the sphere need ducc0, which is not installed; run "
            "pip install 'spectune[sphere]'"
        ) from error
    return ducc0
