"""The shell spectrum: Parseval, the right shell, other boxes, clear refusals."""

import math

import pytest
import scipy.fft
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import (
    band_average,
    bands,
    cosine_transform,
    fundamental_wavenumber,
    nyquist_wavenumber,
    shell_spectrum,
    shell_wavenumbers,
)

boxes = st.lists(st.tuples(st.integers(2, 13), st.floats(0.3, 30.0)), min_size=1, max_size=3)


def box(sides, periodic=True):
    shape, lengths = zip(*sides, strict=True)
    return Grid(tuple(shape), tuple(lengths), ("z", "y", "x")[-len(shape) :], periodic)


def noise(shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(sides=boxes, periodic=st.booleans(), seed=st.integers(0, 2**16), offset=st.floats(-3, 3))
def test_parseval(sides, periodic, seed, offset):
    grid = box(sides, periodic)
    field = noise((2, 3, *grid.shape), seed) + offset
    spectrum = shell_spectrum(field, grid)
    mean_square = field.square().flatten(2).mean(-1)
    torch.testing.assert_close(spectrum.power.sum(-1), mean_square, rtol=1e-12, atol=0)
    squared_mean = field.flatten(2).mean(-1).square()
    torch.testing.assert_close(spectrum.power[..., 0], squared_mean, rtol=1e-12, atol=1e-14)
    assert spectrum.power.shape[-1] == len(spectrum.wavenumber)
    assert spectrum.shell_width == fundamental_wavenumber(grid)


def test_parseval_float32():
    grid = Grid.square(48)
    field = noise((4, *grid.shape), dtype=torch.float32)
    spectrum = shell_spectrum(field, grid)
    assert spectrum.power.dtype == torch.float32
    torch.testing.assert_close(
        spectrum.power.sum(-1), field.square().mean((-1, -2)), rtol=1e-5, atol=0
    )


@given(
    sides=st.lists(st.tuples(st.integers(4, 14), st.floats(0.5, 20)), min_size=2, max_size=3),
    data=st.data(),
)
def test_plane_wave_lands_in_its_shell(sides, data):
    grid = box(sides)
    mode = tuple(data.draw(st.integers(-((n - 1) // 2), (n - 1) // 2)) for n in grid.shape)
    if not any(mode):
        return
    k = [2 * math.pi * m / length for m, length in zip(mode, grid.lengths, strict=True)]
    phase = sum(
        component * r
        for component, r in zip(k, torch.meshgrid(*grid.coordinates(), indexing="ij"), strict=True)
    )
    spectrum = shell_spectrum(3 * torch.cos(phase + 0.3), grid)
    steps = math.sqrt(sum(c * c for c in k)) / spectrum.shell_width
    expected = torch.zeros_like(spectrum.power)
    expected[max(1, math.floor(steps + 0.5 + 1e-9))] = 4.5
    torch.testing.assert_close(spectrum.power, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [8, 9])
def test_nyquist_and_corner_are_counted_once(n):
    grid = Grid.square(n)
    sign = (-1.0) ** torch.arange(n, dtype=torch.float64)
    if n % 2 == 0:
        power = shell_spectrum(sign[:, None] * sign[None, :], grid).power
        assert power[round(math.hypot(4, 4))].item() == pytest.approx(1, rel=1e-14)
        power = shell_spectrum(sign[None, :].expand(n, n), grid).power
        assert power[4].item() == pytest.approx(1, rel=1e-14)
    counts = shell_spectrum(torch.eye(n * n, dtype=torch.float64).view(-1, n, n), grid).power
    # A point has a flat spectrum: each shell holds as many modes of the full plane as fall in it.
    frequency = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency[None, :])
    modes = torch.bincount((radius + 0.5).floor().long().flatten()).to(torch.float64)
    torch.testing.assert_close(counts, (modes / n**4).expand_as(counts))


def test_slope_of_a_power_law_field():
    grid = Grid.square(128)
    k = grid.squared_wavenumber().sqrt()
    # |x̂|² per mode ∝ k^{−4}: shells hold about 2πk modes, so E ∝ k^{−3}.
    amplitude = torch.where(k > 0, k.clamp(min=1) ** -2, torch.zeros_like(k))
    angle = 2 * math.pi * torch.rand(k.shape, generator=torch.Generator().manual_seed(1))
    spectrum = shell_spectrum(grid.inverse(torch.polar(amplitude, angle.to(k))), grid)
    fit = slice(10, 60)
    x, y = spectrum.wavenumber[fit].log(), spectrum.power[fit].log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert slope.item() == pytest.approx(-3, abs=0.05)


@given(shape=st.lists(st.integers(2, 17), min_size=1, max_size=3), seed=st.integers(0, 2**16))
def test_cosine_transform_is_scipys(shape, seed):
    field = noise((2, *shape), seed)
    expected = scipy.fft.dctn(field.numpy(), type=2, norm="ortho", axes=range(1, field.ndim))
    torch.testing.assert_close(
        cosine_transform(field, len(shape)), torch.from_numpy(expected), rtol=1e-12, atol=1e-12
    )


def test_walls_have_half_wavenumbers():
    grid = Grid((20,), (5.0,), ("x",), periodic=False)
    centre = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
    spectrum = shell_spectrum(2 * torch.cos(3 * math.pi * centre), grid)
    assert spectrum.wavenumber[3].item() == pytest.approx(3 * math.pi / 5)
    expected = torch.zeros(20, dtype=torch.float64)
    expected[3] = 2
    torch.testing.assert_close(spectrum.power, expected, atol=1e-14, rtol=0)


def test_shells_do_not_depend_on_resolution():
    coarse, fine = Grid.square(16), Grid.square(32)
    torch.testing.assert_close(
        shell_wavenumbers(coarse), shell_wavenumbers(fine)[: len(shell_wavenumbers(coarse))]
    )


def test_a_long_box_keeps_its_long_waves_out_of_the_mean():
    grid = Grid((64, 8), (80.0, 10.0), ("y", "x"))
    y = grid.coordinates()[0][:, None].expand(64, 8)
    power = shell_spectrum(torch.cos(2 * math.pi * y / 80), grid).power
    assert power[0].item() == pytest.approx(0, abs=1e-14)
    assert power[1].item() == pytest.approx(0.5)


def test_gradients_pass_through():
    grid = Grid((6, 5), (1.0, 2.0), ("y", "x"))
    field = noise(grid.shape).requires_grad_()
    (gradient,) = torch.autograd.grad(shell_spectrum(field, grid).power.sum(), field)
    torch.testing.assert_close(gradient, 2 * field.detach() / 30)


@pytest.mark.parametrize("periodic", [True, False])
def test_refusals(periodic):
    grid = Grid((6, 8), (1.0, 1.0), ("y", "x"), periodic)
    field = noise((3, 6, 8))
    field[1, 2, 3] = torch.nan
    with pytest.raises(DataError, match="found 1 NaN"):
        shell_spectrum(field, grid)
    with pytest.raises(DataError, match=r"\(3, 8, 6\)"):
        shell_spectrum(noise((3, 8, 6)), grid)
    with pytest.raises(DataError, match="int64"):
        shell_spectrum(torch.ones(6, 8, dtype=torch.int64), grid)
    with pytest.raises(DataError, match="overflow"):
        shell_spectrum(torch.full((6, 8), 1e30), grid)


def test_no_samples_give_no_rows():
    assert shell_spectrum(torch.zeros(0, 2, 8, 8), Grid.square(8)).power.shape[:2] == (0, 2)


@given(sides=boxes, periodic=st.booleans())
def test_bands_cover_every_shell_to_nyquist_once(sides, periodic):
    grid = box(sides, periodic)
    k = shell_wavenumbers(grid)
    if nyquist_wavenumber(grid) < fundamental_wavenumber(grid):
        return  # coarser in one direction than the whole of another: no full shell at all
    covered = sum(
        ((k > b.low * (1 + 1e-9)) & (k <= b.high * (1 + 1e-9))).to(int) for b in bands(grid)
    )
    inside = (k > 0) & (k <= nyquist_wavenumber(grid) * (1 + 1e-9))
    assert torch.equal(covered, inside.to(int))


def test_band_average_skips_nan():
    grid = Grid.square(64)
    k = shell_wavenumbers(grid)
    values = k.clone()
    values[2] = torch.nan
    averages = [band_average(k, values, band).item() for band in bands(grid)]
    assert averages == pytest.approx([2.0, 7.0, 21.5])  # shells 1, 3; 4 to 10; 11 to 32
