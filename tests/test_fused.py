"""Fused steps against the plain ones."""

import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyfftw
import pytest
import torch

from spectune.grid import Grid
from spectune.systems import (
    ETDRK4,
    IntegratingFactorRK4,
    NavierStokes2D,
    fused,
    random_vorticity,
)
from spectune.systems.fused import fused_rk4, plans
from spectune.systems.fused.stepper import FusedRK4

STEPS = 10


def flow(n=64, dtype=torch.float64, members=(), **parameters):
    grid = Grid.square(n)
    system = NavierStokes2D(grid, **{"reynolds": 500, "drag": 0.1, "dtype": dtype} | parameters)
    count = int(torch.tensor(members).prod()) if members else 1
    fields = torch.stack(
        [random_vorticity(grid, generator=torch.manual_seed(seed)) for seed in range(count)]
    )
    return system, system.project(fields.to(dtype)).reshape(*members, *grid.half_shape)


def plain(system, state, dt, held=0.0):
    scheme = IntegratingFactorRK4(system.linear, lambda x: system.tendency(x) + held, dt)
    for _ in range(STEPS):
        state = scheme.step(state)
    return state


def fused_steps(system, dt):
    return FusedRK4(system, IntegratingFactorRK4(system.linear, system.tendency, dt))


def difference(one, other):
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
@pytest.mark.parametrize("n", [16, 63, 64, 100])
def test_gives_the_same_steps_as_the_plain_scheme(n, dealiasing):
    system, state = flow(n, forcing_wavenumber=4, dealiasing=dealiasing)
    fused = fused_steps(system, 0.01).advance(state, STEPS)
    assert difference(fused, plain(system, state, 0.01)) < 1e-13
    assert difference(fused, state) > 1e-3


def test_gives_the_same_waves_on_a_beta_plane():
    system, state = flow(beta=5.0)
    assert system.linear.is_complex()
    assert (
        difference(fused_steps(system, 0.01).advance(state, STEPS), plain(system, state, 0.01))
        < 1e-13
    )


def test_single_precision_stays_single():
    system, state = flow(dtype=torch.float32, forcing_wavenumber=4)
    fused = fused_steps(system, 0.01).advance(state, STEPS)
    assert fused.dtype == torch.complex64
    assert difference(fused, plain(system, state, 0.01)) < 1e-5


def test_a_held_term_is_part_of_the_tendency():
    system, state = flow(forcing_wavenumber=4, members=(2,))
    held = system.project(
        torch.randn(2, 64, 64, dtype=torch.float64, generator=torch.manual_seed(5))
    )
    fused = fused_steps(system, 0.01).advance(state, STEPS, held)
    assert difference(fused, plain(system, state, 0.01, held)) < 1e-13
    assert difference(fused, plain(system, state, 0.01)) > 1e-3


def test_the_state_given_stays_as_it_is():
    system, state = flow()
    before = state.clone()
    fused_steps(system, 0.01).advance(state, 1)
    assert torch.equal(state, before)


def test_a_member_has_the_bytes_it_has_alone_in_one_go_or_step_by_step():
    system, state = flow(members=(2, 2), dtype=torch.float32)
    together = fused_steps(system, 0.01).advance(state, STEPS)
    fused, alone = fused_steps(system, 0.01), state[1, 0]
    for _ in range(STEPS):
        alone = fused.advance(alone, 1)
    assert torch.equal(together[1, 0], alone)


@pytest.mark.parametrize("members", [(), (3,)])
def test_the_number_of_threads_does_not_change_a_bit(members, monkeypatch):
    monkeypatch.setattr("spectune.systems.fused.stepper.SHARED", 1)
    monkeypatch.setattr("spectune.systems.fused.lane.CACHED", 20_000)  # several groups for each
    system, state = flow(members=members)
    states = []
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        states.append(fused_steps(system, 0.01).advance(state, STEPS))
    torch.set_num_threads(before)
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def test_a_blow_up_is_seen():
    system, state = flow()
    assert not torch.isfinite(fused_steps(system, 5.0).advance(state * 1e3, 30)).all()


def test_only_what_it_computes_is_taken_over():
    system, _ = flow()
    scheme = IntegratingFactorRK4(system.linear, system.tendency, 0.01)
    assert fused_rk4(system, scheme) is not None
    assert fused_rk4(flow(dealiasing="none")[0], scheme) is None
    assert fused_rk4(system, ETDRK4(system.linear, system.tendency, 0.01)) is None


def test_other_equations_are_not_taken_for_those_they_come_from():
    class Damped(NavierStokes2D):
        def tendency(self, vorticity):
            return super().tendency(vorticity) - vorticity

    system = Damped(Grid.square(16), reynolds=100)
    scheme = IntegratingFactorRK4(system.linear, system.tendency, 0.01)
    assert fused_rk4(system, scheme) is None


def test_nothing_is_taken_over_without_a_shared_fftw(monkeypatch):
    system, _ = flow()
    scheme = IntegratingFactorRK4(system.linear, system.tendency, 0.01)
    fused._installed.cache_clear()
    monkeypatch.setattr(plans, "FFTW", object())
    assert fused_rk4(system, scheme) is None
    fused._installed.cache_clear()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("length", [16, 63])
def test_planned_transforms_are_those_of_numpy(dtype, length):
    values = pyfftw.zeros_aligned((5, length + 16), dtype=dtype)
    rng = np.random.default_rng(0)
    values[:] = rng.normal(size=values.shape) + 1j * rng.normal(size=values.shape)
    before = values.copy()
    lines = values[1:4, :length]
    there, back = plans.plan(lines)
    np.testing.assert_array_equal(values, before)
    there.execute()
    tolerance = 1e-5 if dtype == np.complex64 else 1e-13
    np.testing.assert_allclose(lines, np.fft.fft(before[1:4, :length]), rtol=0, atol=20 * tolerance)
    back.execute()
    np.testing.assert_allclose(lines, length * before[1:4, :length], rtol=0, atol=100 * tolerance)
    values[1:4, :length] = before[1:4, :length]
    np.testing.assert_array_equal(values, before)


def test_flows_that_share_threads_take_turns(monkeypatch):
    """Each of four flows wants two threads, of which there are two."""
    monkeypatch.setattr("spectune.systems.fused.stepper.SHARED", 1)
    system, state = flow()
    expected = fused_steps(system, 0.01).advance(state, 100)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    flows = [fused_steps(system, 0.01) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda one: one.advance(state, 100), flows, timeout=60))
    torch.set_num_threads(before)
    for end in ends:
        assert torch.equal(end, expected)


def test_an_interrupt_leaves_no_thread_behind(monkeypatch):
    monkeypatch.setattr("spectune.systems.fused.stepper.SHARED", 1)
    system, state = flow()
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    steps = fused_steps(system, 0.01)
    expected = steps.advance(state, STEPS)
    (lane,) = steps._lanes
    take = lane._take

    def interrupted(part, count):
        if part == 0:
            raise KeyboardInterrupt
        take(part, count)

    monkeypatch.setattr(lane, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        steps.advance(state, STEPS)
    monkeypatch.undo()
    assert torch.equal(steps.advance(state, STEPS), expected)
    torch.set_num_threads(before)


def test_a_forked_process_has_threads_of_its_own():
    system, state = flow(members=(2,))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    steps = fused_steps(system, 0.01)
    expected = steps.advance(state, STEPS)
    child = os.fork()
    if not child:
        os._exit(0 if torch.equal(steps.advance(state, STEPS), expected) else 1)
    torch.set_num_threads(before)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
    assert ended == (child, 0)


def test_plans_are_measured_once_a_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(plans.platformdirs, "user_cache_dir", lambda _: str(tmp_path))
    system, state = flow()
    first = fused_steps(system, 0.01).advance(state, STEPS)
    (wisdom, *others) = sorted((tmp_path / "fftw").iterdir())
    kept = wisdom.read_bytes()
    assert torch.equal(fused_steps(system, 0.01).advance(state, STEPS), first)
    assert sorted((tmp_path / "fftw").iterdir()) == [wisdom, *others]
    assert wisdom.read_bytes() == kept


def test_damaged_plans_are_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(plans.platformdirs, "user_cache_dir", lambda _: str(tmp_path))
    system, state = flow()
    fused_steps(system, 0.01).advance(state, STEPS)
    for wisdom in (tmp_path / "fftw").iterdir():
        wisdom.write_bytes(b"torn")
    fused_steps(system, 0.01).advance(state, STEPS)
    assert all(wisdom.read_bytes() != b"torn" for wisdom in (tmp_path / "fftw").iterdir())


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(plans.platformdirs, "user_cache_dir", lambda _: str(tmp_path / "file"))
    system, state = flow()
    fused = fused_steps(system, 0.01).advance(state, STEPS)
    assert difference(fused, plain(system, state, 0.01)) < 1e-13
    assert torch.equal(fused_steps(system, 0.01).advance(state, STEPS), fused)


@pytest.mark.parametrize("members", [(), (3,)])
@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
def test_the_courant_rate_is_that_of_the_system(members, dealiasing, monkeypatch):
    monkeypatch.setattr("spectune.systems.fused.stepper.SHARED", 1)
    system, state = flow(members=members, dealiasing=dealiasing)
    if members:
        state[1] *= 3.0
    before = state.clone()
    rate = fused_steps(system, 0.01).courant_rate(state)
    assert rate == pytest.approx(system.courant_rate(state), rel=1e-13)
    assert torch.equal(state, before)


@pytest.mark.parametrize("member", [0, 2])
def test_the_courant_rate_of_a_broken_member_is_not_hidden_by_others(member):
    system, state = flow(members=(3,))
    state[member, 1, 1] = torch.nan
    assert math.isnan(fused_steps(system, 0.01).courant_rate(state))


FIFTY_STEPS = """
import hashlib, torch
from spectune.grid import Grid
from spectune.systems import NavierStokes2D, Simulation, Snapshot, random_vorticity
grid = Grid.square(256)
system = NavierStokes2D(grid, reynolds=1000, forcing_wavenumber=4, drag=0.1)
state = system.project(random_vorticity(grid, generator=torch.manual_seed(0)))
end = next(Simulation(system, Snapshot(0, 0.0, state), 1e-3).snapshots(50))
print(hashlib.sha256(end.state.numpy().tobytes()).hexdigest())
"""


def test_the_process_that_compiles_steps_to_the_bytes_of_those_that_load(tmp_path):
    run = partial(
        subprocess.check_output,
        [sys.executable, "-c", FIFTY_STEPS],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        text=True,
    )
    compiled = run()
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nbc")}
    assert kept
    assert run() == run() == compiled
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nbc")} == kept
