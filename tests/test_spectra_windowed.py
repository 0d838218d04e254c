"""Spectra under a Hann window: energy, trend, leakage, slopes of fields cut from larger ones."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from random_fields import power_law
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import shell_spectrum, windowed_spectrum
from spectune.spectra.windowed import hann_window, remove_trend

boxes = st.lists(st.tuples(st.integers(3, 12), st.floats(0.3, 30.0)), min_size=1, max_size=3)


@given(sides=boxes, seed=st.integers(0, 2**16))
def test_the_sum_is_the_weighted_variance_and_a_trend_is_in_no_shell(sides, seed):
    shape, lengths = zip(*sides, strict=True)
    grid = Grid(shape, lengths, ("z", "y", "x")[-len(shape) :], periodic=False)
    generator = torch.Generator().manual_seed(seed)
    field = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    w2 = hann_window(shape).square()
    detrended = remove_trend(field, grid.ndim)
    expected = (w2 * detrended.square()).flatten(1).sum(1) / w2.sum()
    power = windowed_spectrum(field, grid).power
    torch.testing.assert_close(power.sum(-1), expected, rtol=1e-12, atol=0)
    points = torch.meshgrid(*grid.coordinates(), indexing="ij")
    plane = 4 + sum((i - 1.5) * r for i, r in enumerate(points))
    with_trend = windowed_spectrum(field + plane, grid).power
    torch.testing.assert_close(with_trend, power, rtol=1e-8, atol=1e-8)
    for r in points:
        assert (detrended * r).flatten(1).mean(1).abs().max() < 1e-11 * max(lengths)


def test_the_window_is_symmetric_about_the_middle_of_the_box():
    window = hann_window((6, 9))
    torch.testing.assert_close(window, window.flip(0, 1))
    assert window.max() == window[2:4, 4].max() == pytest.approx(math.cos(math.pi / 12) ** 2)
    assert window.square().mean().item() == pytest.approx((3 / 8) ** 2)


def test_leakage_of_a_wave_into_its_neighbours():
    grid = Grid((64,), (2 * math.pi,), ("x",), periodic=False)
    x = grid.coordinates()[0] + 2 * math.pi / 128
    wave = 2 * torch.cos(9 * x + 0.3)
    power = windowed_spectrum(wave, grid).power
    # A trend is removed from the wave too: a few per cent of its variance.
    assert power.sum().item() == pytest.approx(2, rel=0.05)
    assert power[8:11].tolist() == pytest.approx([2 / 6, 2 * 2 / 3, 2 / 6], rel=0.05)


def test_white_noise_keeps_its_variance():
    grid = Grid((48, 48), (1.0, 1.0), ("y", "x"), periodic=False)
    field = torch.randn(60, 48, 48, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    power = windowed_spectrum(field, grid).power.mean(0)
    assert power.sum().item() == pytest.approx(1, rel=0.01)
    flat = shell_spectrum(field, Grid.square(48, 1.0)).power.mean(0)
    assert (power[4:20] / flat[4:20]).mean().item() == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(("slope", "worst"), [(-5 / 3, 0.05), (-3, 0.08), (-5, 0.12)])
def test_steep_spectra_of_a_quarter_of_a_box(slope, worst):
    """A box cut from a twice as large periodic one keeps the level and slope of its spectrum."""
    whole = Grid.square(256, 4 * math.pi)
    quarter = Grid((128, 128), (2 * math.pi,) * 2, ("y", "x"), periodic=False)
    fields = power_law(whole, 12, slope)
    part = fields[:, :128, :128].contiguous()
    truth = _unit_shells(shell_spectrum(fields, whole))
    ratio = windowed_spectrum(part, quarter).power.mean(0)[8:48] / truth[8:48]
    assert ratio.log().mean().abs() < worst
    assert (ratio[20:].log().mean() - ratio[:20].log().mean()).abs() < worst
    cosine = _unit_shells(shell_spectrum(part, quarter))[8:48] / truth[8:48]
    # The kinks of the even extension at the walls: 14-fold at k^−5, nothing at k^−3.
    assert (cosine.log().mean() > 1) == (slope == -5)


def _unit_shells(spectrum):
    shell = (spectrum.wavenumber + 0.5 - 1e-9).floor().long()
    return torch.zeros(200, dtype=torch.float64).index_add(0, shell, spectrum.power.mean(0))


def test_refusals():
    grid = Grid((6,), (1.0,), ("x",), periodic=False)
    with pytest.raises(DataError, match="found 1 NaN"):
        windowed_spectrum(torch.tensor([1.0, 2, 3, torch.nan, 5, 6]), grid)
    with pytest.raises(DataError, match=r"\(5,\)"):
        windowed_spectrum(torch.zeros(5), grid)
