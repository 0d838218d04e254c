"""Spectra of fields in one call: any grid, labelled, with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
import xarray as xr
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra._blocks import FEWEST_BLOCKS, block_means
from spectune.spectra._core import Spectrum, shell_spectrum
from spectune.spectra._labelled import Samples, samples_of
from spectune.spectra.bands import Band, degree_octaves, octaves
from spectune.spectra.confidence import confidence_limits
from spectune.spectra.cross import cross_spectrum
from spectune.spectra.dataset import to_dataset
from spectune.spectra.difference import difference_of_spectra
from spectune.spectra.directional import ModalSpectrum, directional_spectrum, modal_spectrum
from spectune.spectra.masked import masked_spectrum
from spectune.spectra.sphere import SphericalSpectrum, spherical_cross, spherical_spectrum
from spectune.spectra.sphere_grid import SphereGrid
from spectune.spectra.windowed import tapered

__all__ = ["Boundary", "Kind", "field"]

Boundary = Literal["periodic", "cosine", "window", "sphere"]
Kind = Literal["isotropic", "directional", "modal"]

Labelled = xr.DataArray | xr.Dataset | Tensor | Any


@dataclass(frozen=True)
class _Way:
    """How a spectrum is taken."""

    boundary: Boundary
    kind: Kind
    along: str | None
    gaps: bool


def field(
    data: Labelled,
    truth: Labelled | None = None,
    base: Labelled | None = None,
    *,
    grid: Grid | SphereGrid | None = None,
    dims: Sequence[str] | None = None,
    boundary: Boundary | None = None,
    kind: Kind = "isotropic",
    along: str | None = None,
    gaps: Literal["refuse", "estimate"] = "refuse",
    level: float = 0.95,
    block: int = 1,
    bands: Sequence[Band] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return spectra of fields, with wavenumbers, units and confidence limits.

        E(k) = ⟨ Σ_{|k'| ≈ k} |x̂(k')|² ⟩ over samples,      Σ_k E(k) = ⟨mean(x²)⟩

    One entry to the functions of `spectune.spectra`, where each choice is described:

    | choice | what it takes |
    | --- | --- |
    | ``boundary="periodic"`` | the FFT, in a box of any lengths (`shell_spectrum`) |
    | ``boundary="cosine"`` | the DCT-II (`shell_spectrum`), the default for flat data |
    | ``boundary="window"`` | no trend, Hann window, its energy given back (`windowed_spectrum`) |
    | ``boundary="sphere"`` | harmonics (`spherical_spectrum`), the default for whole globes |
    | ``kind="directional"`` | along one dimension, the last: zonal (`directional_spectrum`) |
    | ``kind="modal"`` | every wave vector (`modal_spectrum`) |
    | ``gaps="estimate"`` | fields that are NaN in places (`masked_spectrum`) |
    | `truth` | cross-spectrum, coherence, phase and gain with it (`cross_spectrum`) |
    | `base` | bands in which `data` differs from it (`spectral_difference`) |

    Args:
        data: `xarray.DataArray` or `xarray.Dataset`, all of whose variables are taken; or an array
            ([sample, [channel,]] *grid), then with `grid`. Dimensions that are neither of the grid
            nor of channels ("channel", "layer", "level", ...) are samples.
        truth: what `data` predicts: the same shape, dimensions and unit.
        base: what `data` is compared to: the same grid, channels and unit.
        grid: instead of coordinates: shape, lengths, unit; whether it is periodic.
        dims: dimensions of the grid in labelled data, slowest first; by default all that are
            neither samples ("time", "member", "sample", ...) nor channels.
        boundary: as in the table; by default what `grid` says, else what coordinates do.
        kind: as in the table.
        along: dimension of a directional spectrum.
        gaps: "refuse" a field with NaN, or "estimate" its spectrum in a periodic box.
        level: of the confidence limits; there are none with fewer than 4 blocks of samples.
        block: consecutive samples drawn together, several correlation times.
        bands: to compare with `base` in, or None for octaves.
        seed: of bootstrap and permutations.

    Returns:
        `power` with `lower` and `upper` by `wavenumber` (radians per unit of length; on the sphere
        `degree`). With `truth`, `prediction`, `truth`, `cospectrum`, `coherence`, `phase`, `gain`
        instead. With `base`, also `base_power` and its limits, and by `band`: `base`, `target`,
        `log_ratio`, `p_value`, `significant`. Variables of a dataset come as ``name_power`` etc.

    Raises:
        DataError: data that do not say what their grid is, do not fit each other, have gaps or are
            no numbers; a combination that has no meaning, named in the message.
    """
    _check_choice(boundary=boundary, kind=kind, gaps=gaps)
    if isinstance(data, xr.Dataset):
        beside = {"truth": truth, "base": base}
        parts = []
        for name, variable in data.data_vars.items():
            others = {key: _variable(other, str(name), key) for key, other in beside.items()}
            found = field(
                variable, **others, grid=grid, dims=dims, boundary=boundary, kind=kind,
                along=along, gaps=gaps, level=level, block=block, bands=bands, seed=seed,
            )  # fmt: skip
            parts.append(found.rename({key: f"{name}_{key}" for key in found.data_vars}))
        if not parts:
            raise DataError("data: found a dataset without variables, expected at least one")
        return xr.merge(parts, join="exact", compat="equals", combine_attrs="override")
    chosen = None if dims is None else tuple(dims)
    samples = samples_of(data, grid, chosen, boundary, "data")
    way = _way(samples.grid, boundary, kind, along, gaps == "estimate")
    generator = torch.Generator().manual_seed(seed)
    if truth is None:
        found = _spectrum(samples, way, level, block, generator)
    else:
        found = _cross(samples, samples_of(truth, grid, chosen, boundary, "truth"), way)
    if base is not None:
        other = samples_of(base, grid, chosen, boundary, "base")
        found = _against(found, samples, other, way, level, block, bands, generator)
    return found.assign_attrs(
        boundary=way.boundary,
        kind=kind,
        samples=len(samples.values),
        block=block,
        confidence_level=level,
    )


def _check_choice(**given: str | None) -> None:
    known = {"boundary": (None, *get_args(Boundary)), "kind": get_args(Kind)}
    known["gaps"] = ("refuse", "estimate")
    for name, value in given.items():
        if value not in known[name]:
            raise DataError(f"{name}: found {value!r}, expected one of {known[name]}")


def _variable(other: Labelled | None, name: str, role: str) -> Labelled | None:
    if other is None:
        return None
    if not isinstance(other, xr.Dataset) or name not in other.data_vars:
        raise DataError(f"{role}: found no variable '{name}', expected those of the data")
    return other[name]


def _way(
    grid: Grid | SphereGrid, boundary: Boundary | None, kind: Kind, along: str | None, gaps: bool
) -> _Way:
    if isinstance(grid, SphereGrid):
        if boundary not in (None, "sphere") or kind != "isotropic" or gaps:
            raise DataError(
                f"found boundary {boundary!r}, kind {kind!r} and gaps {gaps} for a whole sphere, "
                "where spectra are by degree, of fields without gaps; for a part of it as a flat "
                "box, or zonal spectra of a band of latitudes, pass grid=spectune.Grid(...)"
            )
        return _Way("sphere", kind, None, False)
    boundary = boundary or ("periodic" if grid.periodic else "cosine")
    if boundary == "sphere":
        raise DataError("boundary 'sphere': found a flat grid, expected a SphereGrid")
    if gaps and (kind != "isotropic" or boundary != "periodic"):
        raise DataError(
            f"gaps 'estimate': found kind {kind!r} with boundary {boundary!r}, expected "
            "'isotropic' and 'periodic', for which alone there is an estimate"
        )
    return _Way(boundary, kind, along or grid.dims[-1] if kind == "directional" else None, gaps)


def _placed(samples: Samples, way: _Way) -> tuple[Tensor, Grid]:
    """Return fields and grid so that the spectrum wanted is that of the grid."""
    assert isinstance(samples.grid, Grid)
    grid = replace(samples.grid, periodic=way.boundary != "cosine")
    if way.boundary == "window":
        return tapered(samples.values, grid), grid
    return samples.values, grid


def _of_samples(samples: Samples, way: _Way) -> Spectrum | ModalSpectrum | SphericalSpectrum:
    """Return the spectrum of each sample, power (n, [c,] ...)."""
    if isinstance(samples.grid, SphereGrid):
        return spherical_spectrum(samples.values, samples.grid)
    values, grid = _placed(samples, way)
    if way.gaps:
        return masked_spectrum(values, grid)
    if way.kind == "modal":
        return modal_spectrum(values, grid)
    if way.along is not None:
        return directional_spectrum(values, grid, way.along)
    return shell_spectrum(values, grid)


def _spectrum(
    samples: Samples, way: _Way, level: float, block: int, generator: torch.Generator
) -> xr.Dataset:
    every = _of_samples(samples, way)
    enough = block >= 1 and len(every.power) // block >= FEWEST_BLOCKS
    units = block_means(every.power, block) if enough or block != 1 else every.power.double()
    found = _dataset(replace(every, power=units.mean(0)), samples)
    if enough and way.kind != "modal":
        limits = confidence_limits(units, generator, level)
        for name, values in zip(("lower", "upper"), limits, strict=True):
            what = f"{name} {100 * level:g} % confidence limit of the {{}}"
            found[name] = found["power"].copy(data=values.numpy())
            found[name].attrs["long_name"] = what.format(found["power"].attrs["long_name"])
    return found


def _dataset(result: Any, samples: Samples) -> xr.Dataset:
    return to_dataset(result, samples.grid, samples.quantity, samples.unit, samples.channels)


def _cross(samples: Samples, truth: Samples, way: _Way) -> xr.Dataset:
    if way.kind == "modal" or way.gaps:
        raise DataError(
            f"truth: found kind {way.kind!r} and gaps {way.gaps}, expected isotropic or "
            "directional spectra of fields without gaps: there alone is a coherence"
        )
    _check_beside(samples, truth, "truth")
    if samples.values.shape != truth.values.shape:
        raise DataError(
            f"truth: found shape {tuple(truth.values.shape)}, expected that of the data, "
            f"{tuple(samples.values.shape)}, sample by sample"
        )
    if isinstance(samples.grid, SphereGrid):
        return _dataset(spherical_cross(samples.values, truth.values, samples.grid), samples)
    (p, grid), (y, _) = _placed(samples, way), _placed(truth, way)
    return _dataset(cross_spectrum(p, y, grid, way.along), samples)


def _check_beside(samples: Samples, other: Samples, role: str) -> None:
    if samples.grid != other.grid:
        raise DataError(f"{role}: found the grid {other.grid}, expected {samples.grid}")
    if samples.unit != other.unit:
        raise DataError(
            f"{role}: found unit '{other.unit}', expected that of the data, '{samples.unit}'"
        )


def _against(
    found: xr.Dataset,
    samples: Samples,
    base: Samples,
    way: _Way,
    level: float,
    block: int,
    bands: Sequence[Band] | None,
    generator: torch.Generator,
) -> xr.Dataset:
    """Add the spectrum of the base and the bands in which the data differ from it."""
    if way.kind == "modal":
        raise DataError("base: found kind 'modal', expected 'isotropic' or 'directional'")
    _check_beside(samples, base, "base")
    ours, theirs = _of_samples(samples, way), _of_samples(base, way)
    assert not isinstance(ours, ModalSpectrum)
    if bands is None:
        bands = _octaves(samples.grid, way)
    difference = difference_of_spectra(
        theirs.power, ours.power, ours.wavenumber, bands, generator, block=block
    )
    home = _spectrum(base, way, level, block, generator)
    home = home.rename({name: f"base_{name}" for name in home.data_vars})
    parts = [found, home, _dataset(difference, samples)]
    return xr.merge(parts, join="exact", compat="equals", combine_attrs="override")


def _octaves(grid: Grid | SphereGrid, way: _Way) -> tuple[Band, ...]:
    if isinstance(grid, SphereGrid):
        return degree_octaves(grid)
    periodic = way.boundary != "cosine"
    if way.along is None:
        return octaves(replace(grid, periodic=periodic))
    axis = grid.dims.index(way.along)
    return octaves(Grid((grid.shape[axis],), (grid.lengths[axis],), (way.along,), periodic))
