"""The user's own files become pairs."""

import math
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from spectune.data import Pairs, PairStore, open_pairs
from spectune.errors import DataError
from spectune.grid import Grid

H = 0.25


def field(seed: int, shape: tuple[int, ...] = (5, 4, 6)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def dataset(**changes: Any) -> xr.Dataset:
    """Two inputs and a target on (time, y, x) = (5, 4, 6)."""
    variables = {
        "psi": (("time", "y", "x"), field(0), {"units": "m2 s-1"}),
        "omega": (("time", "y", "x"), field(1), {"units": "s-1"}),
        "pi": (("time", "y", "x"), field(2), {"units": "s-2"}),
    }
    coordinates = {
        "time": np.arange(5) * 0.5,
        "y": ("y", np.arange(4) * H, {"units": "m"}),
        "x": ("x", np.arange(6) * H, {"units": "m"}),
    }
    return xr.Dataset(variables | changes, coordinates)


def read(source: Any, **options: Any) -> Pairs:
    return open_pairs(source, **({"inputs": ["psi", "omega"], "targets": ["pi"]} | options))


def assert_standard(pairs: Pairs) -> None:
    expected = np.stack([field(0), field(1)], axis=1).astype(np.float32)
    assert pairs.inputs.dtype == pairs.targets.dtype == torch.float32
    np.testing.assert_array_equal(pairs.inputs, expected)
    np.testing.assert_array_equal(pairs.targets[:, 0], field(2).astype(np.float32))
    assert pairs.input_names == ("psi", "omega")
    assert pairs.target_names == ("pi",)
    assert pairs.grid == Grid((4, 6), (1.0, 1.5), ("y", "x"), periodic=False, unit="m")
    assert pairs.units == {"psi": "m2 s-1", "omega": "s-1", "pi": "s-2"}
    assert pairs.time is not None
    assert pairs.time.dtype == torch.float64
    assert pairs.time.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_dataset() -> None:
    pairs = read(dataset())
    assert_standard(pairs)
    assert open_pairs(pairs) is pairs


@pytest.mark.parametrize("name", ["d.nc", "d.nc4", "d.h5", "d.hdf5"])
def test_netcdf(tmp_path: Path, name: str) -> None:
    dataset().to_netcdf(tmp_path / name, engine="h5netcdf")
    pairs = read(tmp_path / name)
    assert_standard(pairs)
    assert pairs.provenance == {"file": str(tmp_path / name)}
    assert_standard(read(str(tmp_path / name)))


def test_netcdf3(tmp_path: Path) -> None:
    dataset().to_netcdf(tmp_path / "d.nc", engine="scipy")
    assert_standard(read(tmp_path / "d.nc"))


@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_zarr(tmp_path: Path, version: int, consolidated: bool) -> None:
    dataset().to_zarr(tmp_path / "d.zarr", zarr_format=version, consolidated=consolidated)
    assert_standard(read(tmp_path / "d.zarr"))


def test_zarr_zip(tmp_path: Path) -> None:
    dataset().to_zarr(tmp_path / "d.zarr", zarr_format=3, consolidated=False)
    shutil.make_archive(str(tmp_path / "d"), "zip", tmp_path / "d.zarr")
    assert_standard(read(tmp_path / "d.zip"))


def test_plain_hdf5_without_dimension_names(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for i, name in enumerate(("psi", "omega", "pi")):
            file[name] = field(i, (5, 4, 4))
    pairs = read(tmp_path / "d.h5")
    assert pairs.inputs.shape == (5, 2, 4, 4)
    np.testing.assert_array_equal(pairs.inputs[:, 1], field(1, (5, 4, 4)).astype(np.float32))
    assert pairs.grid.spacing == (1.0, 1.0)
    assert pairs.time is None


@pytest.mark.parametrize("suffix", ["zarr", "zip", "nc"])
def test_store_says_everything(tmp_path: Path, suffix: str) -> None:
    grid = Grid((4, 6), (math.pi / 7, 2.0 / 3), ("y", "x"), periodic=True, unit="km")
    units = {"psi": "m2 s-1", "pi": "s-2", "time": "s"}
    store = PairStore.create(tmp_path / "p.zarr", grid, ["psi"], ["pi"], units, {"seed": 3})
    values = torch.from_numpy(field(4, (5, 2, 4, 6))).float()
    store.append(values[:, :1], values[:, 1:], torch.arange(5.0))
    path = tmp_path / f"p.{suffix}"
    if suffix == "zip":
        shutil.make_archive(str(tmp_path / "p"), "zip", tmp_path / "p.zarr")
    if suffix == "nc":
        with xr.open_zarr(tmp_path / "p.zarr") as stored:
            stored.transpose("x", "time", "y").to_netcdf(path, engine="h5netcdf")
    pairs = open_pairs(path)
    assert torch.equal(pairs.inputs, values[:, :1])
    assert torch.equal(pairs.targets, values[:, 1:])
    assert pairs.grid == grid  # exactly: from the description, not from coordinates
    assert pairs.units == units
    assert pairs.time is not None
    assert pairs.time.tolist() == [0, 1, 2, 3, 4]
    assert pairs.provenance == {"file": str(path), "seed": 3}
    assert not open_pairs(path, periodic=False).grid.periodic
    swapped = open_pairs(path, inputs=["pi"], targets=["psi"])
    assert torch.equal(swapped.inputs, values[:, 1:])
    if suffix == "zarr":
        read_back = store.read()
        assert read_back.grid == pairs.grid
        assert read_back.units == pairs.units
        assert read_back.provenance == pairs.provenance


def test_part_of_a_store_is_not_periodic(tmp_path: Path) -> None:
    store = PairStore.create(tmp_path / "p.zarr", Grid.square(8), ["a"], ["b"], {}, {})
    values = torch.from_numpy(field(5, (3, 2, 8, 8))).float()
    store.append(values[:, :1], values[:, 1:], torch.arange(3.0))
    with xr.open_zarr(tmp_path / "p.zarr") as stored:
        half = open_pairs(stored.isel(x=slice(0, 4))).grid
        coarse = open_pairs(stored.isel(x=slice(0, 8, 2))).grid
    assert not half.periodic
    assert half.lengths == pytest.approx((2 * math.pi, math.pi))
    assert coarse == Grid((8, 4), (2 * math.pi, 2 * math.pi), ("y", "x"), periodic=True)


DTYPES = st.sampled_from(["float16", "float32", "float64", "int16", "int64", "uint8", ">f4"])
NAMES = st.text("abcXYZ_09é", min_size=1, max_size=6)


@given(
    data=st.data(),
    ndim=st.integers(1, 3),
    dtype=DTYPES,
    names=st.lists(NAMES, min_size=7, max_size=7, unique=True),
    sizes=st.permutations([2, 3, 4, 5]),
    seed=st.integers(0, 1000),
)
def test_any_order_of_dimensions_and_dtype(
    data: st.DataObject, ndim: int, dtype: str, names: list[str], sizes: list[int], seed: int
) -> None:
    first, second, target, *dims = names
    dims = dims[: ndim + 1]
    shape = tuple(sizes[: ndim + 1])
    spacings = data.draw(st.lists(st.floats(1e-3, 1e3), min_size=ndim, max_size=ndim))
    rng = np.random.default_rng(seed)
    original = {n: rng.uniform(0, 100, shape).astype(dtype) for n in (first, second, target)}
    variables = {}
    for name, values in original.items():
        order = data.draw(st.permutations(dims))
        variables[name] = xr.DataArray(values, dims=dims).transpose(*order)
    # The grid takes its dimensions in the order of the first variable.
    space = [dim for dim in variables[first].dims if dim != dims[0]]
    step = dict(zip(dims[1:], spacings, strict=True))
    length = dict(zip(dims, shape, strict=True))
    coordinates = {dim: np.arange(length[dim]) * h for dim, h in step.items()}
    pairs = open_pairs(
        xr.Dataset(variables, coordinates),
        inputs=[first, second],
        targets=[target],
        sample_dim=dims[0],
    )
    axes = [0, *(dims.index(dim) for dim in space)]
    for channel, name in ((pairs.inputs[:, 0], first), (pairs.inputs[:, 1], second)):
        np.testing.assert_array_equal(channel, original[name].transpose(axes).astype(np.float32))
    np.testing.assert_array_equal(
        pairs.targets[:, 0], original[target].transpose(axes).astype(np.float32)
    )
    assert pairs.grid.dims == tuple(space)
    assert pairs.grid.spacing == pytest.approx([step[dim] for dim in space], rel=1e-12)


def test_sample_dimension() -> None:
    late = dataset().transpose("y", "x", "time")
    assert_standard(read(late))  # by its name
    other = dataset().rename(time="case").transpose("case", "y", "x")
    assert read(other).inputs.shape == (5, 2, 4, 6)  # the first
    assert read(other, sample_dim="y").inputs.shape == (4, 2, 5, 6)
    with pytest.raises(DataError, match=r"\('time', 'y', 'x'\), expected the sample dimension 'q'"):
        read(dataset(), sample_dim="q")
    with pytest.raises(DataError, match=r"\['run', 'time'\] could all be the sample dimension"):
        read(dataset().expand_dims(run=2))
    with pytest.raises(DataError, match=r"expected one for the samples"):
        read(dataset().isel(time=0))


def test_stacked_runs_have_no_time() -> None:
    stacked = dataset().expand_dims(run=2).stack(sample=("run", "time"))
    pairs = read(stacked)
    assert pairs.inputs.shape == (10, 2, 4, 6)
    assert pairs.time is None
    np.testing.assert_array_equal(pairs.inputs[5:, 0], field(0).astype(np.float32))


def test_single_level_is_dropped() -> None:
    assert_standard(read(dataset().expand_dims(level=[500.0], axis=1)))


def test_channel_dimension() -> None:
    data = dataset(uv=(("time", "channel", "y", "x"), field(3, (5, 2, 4, 6)), {"units": "m s-1"}))
    pairs = open_pairs(data, inputs=["uv", "psi"], targets=["pi"])
    assert pairs.input_names == ("uv_0", "uv_1", "psi")
    assert pairs.units["uv_1"] == "m s-1"
    np.testing.assert_array_equal(pairs.inputs[:, :2], field(3, (5, 2, 4, 6)).astype(np.float32))
    labelled = data.assign_coords(channel=["east", "north"])
    assert open_pairs(labelled, inputs="uv", targets="pi").input_names == ("uv_east", "uv_north")


def test_descending_latitude() -> None:
    data = (
        dataset()
        .rename(y="latitude")
        .assign_coords(
            latitude=("latitude", [45.0, 44.5, 44.0, 43.5], {"units": "degrees_north"}),
            x=("x", np.arange(6) * 0.5, {"units": "degrees_east"}),
        )
    )
    pairs = read(data)
    assert pairs.grid == Grid((4, 6), (2.0, 3.0), ("latitude", "x"), False, "degree")
    assert pairs.provenance["descending"] == ["latitude"]
    np.testing.assert_array_equal(pairs.inputs[:, 0], field(0).astype(np.float32))  # as in the file


def test_coordinates_in_float32_are_uniform() -> None:
    x = (np.arange(6) * 0.25 + 359).astype(np.float32) / 3
    pairs = read(dataset().assign_coords(x=x))
    assert pairs.grid.spacing[1] == pytest.approx(0.25 / 3, rel=1e-4)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([0, 1, 2, 3, 4, 5.01], r"coordinate 'x' is not uniform.*from 1 to 1\.01.*interp"),
        ([0, 1, 2, np.nan, 4, 5], "coordinate 'x' is constant, NaN or Inf"),
        ([1.0] * 6, "coordinate 'x' is constant"),
        (list("abcdef"), "coordinate 'x' has type .*expected numbers"),
    ],
)
def test_refuses_coordinates(x: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(dataset().assign_coords(x=x))


def test_dates_become_seconds(tmp_path: Path) -> None:
    dates = np.datetime64("2001-02-28") + np.arange(5) * np.timedelta64(12, "h")
    dataset().assign_coords(time=dates).to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
    pairs = read(tmp_path / "d.nc")
    assert pairs.time is not None
    assert pairs.time.tolist() == [0, 43200, 86400, 129600, 172800]
    assert pairs.units["time"] == "s"
    assert pairs.provenance["time_origin"].startswith("2001-02-28T00:00")


def test_values_in_seconds_stay_numbers(tmp_path: Path) -> None:
    data = dataset()
    data.psi.attrs["units"] = "s"
    data.time.attrs["units"] = "days"
    data.to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
    pairs = read(tmp_path / "d.nc")
    np.testing.assert_array_equal(pairs.inputs[:, 0], field(0).astype(np.float32))
    assert pairs.time is not None
    assert pairs.time.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert pairs.units["time"] == "days"


def test_without_coordinates() -> None:
    pairs = read(dataset().drop_vars(["time", "x", "y"]), periodic=True)
    assert pairs.grid == Grid((4, 6), (4.0, 6.0), ("y", "x"), periodic=True, unit="1")
    assert pairs.time is None
