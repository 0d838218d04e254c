"""Spectra as datasets: coordinates, units, names, NetCDF and back."""

import numpy as np
import pytest
import torch
import xarray as xr

from random_fields import power_law
from spectune.atomic import write_dataset
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import (
    SphereGrid,
    confidence_band,
    cross_spectrum,
    directional_spectrum,
    modal_spectrum,
    shell_spectrum,
    spectral_difference,
    spherical_spectrum,
    to_dataset,
    wind_spectrum,
)

GRID = Grid((16, 20), (3e5, 4e5), ("y", "x"), unit="m")
SPHERE = SphereGrid((16, 32), "F1")


def generator():
    return torch.Generator().manual_seed(0)


def pair():
    x, y = power_law(GRID, 6, -2.0, 1), power_law(GRID, 6, -2.0, 2)
    return torch.stack((x, y), 1), torch.stack((x + y, y - x), 1)


def results():
    x, y = pair()
    yield shell_spectrum(x[0], GRID), GRID
    yield shell_spectrum(x[0, 0], GRID), GRID
    yield directional_spectrum(x[0], GRID, "x"), GRID
    yield modal_spectrum(x[0], GRID), GRID
    yield confidence_band(x, GRID, generator()), GRID
    yield cross_spectrum(x, y, GRID), GRID
    yield cross_spectrum(x, y, GRID, "y"), GRID
    yield spectral_difference(x, y, GRID, generator()), GRID
    field = torch.randn(2, *SPHERE.shape, generator=generator())
    yield spherical_spectrum(field, SPHERE), SPHERE
    yield wind_spectrum(field, field, SPHERE), SPHERE


def test_every_result_is_saved_and_read_back_equal(tmp_path):
    for number, (result, grid) in enumerate(results()):
        dataset = to_dataset(result, grid, "vorticity", "s-1")
        path = tmp_path / f"{number}.nc"
        write_dataset(path, dataset)
        with xr.open_dataset(path, engine="h5netcdf") as found:
            xr.testing.assert_identical(found.load(), dataset)
        for variable in dataset.data_vars.values():
            assert variable.attrs["units"] in ("(s-1)2", "1", "rad")
            assert variable.attrs["long_name"]
            assert "{" not in variable.attrs["long_name"]


def test_wavenumbers_are_physical():
    x, y = pair()
    dataset = to_dataset(shell_spectrum(x[0], GRID), GRID, channels=["psi", "omega"])
    assert dataset.power.dims == ("channel", "wavenumber")
    assert dataset.channel.values.tolist() == ["psi", "omega"]
    assert dataset.wavenumber.attrs["units"] == "rad m-1"
    assert dataset.wavenumber[1].item() == pytest.approx(2 * np.pi / 3e5)
    np.testing.assert_allclose(
        dataset.power.sum("wavenumber"), x[0].square().mean((-1, -2)), rtol=1e-12
    )
    modes = to_dataset(modal_spectrum(x[0, 0], GRID), GRID)
    assert modes.power.dims == ("wavenumber_y", "wavenumber_x")
    assert modes.wavenumber_x.attrs["units"] == "rad m-1"
    assert modes.power.attrs["units"] == "1"
    bands = to_dataset(spectral_difference(x, y, GRID, generator()), GRID)
    assert bands.significant.dtype == bool
    assert bands.high.attrs["units"] == "rad m-1"
    complex_one = to_dataset(cross_spectrum(x, y, GRID, "y"), GRID)
    phase = np.arctan2(complex_one.quadrature, complex_one.cospectrum)
    np.testing.assert_allclose(phase, complex_one.phase)
    assert abs(complex_one.quadrature).max() > 0


def test_refusals():
    x, _ = pair()
    spectrum = shell_spectrum(x, GRID)
    with pytest.raises(DataError, match="found 2 axes"):
        to_dataset(spectrum, GRID)
    with pytest.raises(DataError, match=r"found \['a'\], expected 2 names"):
        to_dataset(shell_spectrum(x[0], GRID), GRID, channels=["a"])
    with pytest.raises(DataError, match="Tensor"):
        to_dataset(x, GRID)
