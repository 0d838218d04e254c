"""Spectra along a dimension and mode by mode: Parseval, the right bin, agreement with shells."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import directional_spectrum, modal_spectrum, shell_spectrum

boxes = st.lists(st.tuples(st.integers(2, 11), st.floats(0.3, 30.0)), min_size=1, max_size=3)


def noise(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(sides=boxes, periodic=st.booleans(), seed=st.integers(0, 2**16), offset=st.floats(-3, 3))
def test_parseval(sides, periodic, seed, offset):
    shape, lengths = zip(*sides, strict=True)
    grid = Grid(shape, lengths, ("z", "y", "x")[-len(shape) :], periodic)
    field = noise((2, *shape), seed) + offset
    mean_square = field.square().flatten(1).mean(-1)
    for dim in grid.dims:
        power = directional_spectrum(field, grid, dim).power
        torch.testing.assert_close(power.sum(-1), mean_square, rtol=1e-12, atol=0)
    modes = modal_spectrum(field, grid)
    assert modes.power.shape == field.shape
    assert [len(k) for k in modes.wavenumbers] == list(shape)
    torch.testing.assert_close(modes.power.flatten(1).sum(-1), mean_square, rtol=1e-12, atol=0)


@pytest.mark.parametrize("periodic", [True, False])
def test_zonal_spectrum_is_the_mean_of_rows(periodic):
    grid = Grid((7, 10), (3.0, 5.0), ("y", "x"), periodic)
    field = noise((7, 10))
    for dim, rows in (("x", field), ("y", field.T)):
        line = Grid((rows.shape[1],), (5.0 if dim == "x" else 3.0,), (dim,), periodic)
        expected = shell_spectrum(rows.contiguous(), line)
        found = directional_spectrum(field, grid, dim)
        torch.testing.assert_close(found.power, expected.power.mean(0))
        torch.testing.assert_close(found.wavenumber, expected.wavenumber)
        assert found.shell_width == expected.shell_width


def test_a_plane_wave_has_its_mode_and_the_conjugate():
    grid = Grid((12, 16), (3.0, 8.0), ("y", "x"))
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    k, m = 2 * math.pi * 3 / 8, -2 * math.pi * 2 / 3
    modes = modal_spectrum(2 * torch.cos(m * y + k * x + 0.4), grid)
    at = (modes.power > 1e-20).nonzero()
    found = [[modes.wavenumbers[0][j].item(), modes.wavenumbers[1][i].item()] for j, i in at]
    assert found == [pytest.approx([m, k]), pytest.approx([-m, -k])]
    assert modes.power[tuple(at.T)].tolist() == pytest.approx([1, 1])
    zonal = directional_spectrum(2 * torch.cos(m * y + k * x), grid, "x")
    assert zonal.power[3].item() == pytest.approx(2)
    assert zonal.wavenumber[3].item() == pytest.approx(k)


def test_modes_binned_in_shells_are_the_shell_spectrum():
    for periodic in (True, False):
        grid = Grid((8, 9, 6), (2.0, 2.0, 2.0), ("z", "y", "x"), periodic)
        field = noise(grid.shape)
        modes = modal_spectrum(field, grid)
        spectrum = shell_spectrum(field, grid)
        squared = sum(
            k.square().reshape([-1 if i == axis else 1 for i in range(3)])
            for axis, k in enumerate(modes.wavenumbers)
        )
        shell = (squared.sqrt() / spectrum.shell_width + 0.5 + 1e-9).floor().long().flatten()
        binned = torch.zeros_like(spectrum.power).index_add(0, shell, modes.power.flatten())
        torch.testing.assert_close(binned, spectrum.power)


def test_refusals():
    field = noise((6, 6))
    with pytest.raises(DataError, match=r"found 'lat', expected one of y, x"):
        directional_spectrum(field, Grid.square(6), "lat")
    field[0, 0] = torch.nan
    for spectrum in (lambda f, g: directional_spectrum(f, g, "x"), modal_spectrum):
        with pytest.raises(DataError, match="found 1 NaN"):
            spectrum(field, Grid.square(6))
