"""The command line: each mistake gives one clear error and exit code 2."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cli_run import DIMS, advise, refused, runner, save
from spectune import cli

SPECTUNE = Path(sys.executable).with_name("spectune")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


def test_good_data_pass(run):
    save("target.nc")
    code, out, err = run(*advise("--samples", "4", "-o", "there"))
    assert code in (0, None), err
    assert "conv1" in out
    assert {path.name for path in Path("there").iterdir()} >= {"advice.json", "advice.nc"}
    assert not list(Path("there").glob(".*"))


def constant(n):
    return (DIMS, np.full((n, 8, 12), 3.0))


def with_bad(value):
    values = np.random.default_rng(1).normal(size=(6, 8, 12))
    values[2, 3, 4:6] = value
    return (DIMS, values)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"b": None}, ["no variable 'b', expected in targets", "a (time: 6, y: 8, x: 12)"]),
        ({"b": ("time", np.arange(6.0))}, ["'b' has dimensions ('time',)", "('time', 'y', 'x')"]),
        ({"a": (("y", "x"), np.ones((8, 12)))}, ["'a' has dimensions ('y', 'x')", "samples"]),
        ({"a": with_bad(np.nan)}, ["'a' has 2 values that are not finite (2 NaN, 0 Inf)", "le 2"]),
        ({"b": with_bad(-np.inf)}, ["'b' has 2 values that are not finite (0 NaN, 2 Inf)"]),
        ({"b": constant(6)}, ["'b' has no variance", "every value is 3"]),
        ({"n": 0}, ["has 0 samples, expected at least 2"]),
        ({"n": 1}, ["has 1 samples, expected at least 2"]),
    ],
)
def test_bad_data(run, changes, words):
    save("target.nc", **changes)
    refused(run(*advise()), "target.nc", *words)
    assert not Path("advice").exists()


def test_samples_that_are_too_few_or_no_number(run):
    save("target.nc")
    for wrong in ("1", "0", "-3"):
        refused(run(*advise("--samples", wrong)), f"found {wrong}, expected at least 2")
    refused(run(*advise("--samples", "many")), "--samples", "many")


def test_judging_samples_without_variance(run):
    flat = np.random.default_rng(1).normal(size=(6, 8, 12))
    flat[1::2] = 0.0
    save("target.nc", b=(DIMS, flat))
    refused(run(*advise()), "['b'] have no variance")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": (8, 1)}, ["1 to 3 for the grid"]),
        ({"b": None}, ["no variable 'b'"]),
    ],
)
def test_bad_base(run, changes, words):
    save("target.nc")
    save("base.nc", **changes)
    if "shape" in changes:
        refused(run(*advise("--base", "base.nc")), "differs from base.nc in grid dimensions")
    else:
        refused(run(*advise("--base", "base.nc")), "base.nc", *words)


def test_base_on_another_grid(run):
    save("target.nc")
    data = xr.load_dataset("target.nc", engine="h5netcdf")
    data.assign_coords(x=data["x"] * 2).to_netcdf("base.nc", engine="h5netcdf")
    refused(
        run(*advise("--base", "base.nc")),
        "target.nc: grid spacing along 'x' is 0.5, expected 1 as in base.nc",
    )
    refused(run(*advise("--standardize")), "standardize needs base data")


def test_files_that_are_no_data(run):
    refused(run(*advise(target="nowhere.zarr")), "nowhere.zarr does not exist")
    Path("text.nc").write_text("no data")
    refused(run(*advise(target="text.nc")), "text.nc is not a dataset that can be read")
    Path("target.pkl").write_bytes(b"\x80\x04.")
    refused(run(*advise(target="target.pkl")), "target.pkl is a pickle file")
    Path("empty.zarr").mkdir()
    refused(run(*advise(target="empty.zarr")), "empty.zarr")


def test_results_that_cannot_be_written(run):
    save("target.nc")
    Path("taken").write_text("")
    refused(run(*advise("--out", "taken")), "taken")
    assert Path("taken").read_text() == ""


def test_disk_full_leaves_no_torn_result(run, monkeypatch):
    save("target.nc")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(run(*advise()), "No space left on device")
    assert not [path for path in Path("advice").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["case case.toml: No such file"]),
        ("name = ", ["case case.toml: not TOML"]),
        ("name = 'a'", ["case case.toml cannot be run", "title: Field required", "grid"]),
        ("[grid]\ndns = 'many'\nles = 8", ["grid.dns", "(found 'many')"]),
        ("[grid]\ndns = 32\nles = 32", ["les = 32 must be smaller than dns = 32"]),
        ("[grd]\ndns = 32", ["grd: Extra inputs are not permitted"]),
    ],
)
def test_bad_cases(run, text, words):
    if text is not None:
        Path("case.toml").write_text(text)
    refused(run("run", "case.toml"), *words)


def test_report_of_no_run(run):
    refused(run("report", "nowhere"), "nowhere")
    Path("here").mkdir()
    refused(run("report", "here"), "here")


def test_unknown_commands_and_options(run):
    refused(run("advice"), "advice")
    refused(run("demo", "--speed", "3"), "--speed")
    refused(run("advise", "--model", "a:b"), "--target")
    code, out, _ = run("--help")
    assert code in (0, None)
    assert {"demo", "run", "advise", "report"} <= set(out.split())


@pytest.mark.usefixtures("run")
def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["spectune", "--debug", *advise(target="nowhere.nc")])
    with pytest.raises(cli.SpectuneError, match="nowhere"):
        cli.main()
    command = [SPECTUNE, *advise(target="nowhere.nc"), "--debug"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "DataError: nowhere.nc does not exist" in done.stderr


def test_bugs_keep_their_traceback(run, monkeypatch):
    def bug():
        raise ZeroDivisionError

    monkeypatch.setattr("spectune.experiments.demo_case", bug)
    monkeypatch.setattr(sys, "argv", ["spectune", "demo"])
    with pytest.raises(ZeroDivisionError):
        cli.main()
    assert run("--help")[0] in (0, None)


def test_interrupt(run, monkeypatch):
    def pressed(*_, **__):
        raise KeyboardInterrupt

    save("target.nc")
    monkeypatch.setattr("spectune.advice.advise", pressed)
    code, _, err = run(*advise())
    assert code == 130
    assert "run the same command to go on" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("run")
def test_the_console_script():
    """The same through a real process, where nothing is patched."""
    save("target.nc", n=1)
    done = subprocess.run([SPECTUNE, *advise()], capture_output=True, text=True)
    refused((done.returncode, done.stdout, done.stderr), "target.nc has 1 samples")


@pytest.mark.usefixtures("run")
def test_a_real_ctrl_c(tmp_path):
    slow = "import time\ndef net():\n    open('started', 'w').close()\n    time.sleep(60)\n"
    Path("slow.py").write_text(slow)
    save("target.nc")
    process = subprocess.Popen(
        [SPECTUNE, *advise(model="slow:net")], stderr=subprocess.PIPE, text=True
    )
    for _ in range(300):
        if (tmp_path / "started").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
