"""Kernels in Fourier space: the layer identity, planted filters, changes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from planted_filters import planted
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import (
    KERNEL_CLASSES,
    classify,
    complex_response,
    kernel_change,
    kernel_response,
)

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def grid_of(shape):
    lengths = tuple(1.0 + i for i in range(len(shape)))
    return Grid(tuple(shape), lengths, ("z", "y", "x")[-len(shape) :])


@pytest.mark.parametrize("shape", [(16,), (15,), (12, 10), (9, 16), (6, 7, 8)])
@pytest.mark.parametrize(("size", "dilation"), [(3, 1), (5, 1), (4, 1), (3, 2)])
def test_layer_identity(shape, size, dilation):
    """ĥ = Σ Ŵ ĝ + b̂, mode by mode, for a real circular convolution."""
    torch.manual_seed(0)
    grid = grid_of(shape)
    layer = CONVOLUTIONS[len(shape) - 1](
        3, 4, size, padding="same", padding_mode="circular", dilation=dilation
    ).double()
    g = torch.randn(2, 3, *shape, dtype=torch.float64)
    response = complex_response(layer.weight, grid, dilation)
    h = torch.einsum("oi...,ni...->no...", response, grid.transform(g).to(response.dtype))
    h[(slice(None), slice(None), *(0,) * grid.ndim)] += layer.bias
    torch.testing.assert_close(h, grid.transform(layer(g)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [(17,), (12, 10), (6, 7, 8)])
def test_gain_is_that_of_the_padded_kernel(shape):
    grid = grid_of(shape)
    weight = torch.randn(2, 3, *(3,) * grid.ndim, dtype=torch.float64)
    padded = torch.zeros(2, 3, *shape, dtype=torch.float64)
    padded[(..., *(slice(0, 3),) * grid.ndim)] = weight
    expected = torch.fft.rfftn(padded, dim=tuple(range(-grid.ndim, 0))).abs()
    torch.testing.assert_close(kernel_response(weight, grid), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", KERNEL_CLASSES)
@pytest.mark.parametrize("n", [5, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_planted_filters(kind, n, dtype):
    generator = torch.Generator().manual_seed(n)
    filters, angles = zip(*(planted(kind, n, generator) for _ in range(200)), strict=True)
    grid = Grid.square(32)
    weight = torch.stack(filters).reshape(20, 10, n, n).to(dtype)
    classes = classify(kernel_response(weight, grid), grid)
    assert classes.code.shape == (20, 10)
    assert classes.counts()[kind] >= 0.99 * 200
    if kind == "Gabor":
        e = classes.orientation.reshape(-1, 2)
        difference = torch.atan2(e[:, 0], e[:, 1]) - torch.tensor(angles)
        difference = (difference + math.pi / 2) % math.pi - math.pi / 2
        assert difference.abs().max() < 0.06  # radians
    else:
        assert classes.anisotropy.max() < 0.1


def test_measures_of_a_known_gain():
    """A ring at |k| = 5: centre 5, no bandwidth, no direction; one mode: its own direction."""
    grid = Grid.square(32)
    ring = ((grid.squared_wavenumber() - 25).abs() < 0.1).double()
    wave = torch.zeros_like(ring)
    wave[-6, 3] = 1.0  # ky = −6, kx = 3
    classes = classify(torch.stack((ring, wave, 0 * wave)), grid)
    assert classes.labels == ["band-pass", "Gabor", "zero"]
    assert classes.centre[:2].tolist() == pytest.approx([5, math.sqrt(45)])
    assert classes.bandwidth.tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert classes.anisotropy[:2].tolist() == pytest.approx([0, 1], abs=1e-12)
    assert classes.orientation[1].tolist() == pytest.approx([-2 / math.sqrt(5), 1 / math.sqrt(5)])


def test_filters_in_one_and_three_dimensions():
    line = Grid((32,), (3.0,), ("x",))
    stencils = torch.tensor(
        [[1, 2, 4, 2, 1], [-1, 0, 2, 0, -1], [0, -1, 2, -1, 0], [0, 0, 1, 0, 0]]
    ).double()
    classes = classify(kernel_response(stencils[:, None], line), line)
    # The identity passes all: it is on neither side, and ties go to low-pass.
    assert classes.labels == ["low-pass", "band-pass", "high-pass", "low-pass"]
    cube = Grid((12, 12, 12), (1.0, 1.0, 1.0), ("z", "y", "x"))
    r = torch.arange(5, dtype=torch.float64) - 2
    z, y, x = torch.meshgrid(r, r, r, indexing="ij")
    gauss = torch.exp(-(x**2 + y**2 + z**2) / 3)
    laplacian = torch.zeros(5, 5, 5, dtype=torch.float64)
    laplacian[1:4, 2, 2] += 1
    laplacian[2, 1:4, 2] += 1
    laplacian[2, 2, 1:4] += 1
    laplacian[2, 2, 2] = -6
    gabor = gauss * torch.cos(1.6 * (x + y) / math.sqrt(2))
    weight = torch.stack((gauss, laplacian, gabor))[:, None]
    classes = classify(kernel_response(weight, cube), cube)
    assert classes.labels == ["low-pass", "high-pass", "Gabor"]
    assert classes.orientation[2, 0].tolist() == pytest.approx([0, 0.5**0.5, 0.5**0.5], abs=1e-6)


@given(
    shape=st.lists(st.integers(5, 9), min_size=1, max_size=3),
    size=st.integers(1, 5),
    seed=st.integers(0, 2**16),
)
def test_change_of_gain_is_at_most_change_of_weight(shape, size, seed):
    grid = grid_of(shape)
    generator = torch.Generator().manual_seed(seed)
    before, after = torch.randn(
        2, 3, 2, *(size,) * grid.ndim, generator=generator, dtype=torch.float64
    )
    change = kernel_change(before, after, grid)
    norm = (after - before).flatten(2).norm(dim=2)
    torch.testing.assert_close(change.weight, norm)
    assert (change.response <= norm * (1 + 1e-12)).all()
    # Parseval: from nothing, both are the norm of the kernel.
    born = kernel_change(torch.zeros_like(after), after, grid)
    torch.testing.assert_close(born.response, born.weight, rtol=1e-12, atol=0)
    # A flipped sign is a change of phase alone.
    flipped = kernel_change(before, -before, grid)
    torch.testing.assert_close(flipped.response, torch.zeros_like(norm))


def test_refusals():
    grid = Grid.square(8)
    with pytest.raises(DataError, match="2 kernel dimensions"):
        kernel_response(torch.zeros(2, 3, 5), grid)
    with pytest.raises(DataError, match="expected"):
        kernel_change(torch.zeros(2, 3, 5, 5), torch.zeros(2, 3, 3, 3), grid)
    with pytest.raises(DataError, match=r"\(8, 5\)"):
        classify(torch.zeros(2, 8, 8), grid)
    with pytest.raises(DataError, match="NaN"):
        classify(torch.full((2, 8, 5), torch.nan), grid)
