"""Noise that is a function of where it is: its law, its path and what a step makes of it."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from spectune.grid import Grid
from spectune.systems import NavierStokes2D, Simulation, Snapshot, random_vorticity
from spectune.systems.wiener import standard_increment


def test_the_noise_is_white_isotropic_and_normal():
    draws = np.stack([standard_increment(64, seed=1, member=0, step=n) for n in range(4000)])
    count = draws.size
    assert abs(draws.mean()) < 4 / count**0.5
    assert (abs(draws) ** 2).mean() == pytest.approx(1.0, abs=4 / count**0.5)
    assert abs((draws**2).mean()) < 4 * 2**0.5 / count**0.5  # no preferred phase
    assert (abs(draws) ** 4).mean() == pytest.approx(2.0, abs=4 * 20**0.5 / count**0.5)
    for other in (draws[1:], np.roll(draws, 1, axis=1)[:-1]):  # time, neighbouring modes
        assert abs((draws[:-1].conj() * other).mean()) < 4 / count**0.5


def test_seeds_members_and_steps_have_noise_of_their_own():
    base = {"seed": 1, "member": 2, "step": 3}
    values = standard_increment(8, **base)
    assert np.array_equal(values, standard_increment(8, **base))
    assert np.array_equal(values[:5], standard_increment(5, **base))
    for name in base:
        other = standard_increment(8, **base | {name: 4})
        assert not np.isclose(values, other).any()


@pytest.mark.parametrize("n", [1, 2, 3, 6, 8, 20])
def test_halved_steps_walk_the_same_path(n):
    """Z of a step is (Z of its first half + Z of its second half)/√2, and those are normal."""

    def draw(step, substeps):
        return standard_increment(4000, seed=5, member=0, step=step, substeps=substeps)

    for step in (0, n - 1, 7 * n):
        halves = [draw(2 * step + i, 2 * n) for i in (0, 1)]
        np.testing.assert_allclose(sum(halves) / 2**0.5, draw(step, n), atol=1e-14)
        assert abs((halves[0].conj() * halves[1]).mean()) < 4 / 4000**0.5
        assert [(abs(h) ** 2).mean() for h in halves] == pytest.approx([1, 1], abs=4 / 4000**0.5)


def test_a_step_converges_strongly_with_order_one():
    """On one path, against a step 16 times finer."""
    system = NavierStokes2D(
        Grid.square(24), reynolds=100.0, drag=0.1, injection_rate=3.0, ring_wavenumber=4.0
    )
    start = system.project(random_vorticity(system.grid, peak=4, generator=torch.manual_seed(0)))

    def end(substeps):
        run = Simulation(system, Snapshot(0, 0.0, start), 0.1 / substeps, substeps=substeps)
        return next(run.snapshots(4 * substeps)).state

    reference = end(128)
    errors = [float((end(n) - reference).abs().square().sum().sqrt()) for n in (2, 4, 8)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders == pytest.approx([1.0, 1.0], abs=0.25)
