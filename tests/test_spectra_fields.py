"""Scores of predictions: known values, and what must be refused."""

import math

import pytest
import torch

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import (
    correlation,
    energy_spectrum,
    error_spectrum,
    mean_spectrum,
    relative_mse,
    shell_spectrum,
    spectrum_error,
)

GRID = Grid.square(32)


def fields(seed=0, channels=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, channels, 32, 32, generator=generator, dtype=dtype)


def test_mean_spectrum_averages_samples_and_keeps_channels():
    x = fields()
    mean = mean_spectrum(x, GRID)
    assert mean.power.shape[0] == 2
    torch.testing.assert_close(mean.power, shell_spectrum(x, GRID).power.mean(0))


def test_error_spectrum_sums_to_the_mean_squared_error():
    p, y = fields(1), fields(2)
    torch.testing.assert_close(
        error_spectrum(p, y, GRID).power.sum(-1), (p - y).square().mean((0, 2, 3))
    )


def test_spectrum_error_of_scaled_and_shifted_fields():
    y = fields()
    assert spectrum_error(1.1 * y, y, GRID).value == pytest.approx(0.21)
    assert spectrum_error(0 * y, y, GRID).value == pytest.approx(1)
    shifted = spectrum_error(y.roll(3, dims=-1) + 7, y, GRID)  # phases and the mean do not count
    assert shifted.value == pytest.approx(0, abs=1e-10)
    assert set(shifted.by_band) == {"large", "intermediate", "small"}


def test_spectrum_error_names_the_band():
    y = fields()
    coefficients = GRID.transform(y)
    k = GRID.squared_wavenumber().sqrt()
    wrong = GRID.inverse(torch.where(k > 6.5, 2 * coefficients, coefficients))
    error = spectrum_error(wrong, y, GRID)
    assert error.by_band["large"] == pytest.approx(0, abs=1e-10)
    assert error.by_band["intermediate"] == pytest.approx(0, abs=1e-10)
    assert error.by_band["small"] == pytest.approx(3)
    assert error.value == pytest.approx(3 * 10 / 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shells_of_round_off_do_not_count(dtype):
    _, x = torch.meshgrid(*GRID.coordinates(), indexing="ij")
    y = (torch.cos(2 * x) + torch.sin(5 * x)).to(dtype).expand(3, 1, 32, 32)
    error = spectrum_error(y + 1e-3 * fields(channels=1, dtype=dtype)[:3], y, GRID)
    assert error.per_shell.isfinite().sum() == 2
    assert error.value < 0.1


def test_correlation_and_relative_error():
    y = fields()
    assert correlation(0.3 * y + 4, y) == pytest.approx(1)
    assert correlation(-y, y) == pytest.approx(-1)
    assert correlation(torch.ones_like(y), y) == 0
    assert relative_mse(0.9 * y, y) == pytest.approx(0.01)
    assert relative_mse(0 * y, y) == pytest.approx(1)
    scaled = y * torch.tensor([1.0, 1000.0])[:, None, None]
    p = fields(3) * torch.tensor([1.0, 1000.0])[:, None, None]
    assert relative_mse(p, scaled) == pytest.approx(relative_mse(fields(3), y))
    assert correlation(p, scaled) == pytest.approx(correlation(fields(3), y))


def test_correlation_of_shifted_waves():
    grid = Grid((64,), (2 * math.pi,), ("x",))
    x = grid.coordinates()[0].expand(2, 1, 64)
    assert correlation(torch.cos(x + 0.7), torch.cos(x)) == pytest.approx(math.cos(0.7))


def test_refusals():
    y = fields()
    for score in (correlation, relative_mse):
        with pytest.raises(DataError, match="found shape"):
            score(y[:, :1], y)
        with pytest.raises(DataError, match="truth"):
            score(y, torch.zeros_like(y))
        bad = y.clone()
        bad[0, 0, 0, 0] = torch.nan
        with pytest.raises(DataError, match="NaN"):
            score(bad, y)
    with pytest.raises(DataError, match="constant"):
        spectrum_error(y, torch.ones_like(y), GRID)
    with pytest.raises(DataError, match="at least one sample"):
        mean_spectrum(y[:0], GRID)


def test_energy_spectrum_sums_to_the_kinetic_energy():
    """Each wave of amplitude 1 has the energy ½⟨ω²⟩/k² = 1/(4k²)."""
    grid = Grid.square(16)
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    spectrum = energy_spectrum((torch.cos(3 * x) + torch.cos(4 * y))[None], grid)
    expected = torch.zeros_like(spectrum.power)
    expected[3], expected[4] = 1 / (4 * 9), 1 / (4 * 16)
    torch.testing.assert_close(spectrum.power, expected)


def test_energy_needs_a_periodic_box():
    walls = Grid((8, 8), (1.0, 1.0), ("y", "x"), periodic=False)
    with pytest.raises(DataError, match="not periodic"):
        energy_spectrum(torch.zeros(2, 8, 8), walls)
