"""From runs to pairs: the exact subgrid term of every system, whatever happens on the way."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import zarr

from cli_run import refused, runner
from killed_runs import files
from spectune import advise, coarsen, open_pairs, simulate
from spectune.coarse import (
    CoarseGraining,
    Lorenz96CoarseGraining,
    OneDimensionalCoarseGraining,
    QuasiGeostrophicCoarseGraining,
    box_filter,
    gaussian_filter,
    sharp_filter,
)
from spectune.data import PairStore
from spectune.errors import CaseError, DataError
from spectune.models import CNN
from spectune.runs import RunStore, begin, run_group, run_settings, system_parameters

FLOW = {"n": 48, "re": 100.0, "peak": 4.0}
RUNS = {
    "navier-stokes": FLOW | {"time": 2.0},
    "two-layer-qg": {"n": 24, "preset": "jet", "time": 86_400.0 * 2},
    "burgers": {"n": 64, "length": 10.0, "speed": 1.0, "time": 3.0},
    "kuramoto-sivashinsky": {"time": 40.0, "every": 10.0},
    "lorenz96": {"slow_count": 8, "fast_count": 4, "time": 0.4},
}
COARSE = {
    "navier-stokes": {"n": 16},
    "two-layer-qg": {"n": 12, "filter": "sharp", "width": 5e4},
    "burgers": {"n": 32, "filter": "box"},
    "kuramoto-sivashinsky": {"n": 16},
    "lorenz96": {},
}
NAMES = {
    "navier-stokes": (["psi", "omega"], ["pi"]),
    "two-layer-qg": (["psi_1", "psi_2", "q_1", "q_2"], ["pi_1", "pi_2"]),
    "burgers": (["u"], ["pi"]),
    "kuramoto-sivashinsky": (["u"], ["pi"]),
    "lorenz96": (["X"], ["pi"]),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of two members of each system."""
    folder = tmp_path_factory.mktemp("runs")
    for system, options in RUNS.items():
        simulate(system, out=folder / f"{system}.zarr", members=2, command="test", **options)
    # From rest, eddies take years to grow: theirs is the strength of the grown ones.
    vorticity = zarr.open_array(folder / "two-layer-qg.zarr/q")
    vorticity[:] = 1000 * vorticity[:]
    return folder


def coarse_graining(system, setup):
    dns = setup.system
    if system == "lorenz96":
        return Lorenz96CoarseGraining(dns)
    n = COARSE[system]["n"]
    grid = dns.grid.with_shape((n,) * dns.grid.ndim)
    if system == "navier-stokes":
        return CoarseGraining(dns, grid, gaussian_filter)
    if system == "two-layer-qg":
        return QuasiGeostrophicCoarseGraining(dns, grid, sharp_filter, 5e4)
    kernel = box_filter if system == "burgers" else gaussian_filter
    return OneDimensionalCoarseGraining(dns, grid, kernel)


def whole_tendency(system, state):
    return system.tendency(state) + system.linear * state


@pytest.mark.parametrize("system", RUNS)
def test_pairs_are_those_of_the_states_and_close_the_filtered_tendency(runs, tmp_path, system):
    path = runs / f"{system}.zarr"
    coarsen(path, out=tmp_path / "p.zarr", **COARSE[system])
    pairs = open_pairs(tmp_path / "p.zarr")
    assert (list(pairs.input_names), list(pairs.target_names)) == NAMES[system]

    run = xr.open_zarr(path, chunks=None)
    setup = RunStore.open(path).setup(range(2))
    fields = [torch.tensor(run[v.name].values) for v in setup.variables]
    state = setup.state(tuple(field.flatten(0, 1) for field in fields))
    coarse = coarse_graining(system, setup)
    *inputs, subgrid = coarse.pair(state)
    if system != "two-layer-qg":  # whose layers are channels already
        inputs, subgrid = [field[:, None] for field in inputs], subgrid[:, None]
    expected = torch.cat(inputs, 1)
    for found, exact in ((pairs.inputs, expected), (pairs.targets, subgrid)):
        assert found.shape == exact.shape
        scale = exact.abs().amax((0, *range(2, exact.ndim)), keepdim=True)
        assert float(((found - exact).abs() / scale).max()) < 1e-7  # float32

    # What is in the store, and nothing else, is the large-eddy simulation's missing term.
    layers = pairs.targets.shape[1]
    resolved, missing = pairs.inputs[:, -layers:].double(), pairs.targets.double()
    if layers == 1:
        resolved, missing = resolved[:, 0], missing[:, 0]
    resolved, missing = coarse.les.project(resolved), coarse.les.project(missing)
    truth = coarse.filtered(whole_tendency(coarse.dns, state))
    model = whole_tendency(coarse.les, resolved) + missing
    without = whole_tendency(coarse.les, resolved)
    scale = float(truth.abs().max())
    assert float((model - truth).abs().max()) < 3e-6 * scale
    assert float((without - truth).abs().max()) > 3e-3 * scale


def test_samples_are_members_in_blocks_of_rising_time(runs, tmp_path):
    dataset = coarsen(runs / "two-layer-qg.zarr", n=12, out=tmp_path / "p.zarr")
    assert dataset.q_1.dims == ("sample", "y", "x")
    assert dataset.member.values.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.time.values.tolist() == 2 * [0.0, 86_400.0, 172_800.0]
    assert set(dataset.coords) == {"member", "time", "y", "x"}
    assert dataset.q_1.attrs["long_name"] == "filtered potential vorticity of layer 1"
    units = {name: dataset[name].attrs["units"] for name in (*dataset.data_vars, "time", "x")}
    assert units == {
        "psi_1": "m2 s-1",
        "psi_2": "m2 s-1",
        "q_1": "s-1",
        "q_2": "s-1",
        "pi_1": "s-2",
        "pi_2": "s-2",
        "time": "s",
        "x": "m",
    }
    for pairs in (open_pairs(dataset), PairStore.open(tmp_path / "p.zarr").read()):
        assert pairs.member.tolist() == [0, 0, 0, 1, 1, 1]
        assert pairs.time.tolist() == dataset.time.values.tolist()
        held_out = pairs.subset(pairs.member == 1)
        assert torch.equal(held_out.inputs, pairs.inputs[3:])
        assert held_out.member.tolist() == [1, 1, 1]


def test_provenance(runs, tmp_path):
    path = tmp_path / "p.zarr"
    dataset = coarsen(runs / "navier-stokes.zarr", n=16, filter="box", out=path, command="how")
    lines = dataset.attrs["history"].splitlines()
    assert lines[0].endswith(": test")
    assert lines[-1].endswith(": how")
    said = PairStore.open(path).attributes
    wanted = {
        "system": "navier-stokes",
        "dns_points": 48,
        "filter": "box",
        "run_store": "navier-stokes.zarr",
        "filter_width": pytest.approx(np.pi / 4),
        "every": 1,
    }
    assert {name: said[name] for name in wanted} == wanted
    assert said["parameters"] | FLOW == said["parameters"]
    assert said["run"]["seed"] == 0
    assert said["versions"]["torch"] == torch.__version__
    assert str(runs) not in json.dumps(dataset.attrs)


def test_stress_has_the_subgrid_term_as_minus_its_curl_of_the_divergence(runs, tmp_path):
    coarsen(runs / "navier-stokes.zarr", n=16, targets=["tau", "pi"], out=tmp_path / "p.zarr")
    pairs = open_pairs(tmp_path / "p.zarr")
    assert pairs.target_names == ("tau_xx", "tau_xy", "tau_yy", "pi")
    ky, kx = pairs.grid.wavenumbers()
    xx, xy, yy = (pairs.grid.transform(pairs.targets[:, i].double()) for i in range(3))
    found = pairs.grid.inverse((kx**2 - ky**2) * xy - kx * ky * (xx - yy))
    exact = pairs.targets[:, 3].double()
    assert float((found - exact).abs().max()) < 1e-5 * float(exact.abs().max())


def test_single_precision_runs_are_coarse_grained_in_double(tmp_path):
    options = FLOW | {"time": 2.0, "precision": "float32"}
    run = simulate("navier-stokes", out=tmp_path / "run.zarr", **options)
    found = coarsen(tmp_path / "run.zarr", n=16, out=tmp_path / "p.zarr")
    parameters = system_parameters("navier-stokes", **FLOW)
    setup = parameters.build(seed=0, members=range(1), dtype=torch.float64, device="cpu")
    state = setup.state((torch.tensor(run.omega.values[0].astype(float)),))
    exact = coarse_graining("navier-stokes", setup).pair(state)[2].numpy()
    np.testing.assert_allclose(found["pi"], exact, rtol=0, atol=1e-7 * abs(exact).max())


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ({"every": 3}, [2.0, 3.5, 5.0]),
        ({"start": 2.4, "every": 2}, [2.5, 3.5, 4.5]),
        ({"start": 3.0, "end": 4.0}, [3.0, 3.5, 4.0]),
        ({"end": 2.6}, [2.0, 2.5]),
        ({"start": 0.0, "end": 100.0, "every": 6}, [2.0, 5.0]),
    ],
)
def test_which_snapshots(tmp_path, options, times):
    run = tmp_path / "run.zarr"
    simulate(
        "lorenz96", time=3.0, spinup=2.0, every=0.5, members=2, slow_count=4, fast_count=2, out=run
    )
    found = coarsen(run, out=tmp_path / "p.zarr", **options)
    np.testing.assert_allclose(found.time, 2 * times)
    expected = xr.open_zarr(run, chunks=None).X.sel(time=times, method="nearest")
    np.testing.assert_allclose(found.X, expected.values.reshape(-1, 4), rtol=1e-6)


def test_what_a_member_has_not_reached_is_left_out(tmp_path):
    """A run that grows: one group finished, one stopped on the way, one not begun."""
    parameters = system_parameters("lorenz96", slow_count=4, fast_count=2)
    settings = run_settings(parameters, members=5, group=2, time=1.0, spinup=0.2)
    path = tmp_path / "run.zarr"

    def stop(progress):
        if progress.time > 0.65:
            raise KeyboardInterrupt

    with begin.begun(path, parameters, settings, resume=False, command="test"):
        run_group(path, 1)
        with pytest.raises(KeyboardInterrupt):
            run_group(path, 0, report=stop)
        assert xr.open_zarr(path, chunks=None).X.isnull().any()
        early = coarsen(path, out=tmp_path / "early.zarr", every=2)
        counts = np.unique(early.member, return_counts=True)
        run_group(path, 0)
        run_group(path, 2)
    assert [part.tolist() for part in counts] == [[0, 1, 2, 3], [3, 3, 6, 6]]
    assert early.X.notnull().all()
    before = files(tmp_path / "early.zarr")
    again = coarsen(path, out=tmp_path / "early.zarr", every=2, resume=True)
    assert again.sizes["sample"] == 18
    assert files(tmp_path / "early.zarr") == before
    late = coarsen(path, out=tmp_path / "late.zarr", every=2)
    assert late.sizes["sample"] == 30
    xr.testing.assert_equal(early.isel(sample=slice(3)).load(), late.isel(sample=slice(3)).load())


KILLED = """
import os, signal, sys
from spectune import durable
from spectune.data import store
from spectune.runs import coarsen

write, left = durable.write_bytes, int(sys.argv[1])

def counting(path, content):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)

durable.write_bytes, store._CHUNK_BYTES = counting, 4 * 16 * 16 * 2
coarsen("run.zarr", n=16, out="p.zarr", resume=True, command="test")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_killed_in_the_middle_of_a_write(runs, tmp_path, monkeypatch):
    """Blocks of two samples; killed between the chunks of one, twice, and resumed."""
    (tmp_path / "run.zarr").symlink_to(runs / "navier-stokes.zarr")
    monkeypatch.chdir(tmp_path)
    left = []
    for writes in ("30", "20"):
        child = subprocess.run([sys.executable, "-c", KILLED, writes], timeout=60, check=False)
        assert child.returncode == -signal.SIGKILL
        left.append(xr.open_zarr("p.zarr", chunks=None).sizes["sample"])
    assert 0 < left[0] < left[1] < 6
    monkeypatch.setattr("spectune.data.store._CHUNK_BYTES", 4 * 16 * 16 * 2)
    coarsen("run.zarr", n=16, out="p.zarr", resume=True, command="test")
    coarsen("run.zarr", n=16, out="whole.zarr", command="test")
    assert files(Path("p.zarr")) == files(Path("whole.zarr"))


def test_no_more_than_a_batch_at_once(runs, tmp_path, monkeypatch):
    """The states of three snapshots at a time, and the same pairs."""
    monkeypatch.setattr(sys.modules["spectune.runs.coarsen"], "_BATCH_BYTES", 3 * 48 * 48 * 8)
    sizes, pair = [], CoarseGraining.pair

    def watched(self, state):
        sizes.append(len(state))
        return pair(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(CoarseGraining, "pair", watched)
        fractions = []
        path = runs / "navier-stokes.zarr"
        few = coarsen(path, n=16, out=tmp_path / "a.zarr", report=fractions.append)
    assert sizes == [3, 3]
    assert fractions == [0.5, 1.0]
    monkeypatch.undo()
    many = coarsen(path, n=16, out=tmp_path / "b.zarr")
    np.testing.assert_allclose(few.omega, many.omega, rtol=1e-5, atol=1e-5)


def test_the_store_goes_into_the_advice(runs, tmp_path):
    coarsen(runs / "navier-stokes.zarr", n=16, out=tmp_path / "p.zarr")
    torch.manual_seed(0)
    advice = advise(CNN(2, 1, width=2, depth=2, kernel=3), tmp_path / "p.zarr")
    assert advice.samples == 6
    assert {layer.name for layer in advice.layers} == {"conv1", "conv2"}


@pytest.mark.parametrize(
    ("system", "options", "words"),
    [
        ("navier-stokes", {}, ["n, the number of points", "missing", "up to 32"]),
        ("navier-stokes", {"n": 48}, ["not coarser than the run, which has 48", "give 32 or less"]),
        ("navier-stokes", {"n": 34}, ["modes up to 16", "up to 15", "give 32 or less"]),
        ("navier-stokes", {"n": 15}, ["n = 15", "even number from 4 to 32"]),
        ("two-layer-qg", {"n": 24}, ["not coarser", "give 22 or less"]),
        ("navier-stokes", {"n": 16, "filter": "top-hat"}, ["'top-hat'", "gaussian, box, sharp"]),
        ("navier-stokes", {"n": 16, "width": -1.0}, ["width of the filter is -1"]),
        ("navier-stokes", {"n": 16, "targets": ["sigma"]}, ["sigma", "expected pi or tau"]),
        ("burgers", {"n": 16, "targets": ["tau"]}, ["subgrid stress", "give pi"]),
        ("lorenz96", {"n": 4, "filter": "box"}, ["n, filter", "leave out"]),
        ("navier-stokes", {"n": 16, "every": 0}, ["every = 0"]),
        ("navier-stokes", {"n": 16, "start": 2.0, "end": 1.0}, ["start = 2 is after end = 1"]),
    ],
)
def test_impossible_values_leave_no_store(runs, tmp_path, system, options, words):
    with pytest.raises(CaseError) as caught:
        coarsen(runs / f"{system}.zarr", out=tmp_path / "p.zarr", **options)
    for word in words:
        assert word in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_refusals_lose_nothing(runs, tmp_path):
    path, run = tmp_path / "p.zarr", runs / "navier-stokes.zarr"
    with pytest.raises(
        DataError, match="has no such snapshot yet: it shows 3, 1 apart from time 0 on"
    ):
        coarsen(run, n=16, start=3.0, out=path)
    for no_run in (runs, runs / "nothing"):
        with pytest.raises(DataError, match=r"not the store of a run|does not exist"):
            coarsen(no_run, n=16, out=path)
    coarsen(run, n=16, out=path)
    before = files(path)
    with pytest.raises(DataError, match=r"p\.zarr exists already: resume it"):
        coarsen(run, n=16, out=path)
    with pytest.raises(CaseError) as caught:
        coarsen(run, n=18, filter="box", every=2, out=path, resume=True)
    for line in ("n: 16 in the store, 18 asked", "filter: gaussian in", "every: 1 in the store, 2"):
        assert line in str(caught.value)
    with pytest.raises(CaseError, match="system: navier-stokes in the store, burgers asked for"):
        coarsen(runs / "burgers.zarr", n=16, out=path, resume=True)
    other = PairStore.create(tmp_path / "o.zarr", PairStore.open(path).grid, ["a"], ["b"], {}, {})
    with pytest.raises(DataError, match="is a store of pairs that `spectune coarsen` has not made"):
        coarsen(run, n=16, out=other.path, resume=True)
    assert files(path) == before


def test_a_lost_chunk_is_no_sample(tmp_path):
    run = tmp_path / "run.zarr"
    simulate("lorenz96", time=0.5, members=2, slow_count=4, fast_count=2, out=run)
    next(run.glob("X/c.1.*")).unlink()
    with pytest.raises(DataError, match=r"run\.zarr: member 1 has NaN or Inf between the times 0"):
        coarsen(run, out=tmp_path / "p.zarr")


def test_from_the_shell(tmp_path, monkeypatch, capsys):
    spectune = runner(tmp_path, monkeypatch, capsys)
    simulate("navier-stokes", out="run.zarr", time=1.0, members=2, **FLOW)
    arguments = ["coarsen", "run.zarr", "--n", "16", "--filter", "gaussian", "-o", "pairs.zarr"]
    code, out, err = spectune(*arguments)
    assert code in (0, None), err
    assert out.strip() == f"4 pairs on 16 × 16 points: {Path('pairs.zarr').resolve()}"
    history = xr.open_zarr("pairs.zarr", chunks=None).attrs["history"]
    assert history.endswith(": spectune " + " ".join(arguments))
    refused(spectune(*arguments), "pairs.zarr exists already: resume it (--resume")
    assert spectune(*arguments, "--resume")[0] in (0, None)
    code, *_ = spectune(
        "coarsen", "run.zarr", "--n", "16", "--targets", "pi", "tau", "-o", "t.zarr"
    )
    assert code in (0, None)
    assert {"pi", "tau_xy"} < set(xr.open_zarr("t.zarr", chunks=None).data_vars)
    refused(spectune("coarsen", "run.zarr", "--n", "16"), "--out")
    refused(spectune("coarsen", "my_module.py", "--n", "16", "-o", "q.zarr"), "not the store of")
