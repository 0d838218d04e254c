"""Data that cannot be used is refused with a message that says what to do."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from spectune.data import (
    Normalization,
    Pairs,
    PairStore,
    check_apart,
    check_pairs,
    check_same_grid,
    open_pairs,
)
from spectune.errors import DataError
from spectune.grid import Grid

SHAPE = (5, 4, 6)
DIMS = ("time", "y", "x")


def field(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE)


def saved(tmp_path: Path, **changes: Any) -> Path:
    data = xr.Dataset({"a": (DIMS, field(0)), "b": (DIMS, field(1))} | changes)
    path = tmp_path / "data.nc"
    data.to_netcdf(path, engine="h5netcdf")
    return path


def refused(path: Path, inputs: Any = "a", targets: Any = "b", **options: Any) -> str:
    """Return the message, which always names the file."""
    with pytest.raises(DataError) as caught:
        open_pairs(path, inputs=inputs, targets=targets, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


def pairs(**changes: Any) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(6, 3, 4, 4, generator=generator)
    grid = Grid((4, 4), (1.0, 2.0), ("y", "x"), unit="m")
    made = Pairs(values[:, :2], values[:, 2:], grid, ("u", "v"), ("s",), {"u": "m s-1"})
    return replace(made, **changes)


def test_missing_variable_lists_contents(tmp_path: Path) -> None:
    message = refused(saved(tmp_path), inputs=["a", "q"])
    assert "no variable 'q', expected in inputs" in message
    assert "a (time: 5, y: 4, x: 6), b (time: 5, y: 4, x: 6)" in message


@pytest.mark.parametrize("missing", ["inputs", "targets"])
def test_unnamed_variables(tmp_path: Path, missing: str) -> None:
    message = refused(saved(tmp_path), **{missing: None})
    assert f"which of its variables are the {missing}" in message
    assert "a (time: 5, y: 4, x: 6)" in message


def test_variable_named_twice(tmp_path: Path) -> None:
    assert "'a' is named twice in inputs" in refused(saved(tmp_path), inputs=["a", "a"])


def test_wrong_rank(tmp_path: Path) -> None:
    path = saved(tmp_path, flat=(DIMS[:2], field(0)[:, :, 0]))
    assert "'flat' has dimensions ('time', 'y'), expected ('time', 'y', 'x')" in refused(
        path, inputs=["a", "flat"]
    )
    path = saved(tmp_path, a=("time", field(0)[:, 0, 0]), number=((), 1.0))
    assert "('time',): 'time' for the samples and () for the grid, expected 1 to 3" in refused(path)
    assert "'number' is a single number" in refused(path, inputs=["number"])
    path = saved(tmp_path, a=(("time", "p", "q", "r", "s"), np.ones((5, 3, 2, 2, 2))))
    assert "expected 1 to 3" in refused(path)


def test_other_points(tmp_path: Path) -> None:
    path = saved(tmp_path, b=(("time", "y", "x_edge"), field(1)))
    message = refused(path)
    assert "'b' has dimensions ('time', 'y', 'x_edge'), expected ('time', 'y', 'x')" in message
    assert "same points" in message


@pytest.mark.parametrize("variable", ["a", "b"])
def test_not_finite(tmp_path: Path, variable: str) -> None:
    values = field(0)
    values[3, 1, 2] = np.nan
    values[3, 2, 2] = np.nan
    values[4, 0, 0] = -np.inf
    message = refused(saved(tmp_path, **{variable: (DIMS, values)}))
    assert (
        f"variable '{variable}' has 3 values that are not finite (2 NaN, 1 Inf) of 120" in message
    )
    assert "first in sample 3" in message
    assert "never filled silently" in message


def test_fill_value_is_a_gap(tmp_path: Path) -> None:
    values = field(0)
    values[2, 1, 1] = -999.0
    path = saved(tmp_path, a=(DIMS, values, {"_FillValue": -999.0}))
    assert "1 NaN, 0 Inf" in refused(path)


def test_zero_variance(tmp_path: Path) -> None:
    message = refused(saved(tmp_path, b=(DIMS, np.full(SHAPE, 2.5))))
    assert "variable 'b' has no variance (every value is 2.5)" in message


def test_tiny_values_have_variance(tmp_path: Path) -> None:
    # Tendencies in SI units are this small.
    small = open_pairs(saved(tmp_path, a=(DIMS, field(0) * 1e-14)), inputs="a", targets="b")
    scaled = Normalization.of(small, "small").inputs(small.inputs)
    assert scaled.std(correction=0).item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_samples(tmp_path: Path, n: int) -> None:
    path = saved(tmp_path, a=(DIMS, field(0)[:n]), b=(DIMS, field(1)[:n]))
    assert f"has {n} samples, expected at least 2" in refused(path)


def test_grid_of_one_point(tmp_path: Path) -> None:
    path = saved(tmp_path, a=(DIMS, field(0)[:, :1, :1]), b=(DIMS, field(1)[:, :1, :1]))
    assert "expected 1 to 3 for the grid" in refused(path)


def test_beyond_float32(tmp_path: Path) -> None:
    message = refused(saved(tmp_path, a=(DIMS, field(0) * 1e39)))
    assert "'a' has" in message
    assert "beyond float32" in message
    assert "change its unit" in message


@pytest.mark.parametrize("values", [field(0) > 0, field(0).astype("S3")])
def test_no_numbers(tmp_path: Path, values: np.ndarray) -> None:
    assert "'a' has type" in refused(saved(tmp_path, a=(DIMS, values)))
    complex_data = xr.Dataset({"a": (DIMS, field(0) + 1j), "b": (DIMS, field(1))})
    with pytest.raises(DataError, match="complex128, expected real numbers"):
        open_pairs(complex_data, inputs="a", targets="b")


def test_files_that_are_no_data(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.nc")
    for name in ("a.pkl", "a.pt", "a.npy", "a.nc", "a.zip", "a.dat"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps([1, 2]))
        message = refused(path)
        if name in ("a.pkl", "a.pt"):
            assert "pickle file" in message
        elif name == "a.npy":
            assert "names no dimensions" in message
        else:
            assert "not a dataset that can be read" in message
    folder = tmp_path / "folder.zarr"
    folder.mkdir()
    assert "not a dataset that can be read" in refused(folder)


def test_corrupt_files(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:3000])
    assert "not a dataset that can be read" in refused(path)
    store = PairStore.create(tmp_path / "p.zarr", Grid.square(4), ["a"], ["b"], {}, {}, block=2)
    values = torch.randn(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    store.append(values, values, torch.arange(4.0))
    (store.path / "a" / "c.1.0.0").write_bytes(b"not zstd")
    assert "variable 'a' cannot be read" in refused(store.path)
    (store.path / "a" / "c.1.0.0").unlink()
    assert "variable 'a' has 32 values that are not finite" in refused(store.path)


def test_check_pairs_accepts_good_data() -> None:
    check_pairs(pairs(), "here")
    with pytest.raises(DataError, match="here has 1 samples"):
        check_pairs(pairs().subset(slice(0, 1)), "here")


def test_same_grid_accepts() -> None:
    base = pairs()
    check_same_grid(base, pairs(units={}))
    check_same_grid(base, pairs(grid=replace(base.grid, lengths=(1.0 + 5e-7, 2.0))))
    # More points at the same spacing are the same to a convolution.
    wide = torch.ones(3, 1, 4, 8)
    grid = Grid((4, 8), (1.0, 4.0), ("y", "x"), unit="m")
    check_same_grid(base, Pairs(wide.expand(3, 2, 4, 8), wide, grid, ("u", "v"), ("s",)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"lengths": (1.0, 2.1)},
            r"t\.nc: .*along 'x' is 0\.525, expected 0\.5 as in b\.nc",
        ),
        ({"lengths": (1.0 + 2e-6, 2.0)}, "spacing along 'y'"),
        ({"dims": ("x", "y")}, r"grid dimensions: found \('x', 'y'\).*expected \('y', 'x'\)"),
        ({"periodic": False}, "in periodic: found False, expected True"),
        ({"unit": "km"}, "unit of length: found km"),
    ],
)
def test_same_grid_refuses(changes: dict[str, Any], message: str) -> None:
    base = pairs(provenance={"file": "b.nc"})
    target = pairs(grid=replace(base.grid, **changes), provenance={"file": "t.nc"})
    with pytest.raises(DataError, match=message):
        check_same_grid(base, target)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_names": ("v", "u")}, r"input variables: found \('v', 'u'\)"),
        ({"target_names": ("q",)}, r"target variables: found \('q',\)"),
        ({"units": {"u": "km s-1"}}, r"variable 'u' is in 'km s-1', expected 'm s-1'"),
        ({"provenance": {"descending": ["y"]}}, r"descending coordinates: found \['y'\]"),
    ],
)
def test_same_channels_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_same_grid(pairs(), pairs(**changes))


def test_same_grid_refuses_other_dimension() -> None:
    line = torch.ones(3, 1, 4)
    target = Pairs(line.expand(3, 2, 4), line, Grid((4,), (2.0,), ("x",)), ("u", "v"), ("s",))
    with pytest.raises(DataError, match="grid dimensions"):
        check_same_grid(pairs(), target)


def test_held_out_samples_are_others() -> None:
    data = pairs(provenance={"file": "all.nc"})
    check_apart(data.subset(slice(0, 3)), data.subset(slice(3, 6)))
    with pytest.raises(DataError, match=r"all\.nc: 2 of 4 held-out .* all\.nc .* is sample 1;"):
        check_apart(data.subset(slice(3, 6)), data.subset([0, 3, 1, 5]))
    # The same fields with another subgrid term are another sample.
    other = replace(data, targets=data.targets + 1)
    check_apart(data, other)


def test_normalization_statistics_match_numpy() -> None:
    data = pairs()
    shifted = replace(data, inputs=data.inputs * 3 + 100, targets=data.targets * 1e-5)
    statistics = Normalization.of(shifted, "base.zarr")
    for values, mean, std in (
        (shifted.inputs, statistics.input_mean, statistics.input_std),
        (shifted.targets, statistics.target_mean, statistics.target_std),
    ):
        reference = values.numpy().astype(np.float64)
        np.testing.assert_allclose(mean, reference.mean((0, 2, 3)), rtol=1e-7)
        np.testing.assert_allclose(std, reference.std((0, 2, 3)), rtol=1e-7)
    scaled = statistics.inputs(shifted.inputs)
    assert scaled.mean((0, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(
        statistics.physical(statistics.targets(shifted.targets)), shifted.targets
    )


def test_normalization_json_round_trip() -> None:
    statistics = Normalization.of(pairs(), "base.zarr")
    back = Normalization.from_dict(json.loads(json.dumps(statistics.to_dict())))
    for name in ("input_mean", "input_std", "target_mean", "target_std"):
        assert torch.equal(getattr(back, name), getattr(statistics, name))
        assert getattr(back, name).dtype == torch.float32
    assert back.source == "base.zarr"


@pytest.mark.parametrize("value", [0.0, 3.7, -1e20])
def test_normalization_refuses_zero_variance(value: float) -> None:
    data = pairs()
    inputs = data.inputs.clone()
    inputs[:, 1] = value
    with pytest.raises(DataError, match=r"variable 'v' of base has no variance"):
        Normalization.of(replace(data, inputs=inputs), "base")


def test_identity_changes_nothing() -> None:
    data = pairs()
    identity = Normalization.identity(2, 1)
    assert torch.equal(identity.inputs(data.inputs), data.inputs)
    assert torch.equal(identity.physical(data.targets), data.targets)
