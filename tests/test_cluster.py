"""Ensembles on several workers: real processes, killed, interrupted, refused."""

import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

from cli_run import refused, runner
from killed_runs import files
from spectune.errors import CaseError, StabilityError
from spectune.locks import alone
from spectune.runs import RunStore, group, simulate, task

L96 = {"slow_count": 8, "fast_count": 2, "members": 4, "time": 4.0, "command": "test"}
FLOW = {"n": 32, "re": 100.0, "members": 3, "group": 2, "time": 10.0, "command": "test"}


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What one process makes of the ensemble."""
    path = tmp_path_factory.mktemp("whole") / "run.zarr"
    simulate("lorenz96", out=path, **L96)
    return files(path)


@pytest.fixture
def run(client, tmp_path):
    """Simulate on the cluster of the module, into run.zarr of the folder."""

    def simulated(**options):
        address = client.scheduler.address
        return simulate("lorenz96", out=tmp_path / "run.zarr", scheduler=address, **L96 | options)

    return simulated


def test_local_processes_make_the_store_of_one(tmp_path, monkeypatch):
    """Same bytes, from a path of this folder; progress adds up to the whole run."""
    monkeypatch.chdir(tmp_path)
    seen = []
    simulate("navier-stokes", out="side.zarr", workers=2, report=seen.append, **FLOW)
    simulate("navier-stokes", out="one.zarr", **FLOW)
    assert files(Path("side.zarr")) == files(Path("one.zarr"))
    assert sum(progress.interval for progress in seen) == 2 * FLOW["time"]
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert done[-1] == 1
    fields = {len(progress.members): progress.diagnostics() for progress in seen}
    last = xr.open_zarr("one.zarr", chunks=None).omega[:, -1]
    for members, values in ((slice(2), fields[2]), (slice(2, 3), fields[1])):
        np.testing.assert_allclose(
            values["enstrophy"], 0.5 * float((last[members] ** 2).mean()), rtol=1e-12
        )


def test_a_killed_worker_loses_nothing_but_its_task(client, run, tmp_path, whole):
    """Its groups go on from their last commit, the others are not touched."""
    client.run(setattr, group, "COMMIT_SECONDS", 0.0)  # so that what is reported is committed
    client.run(setattr, task, "REPORTS_APART", 0.0)
    pids = client.run(os.getpid)
    seen = {number: [] for number in range(4)}
    killed = []

    def kill(progress):
        seen[progress.number].append(progress.time)
        if not killed and progress.time >= 0.5:
            key = f"-{progress.number}-"
            processing = client.processing().items()
            (address,) = (worker for worker, keys in processing if any(key in k for k in keys))
            os.kill(pids[address], signal.SIGKILL)
            killed.append(progress)

    run(report=kill)
    assert killed[0].time < killed[0].end
    assert not set(client.run(os.getpid).values()) >= set(pids.values())
    for times in seen.values():
        assert times[-1] == pytest.approx(4.0)
        assert (np.diff(times) > 0).all()
    assert files(tmp_path / "run.zarr") == whole
    client.run(setattr, group, "COMMIT_SECONDS", group.COMMIT_SECONDS)


def test_a_group_that_is_still_simulated_is_waited_for(run, tmp_path, whole):
    """A worker that the scheduler has lost sight of may hold a group that another one begins."""
    with ExitStack() as elsewhere:
        reported = []

        def hold(progress):
            if not reported:
                lock = RunStore.open(tmp_path / "run.zarr").lock_path("members-0003")
                elsewhere.enter_context(alone(lock, AssertionError()))
            reported.append(progress.number)
            if progress.done >= 0.75:
                elsewhere.close()

        run(report=hold)
        assert reported[-1] == 3
    assert files(tmp_path / "run.zarr") == whole


def test_an_interrupt_stops_the_tasks_and_keeps_what_is_made(client, run, tmp_path):
    client.run(setattr, task, "REPORTS_APART", 0.0)
    options = {"time": 20.0, "members": 2}
    last = {}

    def interrupt(progress):
        last[progress.number] = progress.time
        if progress.time >= 1.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(report=interrupt, **options)
    store = RunStore.open(tmp_path / "run.zarr")
    for number in last:
        with alone(store.lock_path(f"members-{number:04}"), AssertionError("still simulated")):
            reached = store.restart(range(number, number + 1)).time
        assert last[number] <= reached + 1e-9
        assert reached < 20.0
    simulate("lorenz96", out=tmp_path / "run.zarr", resume=True, **L96 | options)
    simulate("lorenz96", out=tmp_path / "one.zarr", **L96 | options)
    assert files(tmp_path / "run.zarr") == files(tmp_path / "one.zarr")


def test_a_group_that_blows_up_does_not_stop_the_others(client, tmp_path):
    """Largest stable steps of four members: 0.118, 0.142, 0.107 and 0.126."""
    options = {"n": 32, "re": 100.0, "time": 0.11, "every": 0.11, "dt": 0.11, "members": 4}
    path, address = tmp_path / "run.zarr", client.scheduler.address
    with pytest.raises(StabilityError) as caught:
        simulate("navier-stokes", out=path, scheduler=address, **options)
    message = str(caught.value)
    for word in ("member 2: ", "at step 0", "CFL number", "largest stable Δt 0.107", str(path)):
        assert word in message
    assert message.count("member ") == 1
    left = xr.open_zarr(path, chunks=None).omega.notnull().all(("y", "x"))
    assert left.sum("time").values.tolist() == [2, 2, 1, 2]


def test_a_mistake_of_all_groups_is_told_once(run):
    with pytest.raises(CaseError) as caught:
        run(device="tape")
    assert str(caught.value).count("device 'tape' cannot be used") == 1


def test_refusals_leave_no_store(tmp_path, monkeypatch, capsys):
    shell = runner(tmp_path, monkeypatch, capsys)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    command = ("simulate", "lorenz96", "--time", "1", "-o", "run.zarr")
    refused(shell(*command, "--scheduler", gone), f"no Dask scheduler answers at '{gone}'")
    refused(shell(*command, "--scheduler", "node1"), "'node1' (missing port number")
    refused(shell(*command, "--scheduler", gone, "--workers", "2"), "expected one of them")
    refused(shell(*command, "--workers", "0"), "workers = 0; expected 1 or more")
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused(shell(*command, "--workers", "2"), "pip install 'spectune[cluster]'")
    assert not (tmp_path / "run.zarr").exists()
