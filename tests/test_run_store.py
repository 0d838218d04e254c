"""The store of a run: readable at any moment, the same bytes whatever happened on the way."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from killed_runs import files
from spectune import durable
from spectune.errors import DataError
from spectune.locks import alone
from spectune.provenance import versions
from spectune.runs import RunStore, group, run_group, run_settings, simulate, system_parameters
from spectune.runs.begin import begun
from spectune.runs.restart import read_snapshot, write_snapshot
from spectune.systems import Snapshot

RING = {"slow_count": 4, "fast_count": 1, "time": 0.2, "members": 2, "command": "test"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("system", ["navier-stokes", "burgers", "lorenz96"])
def test_killed_at_random_moments(tmp_path: Path, system: str) -> None:
    """24 kills in all; the store is read after each, and ends as if none had been."""
    run = subprocess.run(
        [sys.executable, "killed_runs.py", str(tmp_path), system, "8"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    kills, stores = json.loads(run.stdout)
    assert kills >= 8
    assert stores >= 1


class Failing:
    """Stands for `write_bytes` and fails at one of its calls, before or after the rename."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.calls, self.write = at, after, 0, durable.write_bytes

    def __call__(self, path: Path, content: bytes) -> None:
        self.calls += 1
        if self.calls != self.at or self.after:
            self.write(path, content)
        if self.calls == self.at:
            raise OSError(errno.ENOSPC, "No space left on device")


def inject(monkeypatch: pytest.MonkeyPatch, failing: Failing) -> None:
    monkeypatch.setattr(group, "COMMIT_SECONDS", 0.0)
    for module in ("durable", "runs.store", "runs.restart"):
        monkeypatch.setattr(f"spectune.{module}.write_bytes", failing)


def test_fails_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at each write, of creation, plan, chunks, restart and length, loses nothing."""
    counting = Failing(0, after=False)
    with monkeypatch.context() as patch:
        inject(patch, counting)
        simulate("lorenz96", out=tmp_path / "whole.zarr", **RING)
    whole = files(tmp_path / "whole.zarr")
    assert counting.calls > 20
    for after in (False, True):
        for at in range(1, counting.calls + 1):
            path = tmp_path / f"{at}-{after}.zarr"
            failing = Failing(at, after=after)
            with monkeypatch.context() as patch:
                inject(patch, failing)
                with pytest.raises(DataError, match="No space left") as caught:
                    simulate("lorenz96", out=path, **RING)
            assert str(path) in str(caught.value)
            if path.exists():
                with xr.open_zarr(path, chunks=None) as left:
                    assert left.sizes["time"] <= 3
            simulate("lorenz96", out=path, resume=True, **RING)
            assert files(path) == whole
    assert not list(tmp_path.glob(".*"))


def test_groups_side_by_side(tmp_path: Path) -> None:
    """Processes that write groups of one run at the same time make the store of one process."""
    options = {"members": 4, "group": 2, "time": 2.0, "seed": 5}
    parameters = system_parameters("lorenz96", slow_count=8, fast_count=2)
    settings = run_settings(parameters, **options)
    path = tmp_path / "side.zarr"
    context = multiprocessing.get_context("spawn")
    with begun(path, parameters, settings, resume=False, command="test"):
        workers = [context.Process(target=run_group, args=(path, number)) for number in (0, 1)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    one = tmp_path / "one.zarr"
    simulate("lorenz96", out=one, slow_count=8, fast_count=2, command="test", **options)
    assert files(path) == files(one)


def test_a_slower_group_reads_as_missing(tmp_path: Path) -> None:
    parameters = system_parameters("lorenz96", slow_count=4, fast_count=0)
    settings = run_settings(parameters, members=3, group=2, time=1.0)
    path = tmp_path / "run.zarr"
    with begun(path, parameters, settings, resume=False, command="test"):
        run_group(path, 1)
    run = xr.open_zarr(path, chunks=None)
    assert run.sizes == {"member": 3, "time": 11, "k": 4}
    assert run.X[:2].isnull().all()
    assert run.X[2].notnull().all()
    store = RunStore.open(path)
    assert store.restart(range(2)) is None
    assert store.restart(range(2, 3)) is not None


def test_metadata(tmp_path: Path) -> None:
    """CF coordinates, and every parameter and setting as a plain attribute with its unit known."""
    path = tmp_path / "run.zarr"
    run = simulate(
        "two-layer-qg",
        preset="jet",
        n=16,
        time=86_400,
        every=43_200,
        members=2,
        seed=7,
        precision="float32",
        out=path,
        command="spectune simulate",
    )
    assert run.q.dims == ("member", "time", "layer", "y", "x")
    assert run.q.dtype == np.float32
    assert run.q.attrs == {"long_name": "potential vorticity", "units": "s-1"}
    assert {name: run[name].attrs.get("axis") for name in ("time", "layer", "y", "x")} == {
        "time": "T",
        "layer": "Z",
        "y": "Y",
        "x": "X",
    }
    assert run.member.attrs["standard_name"] == "realization"
    assert run.x.attrs["units"] == "m"
    assert run.time.attrs["units"] == "s"
    assert run.time.values.tolist() == [0, 43_200, 86_400]
    wanted = {"Conventions": "CF-1.11", "system": "two-layer-qg", "preset": "jet", "rek": 7e-8}
    wanted |= {"seed": 7, "scheme": "IFRK4", "precision": "float32", "dealiasing": "3/2"}
    wanted |= {"courant": 2**0.5, "every": 43_200.0, "members": 2}
    assert {name: run.attrs[name] for name in wanted} == wanted
    assert "beta: m-1 s-1" in run.attrs["parameter_units"]
    assert json.loads(run.attrs["versions"]) == versions()
    assert run.attrs["history"].endswith(": spectune simulate")
    with warnings.catch_warnings(action="error"):
        whole = xr.open_zarr(path, chunks=None, consolidated=False)
    assert whole.sizes == run.sizes
    run.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")  # no attribute is nested
    store = RunStore.open(path)
    assert store.parameters == system_parameters("two-layer-qg", preset="jet", n=16)
    setup = store.setup(range(2))
    state = setup.state((torch.from_numpy(run.q.values[:, -1]),))
    kept = torch.cat([store.restart(range(i, i + 1)).state for i in (0, 1)])
    assert float((state - kept).abs().max() / kept.abs().max()) < 1e-6


def test_snapshot_in_a_file(tmp_path: Path) -> None:
    """Real and complex, every dtype, any strides: the same bits, and the same bytes each time."""
    path = tmp_path / "s.safetensors"
    state = torch.randn(3, 4, 5, dtype=torch.complex64).transpose(0, 1)
    memory = {"tendency": torch.randn(2, dtype=torch.float64), "n": torch.tensor(3)}
    snapshot = Snapshot(7, 0.1, state, memory)
    write_snapshot(path, snapshot)
    content = path.read_bytes()
    back = read_snapshot(path)
    assert (back.step, back.time) == (7, 0.1)
    assert torch.equal(back.state, state)
    assert back.state.dtype == state.dtype
    assert back.memory.keys() == memory.keys()
    for name, tensor in memory.items():
        assert torch.equal(back.memory[name], tensor)
        assert back.memory[name].dtype == tensor.dtype
    write_snapshot(path, back)
    assert path.read_bytes() == content
    path.write_bytes(content[:-20])
    with pytest.raises(DataError, match=r"s\.safetensors is not a snapshot"):
        read_snapshot(path)


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.zarr does not exist"):
        RunStore.open(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr").mkdir()
    for resume, words in ((True, "not the store of a run"), (False, "exists already: resume")):
        with pytest.raises(DataError, match=words):
            simulate("lorenz96", out=tmp_path / "empty.zarr", resume=resume, **RING)
    assert not list((tmp_path / "empty.zarr").iterdir())


def test_one_master_and_one_writer_a_group(tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    simulate("lorenz96", out=path, **RING)
    before = files(path)
    store = RunStore.open(path)
    with (
        alone(store.lock_path("run"), AssertionError()),
        pytest.raises(DataError, match=r"run\.zarr is in use by another run"),
    ):
        simulate("lorenz96", out=path, resume=True, **RING)
    with (
        alone(store.lock_path("members-0001"), AssertionError()),
        pytest.raises(DataError, match="another process is simulating member 1;"),
    ):
        simulate("lorenz96", out=path, resume=True, **RING)
    assert files(path) == before
