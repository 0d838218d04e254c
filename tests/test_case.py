"""Cases that cannot be run, or cannot go on."""

import fcntl
import multiprocessing
import resource

import pytest

from pocket_run import POCKET, brief, changed
from spectune.data import PairStore
from spectune.errors import CaseError, DataError, StabilityError
from spectune.experiments import demo_case, load_case
from spectune.experiments.flows import simulate_flows
from spectune.experiments.generate import generate_pairs


def test_disk_full_in_a_simulation(tmp_path):
    """No file may grow beyond what holds a state but not a chunk of pairs."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, limits[1]))
    try:
        with pytest.raises(
            DataError, match=r"flow: .*could not be written: File too large\. The 0"
        ):
            simulate_flows(load_case(POCKET), tmp_path, lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not multiprocessing.active_children()
    assert {len(PairStore.open(path)) for path in tmp_path.glob("*.zarr")} == {0}


def test_one_run_at_a_time(tmp_path):
    folder = tmp_path / "busy"
    (folder / "stages").mkdir(parents=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CaseError, match="busy is in use by another run"):
            brief(load_case(POCKET), folder)
    assert not list((folder / "stages").iterdir())


def test_state_that_cannot_be_kept_is_an_error_of_the_flow(tmp_path, monkeypatch):
    case = load_case(POCKET)

    def generate(name):
        generate_pairs(
            case, case.base, tmp_path / name, seed=0, provenance={}, progress=lambda _: None
        )

    def full(path, _):
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("spectune.runs.restart.write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            generate("a.zarr")
    assert len(PairStore.open(tmp_path / "a.zarr")) == 10
    generate("a.zarr")
    generate("b.zarr")
    a, b = (PairStore.open(tmp_path / name).read() for name in ("a.zarr", "b.zarr"))
    assert a.inputs.equal(b.inputs)
    assert a.time.equal(b.time)


def test_time_step_too_large(tmp_path):
    dt = 0.08
    case = changed(target={"dt": dt, "interval": 2.0}, online={"interval": 2.0})
    with pytest.raises(StabilityError) as caught:
        brief(case, tmp_path / "fast")
    message = str(caught.value)
    assert message.startswith("target flow: ")
    assert f"time step Δt = {dt:g} is too large at step" in message
    words = message.replace(",", "").replace(";", "").split()
    largest = float(words[words.index("stable") + 2].rstrip("."))
    assert "CFL number" in message
    assert largest < dt


def test_snapshots_that_would_miss_the_truth_are_refused():
    with pytest.raises(
        ValueError, match=r"a snapshot every 0.5 .* the target has a pair every 0.2"
    ):
        changed(online={"interval": 0.5})


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"grid": {"les": 48}}, "les = 48 must be smaller than dns = 48"),
        ({"grid": {"les": 40}}, "les = 40 keeps modes .* use les ≤ 32"),
        ({"advice": {"samples": 13}}, "advice.samples = 13 exceeds target.training = 12"),
        ({"base": {"dt": 0}}, "greater than 0"),
        ({"target": {"held_out": 1}}, "greater than or equal to 2"),
        ({"network": {"padding": "reflect"}}, "'circular' or 'zeros'"),
        ({"online": {"closure_steps": 3}}, "found 20 steps .* called every 3; expected a multiple"),
    ],
)
def test_impossible_values(sections, message):
    with pytest.raises(ValueError, match=message):
        changed(**sections)


def test_the_demo_is_a_case():
    case = demo_case()
    assert case.target.steps * case.target.dt == pytest.approx(case.target.interval)
    assert case.online.time == pytest.approx(case.target.held_out * case.target.interval)
