"""The transform: Parseval, exact coefficients, resizing."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectune.grid import Grid, resize


@given(
    shape=st.lists(st.integers(4, 12), min_size=1, max_size=3),
    length=st.floats(0.5, 20.0),
    seed=st.integers(0, 2**16),
)
def test_transform_inverts(shape, length, seed):
    dims = ("z", "y", "x")[-len(shape) :]
    grid = Grid(tuple(shape), (length,) * len(shape), dims)
    field = torch.randn(2, *shape, dtype=torch.float64, generator=torch.manual_seed(seed))
    torch.testing.assert_close(grid.inverse(grid.transform(field)), field, atol=1e-13, rtol=0)


def test_coefficients_do_not_depend_on_resolution():
    for n in (16, 24, 64):
        grid = Grid.square(n)
        y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
        coefficients = grid.transform(3 * torch.cos(2 * x) + torch.sin(5 * y))
        torch.testing.assert_close(coefficients[0, 2].real.item(), 1.5)
        torch.testing.assert_close(coefficients[5, 0].imag.item(), -0.5)


def test_derivative_is_along_the_named_dimension():
    grid = Grid((24, 32), (2 * math.pi, 4 * math.pi), ("y", "x"))
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    ky, kx = grid.wavenumbers()
    f = grid.transform(torch.sin(1.5 * x) * torch.cos(2 * y))
    torch.testing.assert_close(
        grid.inverse(1j * kx * f), 1.5 * torch.cos(1.5 * x) * torch.cos(2 * y)
    )
    torch.testing.assert_close(
        grid.inverse(1j * ky * f), -2 * torch.sin(1.5 * x) * torch.sin(2 * y)
    )


@pytest.mark.parametrize("shape", [(16, 16), (16, 24), (15, 16)])
@pytest.mark.parametrize("larger", [(32, 40), (31, 33)])
def test_resize_there_and_back_drops_only_nyquist(shape, larger):
    small = Grid(shape, (1.0, 2.0), ("y", "x"))
    large = small.with_shape(larger)
    field = torch.randn(3, *shape, dtype=torch.float64)
    coefficients = small.transform(field)
    back = resize(resize(coefficients, small, large), large, small)
    torch.testing.assert_close(back, coefficients * small.resolved())


def test_resized_field_is_the_same_function():
    small, large = Grid.square(16), Grid.square(48)
    y, x = torch.meshgrid(*small.coordinates(), indexing="ij")
    f = torch.sin(3 * x + 2 * y) + torch.cos(7 * y)
    fine = large.inverse(resize(small.transform(f), small, large))
    torch.testing.assert_close(fine[::3, ::3], f)


def test_one_and_three_dimensions_resize():
    for ndim in (1, 3):
        dims = ("z", "y", "x")[-ndim:]
        small = Grid((10,) * ndim, (1.0,) * ndim, dims)
        large = small.with_shape((16,) * ndim)
        f = small.transform(torch.randn(10, *[10] * (ndim - 1), dtype=torch.float64))
        torch.testing.assert_close(
            resize(resize(f, small, large), large, small), f * small.resolved()
        )


def test_wavenumbers_of_a_box_of_length_2_pi_are_whole():
    # 7.000000000000001 would not be among the evolved modes |k| ≤ 7 of 16 points.
    for n in range(4, 300):
        for k in Grid.square(n).wavenumbers():
            assert torch.equal(k, k.round())


def test_bad_grids_are_refused():
    with pytest.raises(ValueError, match="1 to 3 dimensions"):
        Grid((4, 4, 4, 4), (1.0,) * 4, ("t", "z", "y", "x"))
    with pytest.raises(ValueError, match="one entry for each"):
        Grid((4, 4), (1.0,), ("y", "x"))
    with pytest.raises(ValueError, match="boxes differ"):
        resize(
            torch.zeros(4, 3, dtype=torch.complex128), Grid.square(4), Grid.square(4, length=1.0)
        )
