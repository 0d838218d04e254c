"""Augmentation leaves the physics as it is."""

import pytest
import torch

from spectune.coarse import CoarseGraining
from spectune.data import Normalization
from spectune.errors import DataError
from spectune.grid import Grid
from spectune.models import CNN
from spectune.systems import NavierStokes2D
from spectune.training import FitSettings, Symmetries, fit

PSEUDO = Symmetries((-1, -1), (-1,))
COARSE = 4  # points of the DNS to one of the LES


def pi_of(omega):
    grid = Grid.square(omega.shape[-1])
    flow = NavierStokes2D(grid, reynolds=1000.0)
    psi, vorticity, pi = CoarseGraining(flow, Grid.square(grid.shape[0] // COARSE)).pair(
        grid.transform(omega)
    )
    return torch.stack([psi, vorticity])[None], pi[None, None]


def transformed(symmetries, inputs, targets, scale, turns, mirror):
    """Apply a symmetry about the first grid point, which grids of any spacing share."""
    if mirror:
        inputs, targets = symmetries.apply(inputs, targets, mirror=True, shift=(0, 1))
    for _ in range(turns):
        inputs, targets = symmetries.apply(inputs, targets, turns=1, shift=(1, 0))
    return symmetries.apply(inputs, targets, shift=(2 * scale, -3 * scale))


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_pi_of_the_transformed_flow_is_the_transformed_pi(turns, mirror):
    generator = torch.Generator().manual_seed(1)
    grid = Grid.square(64)
    noise = grid.transform(torch.randn(64, 64, dtype=torch.float64, generator=generator))
    k2 = grid.squared_wavenumber()
    omega = grid.inverse(noise * ((k2 > 0) & (k2 < 20**2)))[None]  # what the flow resolves
    found = transformed(PSEUDO, *pi_of(omega[0]), 1, turns, mirror)
    moved, _ = transformed(Symmetries((-1,), (-1,)), omega, omega, COARSE, turns, mirror)
    expected = pi_of(moved[0])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12 * float(b.abs().max()))


def test_signs_change_in_physical_units():
    statistics = Normalization(
        torch.tensor([1.0, -2.0]),
        torch.tensor([2.0, 3.0]),
        torch.tensor([0.5]),
        torch.tensor([4.0]),
        "x",
    )
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(2, c, 6, 6, generator=generator) for c in (2, 1))
    standardised = Symmetries((-1, 1), (-1,), statistics)
    found = standardised.apply(statistics.inputs(x), statistics.targets(y), mirror=True, turns=1)
    expected = Symmetries((-1, 1), (-1,)).apply(x, y, mirror=True, turns=1)
    torch.testing.assert_close(found[0], statistics.inputs(expected[0]))
    torch.testing.assert_close(statistics.physical(found[1]), expected[1])


def test_each_sample_has_its_own_and_every_symmetry_occurs():
    x = torch.arange(36.0).reshape(1, 1, 6, 6).expand(400, 1, 6, 6)
    moved, same = Symmetries((1,), (1,), shifts=False).draw(x, x, torch.Generator().manual_seed(0))
    assert torch.equal(moved, same)
    assert len({tuple(field.flatten().tolist()) for field in moved}) == 8


def test_a_box_that_is_not_square_is_only_half_turned():
    x = torch.randn(50, 2, 4, 6)
    moved, _ = PSEUDO.draw(x, x[:, :1], torch.Generator().manual_seed(0))
    assert moved.shape == x.shape


def test_training_with_symmetries_differs_and_repeats():
    torch.manual_seed(0)
    x = torch.randn(8, 2, 8, 8)
    runs = []
    for symmetries in (PSEUDO, PSEUDO, None):
        torch.manual_seed(1)
        model = CNN(2, 1, width=4, depth=2)
        runs.append(fit(model, x, x[:, :1], FitSettings(2, batch=4), symmetries=symmetries))
    assert runs[0] == runs[1] != runs[2]


def test_wrong_parities_are_refused():
    with pytest.raises(DataError, match=r"input_parity: found \[0\]"):
        Symmetries((0,), (1,))
    with pytest.raises(DataError, match="found 2 channels, expected 1"):
        Symmetries((1,), (1,)).apply(torch.zeros(2, 4, 4), torch.zeros(1, 4, 4))
    with pytest.raises(DataError, match="two dimensions"):
        PSEUDO.draw(torch.zeros(1, 2, 8), torch.zeros(1, 1, 8), torch.Generator())
