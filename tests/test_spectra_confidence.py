"""Confidence bands: coverage at the nominal level, also of correlated series."""

import math

import pytest
import torch

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import confidence_band, mean_spectrum

LINE = Grid((16,), (2 * math.pi,), ("x",))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def coverage(samples, block, level, correlation=0.0, trials=300):
    """Return how often the band of each inner shell holds the true spectrum of white noise.

    `correlation` is that of the amplitudes of neighbouring samples (an autoregressive series).
    """
    noise = torch.randn(samples, trials, 16, generator=generator(3), dtype=torch.float64)
    fields = noise.clone()
    for i in range(1, samples):
        fields[i] = correlation * fields[i - 1] + math.sqrt(1 - correlation**2) * noise[i]
    band = confidence_band(fields, LINE, generator(), level, draws=500, block=block)
    inside = (band.lower <= 2 / 16) & (band.upper >= 2 / 16)
    return inside[:, 1:8].double().mean().item()


@pytest.mark.parametrize(
    ("samples", "level"), [(6, 0.9), (12, 0.9), (30, 0.9), (30, 0.95), (100, 0.68)]
)
def test_the_band_covers_at_its_level(samples, level):
    """Of 2100 bands; every shell holds two modes, so E is as skewed as an exponential variable."""
    assert coverage(samples, 1, level) == pytest.approx(level, abs=0.03)


def test_blocks_repair_the_band_of_a_correlated_series():
    assert coverage(600, 1, 0.9, correlation=0.9) < 0.65
    assert coverage(600, 40, 0.9, correlation=0.9) == pytest.approx(0.9, abs=0.05)


def test_the_band_holds_the_mean_and_shrinks_with_the_samples():
    fields = torch.randn(400, 2, 16, generator=generator(1), dtype=torch.float64)
    band = confidence_band(fields, LINE, generator())
    torch.testing.assert_close(band.spectrum.power, mean_spectrum(fields, LINE).power)
    assert (band.lower < band.spectrum.power).all()
    assert (band.spectrum.power < band.upper).all()
    blocks = confidence_band(fields[:103], LINE, generator(), block=10).spectrum.power
    torch.testing.assert_close(blocks, mean_spectrum(fields[:100], LINE).power)
    few = confidence_band(fields[:100], LINE, generator())
    width = ((few.upper / few.lower).log() / (band.upper / band.lower).log()).mean()
    assert width.item() == pytest.approx(2, rel=0.15)


def test_the_same_seed_gives_the_same_band_in_any_unit():
    fields = torch.randn(20, 1, 16, generator=generator(1))
    first, second = (confidence_band(scale * fields, LINE, generator(5)) for scale in (1.0, 1e-4))
    torch.testing.assert_close(1e-8 * first.lower, second.lower, rtol=1e-5, atol=0)


def test_samples_that_agree_have_a_band_without_width():
    band = confidence_band(torch.cos(LINE.coordinates()[0]).expand(8, 16), LINE, generator())
    torch.testing.assert_close(band.lower, band.spectrum.power)
    torch.testing.assert_close(band.upper, band.spectrum.power)


def test_refusals():
    fields = torch.randn(10, 16, generator=generator())
    with pytest.raises(DataError, match="at least 4 blocks"):
        confidence_band(fields, LINE, generator(), block=3)
    with pytest.raises(DataError, match="block: found 0"):
        confidence_band(fields, LINE, generator(), block=0)
    with pytest.raises(DataError, match="found level 95"):
        confidence_band(fields, LINE, generator(), level=95)
