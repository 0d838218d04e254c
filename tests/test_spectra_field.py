"""`st.spectra.field`: one entry to the spectra of any labelled or plain field."""

import math

import numpy as np
import pytest
import torch
import xarray as xr

import spectune as st
from random_fields import power_law
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import (
    SphereGrid,
    cross_spectrum,
    directional_spectrum,
    masked_spectrum,
    mean_spectrum,
    modal_spectrum,
    spectral_difference,
    windowed_spectrum,
)

BOX = Grid((16, 20), (3e5, 4e5), ("y", "x"), unit="m")


def labelled(values, name="omega", dims=("time", "y", "x"), grid=BOX, unit="s-1"):
    coords = {
        dim: (dim, points.numpy(), {"units": grid.unit})
        for dim, points in zip(grid.dims, grid.coordinates(), strict=True)
    }
    attrs = {"long_name": "vorticity", "units": unit}
    return xr.DataArray(np.asarray(values), coords, dims, name, attrs)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_plane_wave_in_a_long_box_has_its_physical_wavenumber():
    y, x = torch.meshgrid(*BOX.coordinates(), indexing="ij")
    ky, kx = 2 * 2 * math.pi / 3e5, 3 * 2 * math.pi / 4e5
    wave = 2 * torch.cos(ky * y + kx * x + 0.4)
    found = st.spectra.field(labelled(wave[None]), boundary="periodic")
    at = float(found["power"].idxmax("wavenumber"))
    assert abs(at - math.hypot(kx, ky)) <= math.pi / 3e5
    assert float(found["power"].max()) == pytest.approx(2, rel=1e-12)
    assert found["wavenumber"].attrs["units"] == "rad m-1"
    assert found["power"].attrs["units"] == "(s-1)2"
    assert "vorticity" in found["power"].attrs["long_name"]
    zonal = st.spectra.field(labelled(wave[None]), boundary="periodic", kind="directional")
    assert float(zonal["power"].idxmax()) == pytest.approx(kx)
    along_y = st.spectra.field(
        labelled(wave[None]), boundary="periodic", kind="directional", along="y"
    )
    assert float(along_y["power"].idxmax()) == pytest.approx(ky)
    modal = st.spectra.field(labelled(wave[None]), boundary="periodic", kind="modal")["power"]
    assert float(modal.sel(wavenumber_y=ky, wavenumber_x=kx, method="nearest")) == pytest.approx(1)


@pytest.mark.parametrize("boundary", ["periodic", "cosine", "window"])
@pytest.mark.parametrize("kind", ["isotropic", "directional", "modal"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_parseval_for_every_boundary_kind_and_dimension(boundary, kind, ndim):
    grid = Grid((6, 8, 10)[:ndim], (1.0, 2.0, 0.5)[:ndim], ("z", "y", "x")[-ndim:])
    values = noise(5, 2, *grid.shape)
    found = st.spectra.field(values, grid=grid, boundary=boundary, kind=kind)
    total = found["power"].sum([d for d in found["power"].dims if d != "channel"])
    expected = values.square().mean((0, *range(2, values.ndim)))
    if boundary == "window":
        every = windowed_spectrum(values, grid).power.sum(-1)
        expected = every.mean(0)
    np.testing.assert_allclose(total, expected, rtol=1e-12)
    assert ("lower" in found) == (kind != "modal")


def test_it_is_a_face_of_the_functions_behind_it(tmp_path):
    x, y = noise(8, 16, 20), noise(8, 16, 20, seed=1)
    flat = Grid(BOX.shape, BOX.lengths, BOX.dims, False, "m")
    ours = labelled(x)
    for options, expected in (
        ({"boundary": "periodic"}, mean_spectrum(x, BOX).power),
        ({}, mean_spectrum(x, flat).power),
        ({"boundary": "window"}, windowed_spectrum(x, flat).power.mean(0)),
        (
            {"kind": "directional", "boundary": "periodic"},
            directional_spectrum(x, BOX, "x").power.mean(0),
        ),
        ({"kind": "modal"}, modal_spectrum(x, flat).power.mean(0)),
    ):
        found = st.spectra.field(ours, **options)
        np.testing.assert_allclose(found["power"], expected, rtol=1e-12)
    shared = st.spectra.field(ours, labelled(x + y), boundary="periodic")
    cross = cross_spectrum(x, x + y, BOX)
    np.testing.assert_allclose(shared["coherence"], cross.coherence, rtol=1e-9)
    np.testing.assert_allclose(shared["cospectrum"], cross.cross, rtol=1e-9)
    beside = st.spectra.field(ours, base=labelled(3 * y), boundary="periodic", seed=4)
    generator = torch.Generator().manual_seed(4)
    st.spectra.field(ours, boundary="periodic")  # leaves no state behind
    assert beside["significant"].all()
    again = spectral_difference(3 * y, x, BOX, generator)
    np.testing.assert_allclose(beside["log_ratio"], again.log_ratio)
    assert [str(b) for b in beside["band"].values] == [band.name for band in again.bands]
    assert {"power", "base_power", "base_lower", "p_value"} <= set(beside.data_vars)
    beside.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    xr.testing.assert_equal(xr.load_dataset(tmp_path / "found.nc", engine="h5netcdf"), beside)


def test_confidence_limits_hold_the_mean_and_need_four_blocks():
    found = st.spectra.field(labelled(noise(12, 16, 20)), block=3, level=0.9)
    inner = found.isel(wavenumber=slice(1, None))
    assert (inner["lower"] < inner["power"]).all()
    assert (inner["power"] < inner["upper"]).all()
    assert "lower" not in st.spectra.field(labelled(noise(3, 16, 20)))
    with pytest.raises(DataError, match="at least 4 blocks"):
        st.spectra.field(labelled(noise(12, 16, 20)), block=5)


def test_members_and_times_are_samples_and_layers_are_channels():
    values = noise(2, 3, 4, 16, 20)
    data = labelled(values, dims=("member", "time", "layer", "y", "x"))
    data = data.assign_coords(layer=[1, 2, 3, 4])
    found = st.spectra.field(data, boundary="periodic")
    expected = mean_spectrum(values.flatten(0, 1), BOX).power
    np.testing.assert_allclose(found["power"], expected, rtol=1e-12)
    assert list(found["channel"].values) == [1, 2, 3, 4]
    assert found.attrs["samples"] == 6
    moved = data.transpose("layer", "x", "time", "y", "member")
    again = st.spectra.field(moved, boundary="periodic", dims=("y", "x"))
    np.testing.assert_allclose(again["power"], expected, rtol=1e-12)


def test_a_dataset_gives_every_variable_with_its_unit():
    data = xr.Dataset(
        {"q": labelled(noise(5, 16, 20), "q"), "t": labelled(noise(5, 16, 20), unit="K")}
    )
    found = st.spectra.field(data, 2 * data, boundary="periodic")
    assert found["q_truth"].attrs["units"] == "(s-1)2"
    assert found["t_truth"].attrs["units"] == "(K)2"
    np.testing.assert_allclose(found["t_coherence"], 1, rtol=1e-9)
    np.testing.assert_allclose(found["q_gain"], 0.5, rtol=1e-9)
    with pytest.raises(DataError, match="truth: found no variable 't'"):
        st.spectra.field(data, data[["q"]], boundary="periodic")


def test_gaps_are_refused_or_estimated():
    values = power_law(Grid.square(32), 6, -2.0)
    values[:, 5:9, 7:12] = torch.nan
    with pytest.raises(DataError, match=r"120 NaN.*masked_spectrum"):
        st.spectra.field(values, grid=Grid.square(32))
    found = st.spectra.field(values, grid=Grid.square(32), gaps="estimate")
    expected = masked_spectrum(values, Grid.square(32)).power.mean(0)
    np.testing.assert_allclose(found["power"], expected, rtol=1e-12)
    with pytest.raises(DataError, match="'isotropic' and 'periodic'"):
        st.spectra.field(values, grid=Grid.square(32), gaps="estimate", boundary="cosine")


def test_the_whole_globe_is_by_degree_and_its_coherence_is_that_of_the_fields():
    lat, lon = np.linspace(90, -90, 19), np.arange(0, 360, 10.0)
    sphere = SphereGrid.from_coordinates(lat, lon)
    rng = np.random.default_rng(0)
    colatitude = np.radians(90 - lat)[:, None]
    east = np.radians(lon)[None]
    l2 = rng.normal(size=(40, 1, 1)) * np.sin(colatitude) ** 2 * np.cos(2 * east)
    other = rng.normal(size=(40, 1, 1)) * np.cos(colatitude) * np.ones_like(east)
    truth = xr.DataArray(l2 + other, {"lat": lat, "lon": lon}, ("time", "lat", "lon"))
    found = st.spectra.field(truth)
    assert found.attrs["boundary"] == "sphere"
    assert set(np.flatnonzero(found["power"] > 1e-12)) == {1, 2}
    weight = np.sin(colatitude)
    np.testing.assert_allclose(found["power"].sum(), 40**-1 * _area_mean(truth, weight), rtol=0.01)
    assert found["wavenumber"].attrs["units"] == "rad m-1"
    half = st.spectra.field(truth - other, truth)
    assert float(half["coherence"][2]) == pytest.approx(1, abs=1e-9)
    assert not half["coherence"][1] > 0
    unlike = st.spectra.field(3 * truth, base=truth)
    np.testing.assert_allclose(unlike["log_ratio"][:2], 2 * math.log(3), rtol=1e-9)
    assert [str(b) for b in unlike["band"].values[:3]] == ["1", "2", "3–4"]
    same = st.spectra.field(truth.values, grid=sphere)
    np.testing.assert_allclose(same["power"], found["power"])
    with pytest.raises(DataError, match="by degree"):
        st.spectra.field(truth, kind="directional")


def _area_mean(field, weight):
    return float((np.square(field.values) * weight).sum() / (weight.sum() * field.shape[2]))


def test_refusals():
    data = labelled(noise(5, 16, 20))
    with pytest.raises(DataError, match="without coordinates, expected a grid"):
        st.spectra.field(noise(5, 16, 20))
    with pytest.raises(DataError, match="kind: found 'zonal'"):
        st.spectra.field(data, kind="zonal")
    with pytest.raises(DataError, match=r"truth: found shape \(4, 16, 20\)"):
        st.spectra.field(data, data[:4])
    with pytest.raises(DataError, match="base: found unit 'm'"):
        st.spectra.field(data, base=data.assign_attrs(units="m"))
    with pytest.raises(DataError, match="there alone is a coherence"):
        st.spectra.field(data, data, kind="modal")
    with pytest.raises(DataError, match="name those of the grid"):
        st.spectra.field(data, dims=("y", "height"))
    with pytest.raises(DataError, match="'x' is not uniform"):
        st.spectra.field(data.assign_coords(x=np.arange(20.0) ** 2))
    with pytest.raises(DataError, match="complex128, expected real"):
        st.spectra.field(data.astype(complex))
    with pytest.raises(DataError, match="expected latitude and longitude"):
        st.spectra.field(data, boundary="sphere")
