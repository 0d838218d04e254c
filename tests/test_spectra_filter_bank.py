"""All kernels of a layer at once: exact sums, planted classes, any size, dilation, dimension."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from planted_filters import planted
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import (
    KERNEL_CLASSES,
    classify,
    filter_bank,
    kernel_response,
    mean_spectrum,
    shell_spectrum,
)


def grid_of(shape):
    return Grid(
        tuple(shape), tuple(1.0 + i for i in range(len(shape))), ("z", "y", "x")[-len(shape) :]
    )


@given(
    shape=st.lists(st.integers(4, 11), min_size=1, max_size=3),
    sizes=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 2**16),
)
def test_shell_means_are_those_of_the_full_response(shape, sizes, dilation, seed):
    """Σ_s A(s) C(s) is the mean of |Ŵ|² over the modes of each shell, to round-off."""
    grid = grid_of(shape)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(2, 3, *sizes[: grid.ndim], generator=generator, dtype=torch.float64)
    bank = filter_bank(weight, grid, dilation)
    gain = kernel_response(weight, grid, dilation)
    power = shell_spectrum(grid.inverse(gain.to(torch.complex128)), grid).power
    white = shell_spectrum(
        grid.inverse(torch.ones(grid.half_shape, dtype=torch.complex128)), grid
    ).power
    torch.testing.assert_close(bank.power, power / white, rtol=1e-10, atol=1e-12)
    if dilation == 1:
        expected = classify(gain, grid)
        torch.testing.assert_close(bank.classes.centre, expected.centre)
        torch.testing.assert_close(bank.classes.anisotropy, expected.anisotropy)
        torch.testing.assert_close(bank.classes.bandwidth, expected.bandwidth, atol=1e-6, rtol=1e-6)


def test_a_layer_amplifies_noise_as_its_bank_says():
    torch.manual_seed(0)
    grid = Grid.square(24)
    layer = torch.nn.Conv2d(3, 4, 5, padding=4, dilation=2, padding_mode="circular", bias=False)
    noise = torch.randn(300, 3, 24, 24)
    with torch.no_grad():
        out, before = mean_spectrum(layer(noise), grid).power, mean_spectrum(noise, grid).power
    predicted = filter_bank(layer.weight, grid, 2).power.sum(1) * before.mean(0)
    ratio = (out / predicted).flatten()
    assert abs(float(ratio.mean()) - 1) < 0.02
    assert float((ratio - 1).abs().max()) < 0.3


@pytest.mark.parametrize("kind", KERNEL_CLASSES)
@pytest.mark.parametrize(("n", "dilation"), [(5, 1), (5, 2), (7, 1), (9, 3), (11, 1)])
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_planted_filters(kind, n, dilation, noise):
    """At least 99 % of 400 random filters with noise; Gabors at every orientation."""
    generator = torch.Generator().manual_seed(n)
    filters, angles = zip(*(planted(kind, n, generator, noise) for _ in range(400)), strict=True)
    grid = Grid.square(36 if dilation > 1 else 33)
    weight = torch.stack(filters).reshape(20, 20, n, n).float()
    classes = filter_bank(weight, grid, dilation).classes
    assert classes.counts()[kind] >= 0.99 * 400
    if kind == "Gabor":
        e = classes.orientation.reshape(-1, 2)
        off = torch.atan2(e[:, 0], e[:, 1]) - torch.tensor(angles)
        off = ((off + math.pi / 2) % math.pi - math.pi / 2).abs()
        assert torch.quantile(off, 0.99) < (0.06 if noise < 0.05 else 0.12)  # radians


def test_centre_and_bandwidth_of_a_dilated_gabor():
    """Dilation d divides its wavenumber and bandwidth by d; the box gives the unit."""
    n, k = 11, 0.5 * math.pi
    r = torch.arange(n, dtype=torch.float64) - n // 2
    y, x = torch.meshgrid(r, r, indexing="ij")
    s = 2.0
    kernel = (torch.exp(-(x**2 + y**2) / (2 * s * s)) * torch.cos(k * x + 0.3))[None, None]
    box = Grid((64, 64), (8.0, 8.0), ("y", "x"))
    once, twice = (filter_bank(kernel, box, d).classes for d in (1, 2))
    spacing = 8 / 64
    # Lobes of width 1/(√2 s) around k, cut by the kernel's 11 points.
    assert float(once.centre) == pytest.approx(k / spacing, rel=0.05)
    assert float(once.bandwidth) == pytest.approx(1 / (math.sqrt(2) * s) / spacing, rel=0.15)
    assert float(twice.centre) == pytest.approx(float(once.centre) / 2, rel=1e-3)
    assert float(twice.bandwidth) == pytest.approx(float(once.bandwidth) / 2, rel=1e-3)
    torch.testing.assert_close(
        twice.orientation[0, 0], torch.tensor([0.0, 1.0], dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_one_dimension():
    line = Grid((32,), (3.0,), ("x",))
    stencils = torch.tensor(
        [[1, 2, 4, 2, 1], [-1, 0, 2, 0, -1], [0, -1, 2, -1, 0], [0, 0, 0, 0, 0]]
    ).double()
    assert filter_bank(stencils[:, None], line).classes.labels == [
        "low-pass", "band-pass", "high-pass", "zero",
    ]  # fmt: skip


def test_tiny_weights_are_not_zero():
    torch.manual_seed(1)
    weight = torch.randn(1, 8, 5, 5)
    grid = Grid.square(16)
    plain, tiny = filter_bank(weight, grid), filter_bank(weight * 1e-25, grid)
    assert torch.equal(plain.classes.code, tiny.classes.code)


def test_refusals():
    grid = Grid.square(8)
    with pytest.raises(DataError, match="2 kernel dimensions"):
        filter_bank(torch.zeros(2, 3, 5), grid)
    with pytest.raises(DataError, match="weight: found NaN"):
        filter_bank(torch.full((1, 1, 3, 3), torch.nan), grid)
