"""Base against target: planted differences are found, others are not."""

import math

import pytest
import torch

from random_fields import power_law
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import Band, octaves, shell_wavenumbers, spectral_difference
from spectune.spectra.bands import in_band

GRID = Grid.square(32)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def with_more(fields, low, high, factor):
    """Multiply the variance of the modes with low < |k| ≤ high."""
    k = GRID.squared_wavenumber().sqrt()
    inside = (k > low + 0.5) & (k < high + 0.5)
    return GRID.inverse(GRID.transform(fields) * torch.where(inside, math.sqrt(factor), 1.0))


def test_a_planted_band_is_found_and_measured():
    base, target = power_law(GRID, 24, -3.0, 1), power_law(GRID, 30, -3.0, 2)
    found = spectral_difference(base, with_more(target, 4, 8, 1.5), GRID, generator())
    assert [band.name for band in found.bands] == ["1", "2", "3–4", "5–8", "9–16"]
    assert found.significant.tolist() == [False, False, False, True, False]
    assert found.log_ratio[3].item() == pytest.approx(math.log(1.5), abs=0.15)
    assert found.p_value[3] == 1 / 2001
    opposite = spectral_difference(with_more(target, 4, 8, 1.5), base, GRID, generator())
    torch.testing.assert_close(opposite.log_ratio, -found.log_ratio)


def test_alike_sets_differ_as_seldom_as_they_should():
    """p-values are uniform, and few families of 5 bands have a discovery at a rate of 5 %."""
    trials = 200
    base, target = (
        power_law(GRID, 10 * trials, -2.0, seed).reshape(10, trials, 32, 32) for seed in (1, 2)
    )
    p, families = [], 0
    for trial in range(trials):
        found = spectral_difference(
            base[:, trial], target[:, trial], GRID, generator(trial), draws=200
        )
        p.append(found.p_value)
        families += bool(found.significant.any())
    values = torch.cat(p)
    assert (values <= 0.05).double().mean().item() == pytest.approx(0.05, abs=0.025)
    assert (values <= 0.5).double().mean().item() == pytest.approx(0.5, abs=0.06)
    assert families / trials < 0.1


def test_blocks_keep_a_slow_series_from_looking_different():
    """Sets of 2 × 10 independent states, each repeated 10 times."""
    wrong = []
    for block in (1, 10):
        found = [
            spectral_difference(
                power_law(GRID, 10, -2.0, 2 * i).repeat_interleave(10, 0),
                power_law(GRID, 10, -2.0, 2 * i + 1).repeat_interleave(10, 0),
                GRID,
                generator(),
                draws=200,
                block=block,
            ).significant
            for i in range(20)
        ]
        wrong.append(torch.stack(found).any(1).double().mean().item())
    assert wrong[0] > 0.6
    assert wrong[1] < 0.2


def test_channels_and_bands_of_the_user():
    base, target = power_law(GRID, 20, -3.0, 1), power_law(GRID, 20, -3.0, 2)
    pair = [torch.stack((x, 1e4 * x), 1) for x in (base, with_more(target, 8, 16, 4.0))]
    bands = [Band("low", 0, 8), Band("none", 1000, 2000), Band("high", 8, 16)]
    found = spectral_difference(*pair, GRID, generator(), bands)
    assert [band.name for band in found.bands] == ["low", "high"]
    assert found.significant.tolist() == [[False, True], [False, True]]
    torch.testing.assert_close(found.log_ratio[0], found.log_ratio[1])


def test_bands_where_a_set_is_zero_are_not_significant():
    base = power_law(GRID, 8, -3.0, 1)
    found = spectral_difference(base, with_more(base, 8, 16, 0.0) * 0, GRID, generator())
    assert not found.significant.any()
    assert (found.p_value == 1).all()


def test_octaves_cover_every_shell_once():
    for grid in (GRID, Grid((20, 9), (3.0, 7.0), ("y", "x"), periodic=False), Grid.square(6)):
        k = shell_wavenumbers(grid)
        covered = sum(in_band(k, band).to(int) for band in octaves(grid))
        inside = (k > 0) & (k <= octaves(grid)[-1].high * (1 + 1e-9))
        assert torch.equal(covered, inside.to(int))


def test_refusals():
    x = power_law(GRID, 8, -3.0)
    with pytest.raises(DataError, match="target: found channels"):
        spectral_difference(x[:, None], x, GRID, generator())
    with pytest.raises(DataError, match=r"base: found .* samples in blocks of .*at least 4 blocks"):
        spectral_difference(x[:3], x, GRID, generator())
    with pytest.raises(DataError, match="no shell"):
        spectral_difference(x, x, GRID, generator(), [Band("beyond", 100, 200)])
    with pytest.raises(DataError, match="false_discovery_rate 5"):
        spectral_difference(x, x, GRID, generator(), false_discovery_rate=5)
