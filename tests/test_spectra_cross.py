"""Coherence and phase: known mixtures, displacements, independent fields, Parseval."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from random_fields import power_law
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import cross_spectrum, shell_spectrum

GRID = Grid((24, 32), (3.0, 4.0), ("y", "x"))


@given(
    shape=st.lists(st.integers(2, 8), min_size=1, max_size=3),
    periodic=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_sums_are_mean_products(shape, periodic, seed):
    grid = Grid(tuple(shape), (2.0,) * len(shape), ("z", "y", "x")[-len(shape) :], periodic)
    generator = torch.Generator().manual_seed(seed)
    p, y = torch.randn(2, 3, 2, *shape, generator=generator, dtype=torch.float64)
    for dim in (None, *grid.dims):
        found = cross_spectrum(p, y, grid, dim)
        for value, expected in (
            (found.prediction, p * p),
            (found.truth, y * y),
            (found.cross.real, p * y),
        ):
            mean = expected.flatten(2).mean((0, 2))
            torch.testing.assert_close(value.sum(-1), mean, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dim", [None, "x", "y"])
@pytest.mark.parametrize("periodic", [True, False])
def test_coherence_of_a_known_mixture(dim, periodic):
    """p = a y + b noise has γ² = a²/(a² + b²) in every bin, and the gain a."""
    grid = Grid(GRID.shape, GRID.lengths, GRID.dims, periodic)
    generator = torch.Generator().manual_seed(2)
    y, noise = torch.randn(2, 40, *grid.shape, generator=generator, dtype=torch.float64)
    found = cross_spectrum(0.6 * y + 0.8 * noise, y, grid, dim)
    inner = slice(2, 12)
    assert found.coherence[inner].mean().item() == pytest.approx(0.36, abs=0.02)
    assert found.gain[inner].mean().item() == pytest.approx(0.6, abs=0.02)
    same = cross_spectrum(-3 * y, y, grid, dim)
    torch.testing.assert_close(same.coherence, torch.ones_like(same.coherence))
    torch.testing.assert_close(same.phase.abs(), torch.full_like(same.phase, math.pi))


@pytest.mark.parametrize("dim", [None, "x"])
@pytest.mark.parametrize("slope", [0.0, -3.0])
def test_few_samples_of_independent_fields_are_not_coherent(dim, slope):
    """The raw coherence is about 1/products, with steep spectra also along a dimension."""
    n, trials = 3, 300
    p = power_law(GRID, n * trials, slope, seed=1).reshape(n, trials, *GRID.shape)
    y = power_law(GRID, n * trials, slope, seed=2).reshape(n, trials, *GRID.shape)
    found = cross_spectrum(p, y, GRID, dim)
    raw = (found.cross.abs().square() / (found.prediction * found.truth)).mean(0)
    inner = slice(1, 10)
    torch.testing.assert_close(raw[inner], found.bias.mean(0)[inner], rtol=0.35, atol=0.002)
    spread = found.coherence.std(0) / math.sqrt(trials)
    assert (found.coherence.mean(0)[inner].abs() < 4 * spread[inner] + 0.02).all()


def test_a_displacement_is_phase_along_its_dimension():
    y = power_law(GRID, 20, -2.0)
    d = 2 * 4.0 / 32
    found = cross_spectrum(y.roll(-2, dims=-1), y, GRID, "x")  # p(x) = y(x + d)
    inner = slice(1, 7)
    torch.testing.assert_close(found.phase[inner], found.wavenumber[inner] * d)
    torch.testing.assert_close(found.coherence[inner], torch.ones(6, dtype=torch.float64))
    across = cross_spectrum(y.roll(-2, dims=-1), y, GRID, "y")
    assert across.phase[1:6].abs().max() < 0.3
    shells = cross_spectrum(y.roll(-2, dims=-1), y, GRID)
    assert not shells.cross.is_complex()
    assert shells.coherence[8] < 0.5
    assert (shells.coherence[1] > shells.coherence[4]).item()


def test_spectra_are_those_of_the_fields():
    p, y = power_law(GRID, 5, -2.0, 1), power_law(GRID, 5, -1.0, 2)
    found = cross_spectrum(p, y, GRID)
    torch.testing.assert_close(found.prediction, shell_spectrum(p, GRID).power.mean(0))
    torch.testing.assert_close(found.truth, shell_spectrum(y, GRID).power.mean(0))


def test_one_product_says_nothing():
    grid = Grid((8,), (1.0,), ("x",))
    p, y = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert cross_spectrum(p, y, grid, "x").coherence[1:4].isnan().all()


def test_refusals():
    y = power_law(GRID, 4, -2.0)
    with pytest.raises(DataError, match="expected the same"):
        cross_spectrum(y[:2], y, GRID)
    with pytest.raises(DataError, match="at least one sample"):
        cross_spectrum(y[:0], y[:0], GRID)
    bad = y.clone()
    bad[0, 0, 0] = torch.nan
    with pytest.raises(DataError, match="prediction: found 1 NaN"):
        cross_spectrum(bad, y, GRID)
