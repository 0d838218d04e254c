"""``spectune simulate`` from the shell."""

from io import StringIO
from pathlib import Path

import pytest
import xarray as xr
from rich.console import Console

from cli_run import refused, runner
from spectune.runs import SYSTEMS, run_bar, simulate

SMALL = {
    "navier-stokes": ["--n", "32", "--re", "100", "--time", "2"],
    "two-layer-qg": ["--n", "16", "--time", "172800", "--preset", "jet"],
    "burgers": ["--n", "32", "--length", "10", "--time", "2"],
    "kuramoto-sivashinsky": ["--n", "32", "--time", "2"],
    "lorenz96": ["--slow-count", "8", "--fast-count", "2", "--time", "0.2"],
}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    command = runner(tmp_path, monkeypatch, capsys)
    return lambda *arguments: command("simulate", *arguments)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system(run, system):
    code, out, err = run(system, *SMALL[system], "--members", "2", "-o", "run.zarr")
    assert code in (0, None), err
    assert out.strip() == f"3 snapshots of members 0 to 1: {Path('run.zarr').resolve()}"
    with xr.open_zarr("run.zarr", chunks=None) as store:
        assert dict(store.sizes).items() >= {"member": 2, "time": 3}.items()
        assert f"spectune simulate {system} --" in store.attrs["history"]
        assert all(store[name].notnull().all() for name in store.data_vars)


def test_list_and_help(run):
    code, out, _ = run("--list")
    assert code in (0, None)
    shown = " ".join(out.split())
    for kind in SYSTEMS.values():
        assert kind.name in shown
        for name in kind.model_fields:
            assert f"--{name.replace('_', '-')} " in shown
    assert "--beta 1.5e-11; jet: 1e-11 m-1 s-1" in shown
    code, out, _ = run("two-layer-qg", "--help")
    shown = " ".join(out.replace("│", " ").split())
    assert code in (0, None)
    assert "bottom drag r_ek [s-1; default 5.787e-07; jet: 7e-08]" in shown
    assert "time between two snapshots [s; default 86400]" in shown
    code, out, _ = run("--help")
    assert "spectune simulate navier-stokes --re 1000" in out


def test_resume_from_the_shell(run):
    options = ["navier-stokes", *SMALL["navier-stokes"], "-o", "run.zarr"]
    assert run(*options)[0] in (0, None)
    refused(run(*options), "run.zarr exists already: resume it (--resume")
    assert run(*options, "--resume")[0] in (0, None)
    refused(run(*options, "--resume", "--kf", "5"), "kf: 4 in the store, 5 asked for")
    longer = [{"2": "4"}.get(option, option) for option in options]
    assert run(*longer, "--resume")[0] in (0, None)
    assert xr.open_zarr("run.zarr", chunks=None).sizes["time"] == 5


def test_monitor(run):
    code, out, _ = run("navier-stokes", *SMALL["navier-stokes"], "--monitor", "-o", "run.zarr")
    assert code in (0, None)
    line = out.splitlines()[0]
    for word in ("member 0: time 2, energy ", "enstrophy ", "simulated per second"):
        assert word in line


def test_bar_on_a_terminal(tmp_path):
    """The bar has the time left, the speed and the live energies."""
    console = Console(file=StringIO(), force_terminal=True, width=200)
    with run_bar("lorenz96", console, monitor=True) as report:
        simulate(
            "lorenz96", slow_count=8, fast_count=2, time=0.5, out=tmp_path / "r", report=report
        )
    shown = console.file.getvalue()
    for word in ("100%", "time left", "time 0.5, energy of X ", "time units simulated per second"):
        assert word in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["no system is named", "navier-stokes", "--list"]),
        (["navier-stoks"], ["no system 'navier-stoks'", "did you mean 'navier-stokes'?"]),
        (["navier-stokes", "-o", "a.zarr"], ["--time"]),
        (["navier-stokes", "--time", "1"], ["--out"]),
        (["navier-stokes", "--time", "1", "-o", "a.zarr", "--re", "-5"], ["re: ", "found -5.0"]),
        (["navier-stokes", "--time", "1", "-o", "a.zarr", "--re", "x"], ["--re", "x"]),
        (["navier-stokes", "--time", "1", "-o", "a.zarr", "--rey", "5"], ["--rey"]),
        (["lorenz96", "--time", "1", "-o", "a.zarr", "--device", "tape"], ["device 'tape'"]),
        (
            ["navier-stokes", "--n", "32", "--time", "1", "--dt", "0.5", "-o", "a.zarr"],
            ["at step 0", "CFL number", "largest stable Δt", "a.zarr keeps the snapshots"],
        ),
    ],
)
def test_mistakes(run, arguments, words):
    refused(run(*arguments), *words)
