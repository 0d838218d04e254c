"""A whole case, run, killed, continued and changed."""

import io
import json
import os
import random
import signal
import time

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from pocket_run import (
    NAMES,
    POCKET,
    assert_same_results,
    brief,
    changed,
    copied,
    kill,
    living,
    record,
    start,
    wait_for,
)
from spectune import atomic
from spectune.atomic import remove_leftovers
from spectune.data import PairStore
from spectune.errors import CaseError
from spectune.experiments import load_case, run_case
from spectune.experiments.stages import STAGES


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The case run without interruption, report and all."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    process = start(folder)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "report.html" in out.replace("\n", "")
    return folder


def without_holes(values):
    """What an explanation knows: conv4 is linear and has one channel, the others four."""
    inner = {"layer": slice(0, 3)}
    if str(values.name).startswith(("nonlinear", "moved")):
        return values.isel(inner)
    if values.name == "linear_channels":
        output = values.isel(layer=3, channel=0)
        return np.concatenate([values.isel(inner).values.ravel(), output.values.ravel()])
    return values


def test_a_whole_case(whole):
    assert all(record(whole, stage.name)["done"] for stage in STAGES)
    run = json.loads((whole / "run.json").read_text())
    assert [stage["name"] for stage in run["stages"]] == [stage.name for stage in STAGES]
    assert len(PairStore.open(whole / "base.zarr")) == 24
    assert len(PairStore.open(whole / "target.zarr")) == 22
    advice, sweep = (json.loads((whole / f"{n}.json").read_text()) for n in ("advice", "sweep"))
    assert sorted(advice["rankings"]["attainable decrease"]) == [f"conv{i}" for i in range(1, 5)]
    assert set(sweep["comparison"]) == {*advice["rankings"], "random"}
    for name in ("flows", "advice", "offline", "explanation"):
        with xr.open_dataset(whole / f"{name}.nc", engine="h5netcdf") as data:
            for variable, values in data.data_vars.items():
                if values.dtype.kind == "f" and variable != "log_spectrum_ratio":
                    if name == "explanation":
                        values = without_holes(values)
                    assert np.isfinite(values).all(), (name, variable)
    assert "<svg" in (whole / "report.html").read_text()
    assert list((whole / "figures").glob("*.pdf"))


def test_a_folder_that_was_moved_says_where_its_report_is(whole, tmp_path):
    said = io.StringIO()
    folder = copied(whole, tmp_path / "moved")
    run_case(load_case(POCKET), folder, command="test", console=Console(file=said))
    assert said.getvalue().count("kept from an earlier run") == len(STAGES)
    assert said.getvalue().splitlines()[-1] == str(folder / "report.html")
    assert str(whole) not in said.getvalue()


def test_the_large_eddy_simulations_meet_the_truth_in_time(whole):
    truth = PairStore.open(whole / "target.zarr").read().subset(slice(12, None))
    with xr.open_dataset(whole / "online.nc", engine="h5netcdf") as scores:
        assert list(scores["closure"].values) == [
            "filtered DNS", "no closure", "Smagorinsky", "BNN", "TLNN",
        ]  # fmt: skip
        times = truth.time[1:] - truth.time[0]
        np.testing.assert_allclose(scores["time"], times, rtol=1e-9)
        omega = truth.inputs[1:, 1].double()
        np.testing.assert_allclose(
            scores["enstrophy"].sel(closure="filtered DNS"), omega.square().mean((1, 2)) / 2
        )
        assert float(scores["energy_spectrum_error"].sel(closure="filtered DNS")) == 0
        # After one interval from the same state, every run is still close to the truth.
        first = scores["enstrophy"].isel(time=0)
        np.testing.assert_allclose(first, float(first[0]), rtol=0.2)


def test_killed_again_and_again(whole, tmp_path):
    """Killed with all its children at four moments; the same command ends with the same bytes."""
    folder = tmp_path / "killed"
    dice = random.Random(os.environ.get("SPECTUNE_KILL_SEED", "1"))

    def some_pairs():
        return (folder / "base.zarr" / "zarr.json").exists() and len(
            PairStore.open(folder / "base.zarr")
        ) >= 10

    moments = [
        some_pairs,
        lambda: (folder / "bnn.state.safetensors").exists(),
        lambda: (folder / "sweep" / "conv2.json").exists(),
        lambda: record(folder, "online")["done"],
    ]
    for reached in moments:
        process = start(folder)
        wait_for(reached, process)
        if reached is not moments[-1]:
            time.sleep(dice.uniform(0.0, 0.15))
        kill(process)
        for flow in ("base", "target"):
            if (folder / f"{flow}.zarr").exists():  # readable at any moment
                store = folder / f"{flow}.zarr"
                with xr.open_zarr(store) as data:
                    assert data.sizes["time"] == len(PairStore.open(store))
                    assert np.isfinite(data.load()["pi"]).all()
    assert record(folder, "online")["done"]
    remove_leftovers(folder)  # what the last kill left aside, as the next run would
    assert_same_results(folder, whole)


def test_ctrl_c(tmp_path):
    """Ctrl-C reaches the whole group, also while its processes are still starting."""
    folder = tmp_path / "interrupted"
    for reached in (
        lambda: record(folder, "simulate")["done"] is False and (folder / "stages").exists(),
        lambda: (folder / "base.zarr" / "zarr.json").exists(),
    ):
        process = start(folder)
        assert wait_for(reached, process)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "run the same command to go on" in err
        assert "Traceback" not in err
        limit = time.monotonic() + 5
        while living(process.pid) and time.monotonic() < limit:
            time.sleep(0.05)
        assert not living(process.pid)
    assert PairStore.open(folder / "base.zarr").grid.shape == (32, 32)


def test_children_do_not_outlive_a_killed_parent(tmp_path):
    """An orphan would write into the store that the next run continues."""
    folder = tmp_path / "orphaned"
    process = start(folder)
    assert wait_for(lambda: (folder / "base.zarr").exists(), process)
    process.kill()
    process.communicate()
    limit = time.monotonic() + 5
    while living(process.pid) and time.monotonic() < limit:
        time.sleep(0.05)
    left = living(process.pid)
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    assert not left


def test_what_is_done_is_kept_and_a_change_runs_what_depends_on_it(whole, tmp_path):
    folder = copied(whole, tmp_path / "again")
    before = {name: record(folder, name) for name in NAMES}
    brief(load_case(POCKET), folder)
    assert {name: record(folder, name) for name in NAMES} == before
    assert_same_results(folder, whole)

    brief(changed(transfer={"epochs": 3}), folder)
    for name in ("simulate", "train", "advise"):
        assert record(folder, name) == before[name]
    for name in ("verify", "explain", "online"):
        assert record(folder, name)["hash"] != before[name]["hash"]
    assert (folder / "bnn/weights.safetensors").read_bytes() == (
        whole / "bnn/weights.safetensors"
    ).read_bytes()
    name = "sweep/conv1.safetensors"
    assert (folder / name).read_bytes() != (whole / name).read_bytes()

    brief(load_case(POCKET), folder)  # and back
    assert_same_results(folder, whole)


UPSTREAM = ("simulate", "train")


@pytest.mark.parametrize("writes", [1, 3, 6])
def test_disk_full_in_a_stage(whole, tmp_path, monkeypatch, writes):
    folder = copied(whole, tmp_path / "full")
    case, written = changed(training={"epochs": 4}), []

    def full(path, content):
        if len(written) >= writes:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        return write_bytes(path, content)

    write_bytes = atomic.write_bytes
    with monkeypatch.context() as patch:
        for room in ("training.resume", "models.checkpoint", "atomic"):
            patch.setattr(f"spectune.{room}.write_bytes", full)
        with pytest.raises(CaseError, match=r"No space left on device.*the same command goes on"):
            brief(case, folder, UPSTREAM)
    assert not record(folder, "train")["done"]
    assert len(PairStore.open(folder / "base.zarr")) == 24
    brief(case, folder, UPSTREAM)
    brief(case, expected := copied(whole, tmp_path / "expected"), UPSTREAM)
    assert_same_results(folder, expected)
