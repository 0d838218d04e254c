"""Fields with gaps: the truth is found where it can be, and refused where it cannot."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from random_fields import power_law
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import masked_spectrum, shell_spectrum

GRID = Grid.square(128)
Y, X = torch.meshgrid(*GRID.coordinates(), indexing="ij")
ISLANDS = ((X - 2) ** 2 + (Y - 3) ** 2 < 1.4**2) | ((X - 5) ** 2 + 0.5 * (Y - 1) ** 2 < 0.8)


@given(
    sides=st.lists(st.tuples(st.integers(2, 9), st.floats(0.3, 9)), min_size=1, max_size=3),
    seed=st.integers(0, 2**16),
)
def test_without_gaps_it_is_the_shell_spectrum(sides, seed):
    shape, lengths = zip(*sides, strict=True)
    grid = Grid(shape, lengths, ("z", "y", "x")[-len(shape) :])
    generator = torch.Generator().manual_seed(seed)
    field = torch.randn(2, *shape, generator=generator, dtype=torch.float64) + 3
    expected = shell_spectrum(field, grid).power
    torch.testing.assert_close(masked_spectrum(field, grid).power, expected, atol=1e-12, rtol=1e-12)


def test_sharp_gaps_sum_to_the_mean_square_of_the_data():
    field = power_law(GRID, 3, -2.0) + 5
    field[:, ISLANDS] = torch.nan
    power = masked_spectrum(field, GRID, taper=0).power
    expected = field.square().flatten(1).nanmean(1)
    torch.testing.assert_close(power.sum(-1), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("slope", "worst"), [(-5 / 3, 0.03), (-3, 0.12)])
def test_islands_do_not_change_the_spectrum(slope, worst):
    """24 % of the grid is missing; filled with zero, it is wrong 18-fold at k^−3."""
    field = power_law(GRID, 40, slope)
    truth = shell_spectrum(field, GRID).power.mean(0)
    field[:, ISLANDS] = torch.nan
    assert field.isnan().double().mean().item() == pytest.approx(0.24, abs=0.01)
    ratio = masked_spectrum(field, GRID).power.mean(0) / truth
    for first in (2, 4, 8, 16, 32):
        octave = ratio[first : 2 * first]
        assert octave.mean().item() == pytest.approx(1, abs=worst)
    if slope == -3:
        filled = shell_spectrum(field.nan_to_num(0.0), GRID).power.mean(0) / truth
        assert filled[60] > 10


def test_every_field_has_its_own_gaps():
    field = power_law(GRID, 2, -2.0)
    field[0, ISLANDS] = torch.nan
    both = masked_spectrum(field, GRID).power
    torch.testing.assert_close(both[0], masked_spectrum(field[0], GRID).power)
    torch.testing.assert_close(both[1], shell_spectrum(field[1], GRID).power, atol=1e-12, rtol=1e-9)


def test_refusals():
    field = power_law(GRID, 2, -2.0)
    walls = Grid(GRID.shape, GRID.lengths, GRID.dims, periodic=False)
    field[1, :, 40:] = torch.nan  # no pair of points half a box apart
    with pytest.raises(DataError, match="not periodic"):
        masked_spectrum(field, walls)
    with pytest.raises(DataError, match=r"row 1 has data in 31\.2%"):
        masked_spectrum(field, GRID)
    with pytest.raises(DataError, match=r"row 0 has data in 0\.0%"):
        masked_spectrum(torch.full((128, 128), torch.nan), GRID)
    field[0, 0, 0] = torch.inf
    with pytest.raises(DataError, match="1 infinite"):
        masked_spectrum(field, GRID)
    with pytest.raises(DataError, match="masked_spectrum"):
        shell_spectrum(field, GRID)
    with pytest.raises(DataError, match="taper"):
        masked_spectrum(field, GRID, taper=-1)
