"""Runs of the catalogue: what comes out is the system, whoever runs it and however often."""

import numpy as np
import pytest
import torch
import xarray as xr

from killed_runs import files
from spectune.errors import CaseError, DataError, StabilityError
from spectune.runs import RunStore, simulate, system_parameters
from spectune.runs.restart import read_snapshot
from spectune.systems import SCHEMES, Simulation, Snapshot

FLOW = {"n": 32, "re": 100.0}
RING = FLOW | {"preset": "ring", "ring": 6.0}
L96 = {"slow_count": 8, "fast_count": 2}


@pytest.fixture
def run(tmp_path):
    """Simulate into a store of the folder, by the name of the store."""

    def simulated(name, system, **options):
        return simulate(system, out=tmp_path / f"{name}.zarr", command="test", **options)

    return simulated


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_run_is_the_simulation(run, scheme):
    """Snapshots of a run with fixed step are those of a `Simulation` driven by hand."""
    ours = run("ours", "navier-stokes", time=1.0, every=0.5, dt=0.01, scheme=scheme, seed=4, **FLOW)
    parameters = system_parameters("navier-stokes", **FLOW)
    setup = parameters.build(seed=4, members=range(1), dtype=torch.float64, device="cpu")
    simulation = Simulation(
        setup.system, Snapshot(0, 0.0, setup.initial()), 0.01, scheme=SCHEMES[scheme]
    )
    snapshots = simulation.snapshots(50)
    states = [setup.initial(), next(snapshots).state, next(snapshots).state]
    expected = torch.stack([setup.fields(state)[0][0] for state in states]).numpy()
    np.testing.assert_allclose(ours.omega.values[0], expected, rtol=0, atol=1e-12)


def test_the_chosen_step_is_accurate(run):
    """A step chosen by the CFL number gives the flow of one that is far smaller."""
    chosen = run("chosen", "navier-stokes", time=2.0, **FLOW)
    exact = run("exact", "navier-stokes", time=2.0, dt=2e-3, **FLOW)
    finer = run("finer", "navier-stokes", time=2.0, courant=0.7, **FLOW)
    largest = float(abs(exact.omega).max())
    error, less = (float(abs(other.omega - exact.omega).max()) for other in (chosen, finer))
    assert error < 1e-3 * largest
    assert less < error / 8  # fourth order
    assert chosen.attrs["courant"] == pytest.approx(2**0.5)


@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("navier-stokes", RING | {"time": 2.0}),
        ("burgers", {"n": 32, "length": 10.0, "time": 3.0}),
        ("lorenz96", L96 | {"time": 1.0}),
    ],
)
def test_members_do_not_depend_on_their_number(run, system, options):
    few = run("few", system, members=2, **options)
    many = run("many", system, members=4, **options)
    xr.testing.assert_equal(few, many.isel(member=slice(2)))
    # In a batch, with a fixed step, to round-off.
    batch = run("batch", system, members=4, group=3, dt=0.01, **options)
    single = run("single", system, members=4, dt=0.01, **options)
    for name in single.data_vars:
        np.testing.assert_allclose(batch[name], single[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("system", ["navier-stokes", "burgers"])
def test_spinup_is_the_run_without_its_beginning(run, system):
    options = {"navier-stokes": RING, "burgers": {"n": 32, "length": 10.0}}[system]
    late = run("late", system, spinup=2.0, time=3.0, **options)
    whole = run("whole", system, time=5.0, **options)
    assert late.time.values.tolist() == [2.0, 3.0, 4.0, 5.0]
    xr.testing.assert_equal(late, whole.isel(time=slice(2, None)))


def test_burgers_forcing_is_drawn_anew(run):
    """From rest, the first hold gives u = fτ in the first order of τ, and the next another."""
    options = {"n": 32, "length": 10.0, "speed": 0.0, "viscosity": 0.0, "dt": 0.001}
    run_ = run("forced", "burgers", time=0.02, every=0.01, redraw=0.01, members=2, **options)
    parameters = system_parameters(
        "burgers", **{k: v for k, v in options.items() if k != "dt"}, redraw=0.01
    )
    setup = parameters.build(seed=0, members=range(2), dtype=torch.float64, device="cpu")
    draws = []
    for index in (0, 1):
        setup.redraw.apply(index)
        draws.append(setup.system.grid.inverse(setup.system.forcing).numpy())
    grown = run_.u.diff("time").values / 0.01
    for index in (0, 1):
        np.testing.assert_allclose(grown[:, index], draws[index], atol=2e-3 * abs(draws[0]).max())
    assert abs(draws[0] - draws[1]).max() > abs(draws[0]).max() / 2


def test_an_extended_run_is_the_longer_one(run, tmp_path):
    run("run", "lorenz96", time=0.5, members=3, group=2, **L96)
    run("run", "lorenz96", time=1.2, members=3, group=2, resume=True, **L96)
    run("whole", "lorenz96", time=1.2, members=3, group=2, **L96)
    assert files(tmp_path / "run.zarr") == files(tmp_path / "whole.zarr")
    simulate(
        "lorenz96", out=tmp_path / "run.zarr", time=1.2, members=3, group=2, resume=True, **L96
    )
    history = xr.open_zarr(tmp_path / "run.zarr", chunks=None).attrs["history"].splitlines()
    assert len(history) == 2
    assert history[1].endswith("simulate('lorenz96', time=1.2, slow_count=8, fast_count=2)")


def test_refusals_lose_nothing(run, tmp_path):
    path = tmp_path / "run.zarr"
    run("run", "lorenz96", time=0.5, **L96)
    before = files(path)
    with pytest.raises(DataError, match=r"run\.zarr exists already: resume it"):
        run("run", "lorenz96", time=0.5, **L96)
    with pytest.raises(CaseError) as caught:
        run("run", "lorenz96", time=0.5, slow_count=8, fast_count=3, seed=2, dt=0.01, resume=True)
    lines = ("fast_count: 2 in the store, 3 asked for", "seed: 0 in the store, 2 asked for")
    for line in (*lines, "dt: None in the store, 0.01 asked for"):
        assert line in str(caught.value)
    with pytest.raises(CaseError, match="is a run of lorenz96, not of burgers"):
        run("run", "burgers", time=1.0, resume=True)
    with pytest.raises(CaseError, match=r"planned for a time of 0\.5, 0\.3 is asked for"):
        run("run", "lorenz96", time=0.3, resume=True, **L96)
    assert files(path) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kf": 20}, ["forcing wavenumber is 20", "modes 0 … 10"]),
        ({"dt": 0.3}, ["every = 1 is no multiple of dt = 0.3", "dt = 0.3333333333"]),
        ({"injection": 0.1, "ring": 15.0}, ["forced ring reaches"]),
        ({"device": "nowhere"}, ["device 'nowhere' cannot be used", "nowhere"]),
    ],
)
def test_what_cannot_be_run_leaves_no_store(run, tmp_path, options, words):
    with pytest.raises(CaseError) as caught:
        run("run", "navier-stokes", time=1.0, **FLOW | options)
    for word in words:
        assert word in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_unwritable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"run\.zarr cannot be created: "):
        simulate("lorenz96", out=tmp_path / "file" / "run.zarr", time=0.5, **L96)


def test_blow_up_keeps_the_last_good_state(run, tmp_path):
    """A flow that speeds up under its forcing passes the CFL limit of a step that was fine."""
    options = FLOW | {"energy": 1e-3, "time": 40.0, "dt": 0.125}
    with pytest.raises(StabilityError) as caught:
        run("run", "navier-stokes", **options)
    message = str(caught.value)
    for word in ("member 0: ", "at step ", "CFL number ", "limit 2.83", "run.zarr keeps"):
        assert word in message
    left = xr.open_zarr(tmp_path / "run.zarr", chunks=None)
    n = left.sizes["time"]
    assert 1 < n < 41
    assert left.omega.notnull().all()
    store = RunStore.open(tmp_path / "run.zarr")
    assert store.restart(range(1)).step == 8 * (n - 1)
    last_good = read_snapshot(tmp_path / "run.zarr/restart/members-0000.last-good.safetensors")
    assert torch.isfinite(last_good.state).all()
    assert f"last good state (step {last_good.step})" in message
    before = files(tmp_path / "run.zarr")
    with pytest.raises(StabilityError) as again:
        run("run", "navier-stokes", resume=True, **options)
    assert str(again.value) == message
    assert files(tmp_path / "run.zarr") == before


def test_an_interrupted_run_goes_on(run, tmp_path):
    """Ctrl-C commits what has been made, and the run ends with the same bytes."""
    options = {"time": 1.0, "members": 2, "spinup": 0.2} | L96

    def interrupt(progress):
        if (progress.number, round(progress.time, 6)) in ((0, 0.1), (0, 0.8), (1, 0.3)):
            raise KeyboardInterrupt

    visible = []
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run("run", "lorenz96", resume=True, report=interrupt, **options)
        visible.append(xr.open_zarr(tmp_path / "run.zarr", chunks=None).sizes["time"])
    assert visible == [0, 7, 11]
    run("run", "lorenz96", resume=True, report=interrupt, **options)
    run("whole", "lorenz96", **options)
    assert files(tmp_path / "run.zarr") == files(tmp_path / "whole.zarr")


def test_reports(run):
    """Progress names every snapshot once and ends at the end; the monitor measures the fields."""
    seen = []

    def report(progress):
        seen.append((progress.number, progress.time, progress.diagnostics()["enstrophy"]))

    flow = run("run", "navier-stokes", time=2.0, members=2, spinup=1.0, report=report, **FLOW)
    assert [(number, time) for number, time, _ in seen] == [
        (number, time) for number in (0, 1) for time in (1.0, 2.0, 3.0)
    ]
    expected = 0.5 * (flow.omega**2).mean(("y", "x")).values.ravel()
    np.testing.assert_allclose([value for *_, value in seen], expected, rtol=1e-12)
