"""The transfer function of networks whose transfer is known."""

import math

import pytest
import torch
from torch import nn

from spectune.errors import DataError
from spectune.explain import transfer_function
from spectune.grid import Grid
from spectune.models import CNN
from spectune.spectra import filter_bank

GRID = Grid.square(16)


def states(n=6, channels=2, grid=GRID):
    return torch.randn(n, channels, *grid.shape, generator=torch.Generator().manual_seed(0))


def test_a_linear_layer_has_its_bank_on_the_diagonal():
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    found = transfer_function(nn.Sequential(layer), states(40), GRID)
    expected = filter_bank(layer.weight, GRID).power.sum((0, 1)) / 2
    for row, k in enumerate(found.wavenumber_in.long().tolist()):
        gain = found.gain[row]
        assert float(gain[k]) == pytest.approx(
            float(expected[k]), abs=4 * float(found.error[row, k])
        )
        others = gain.clone()
        others[k] = 0
        assert float(others.sum()) < 1e-10 * float(gain[k])
    torch.testing.assert_close(found.total, found.gain.sum(1))


def test_a_pointwise_nonlinearity_moves_variance():
    """y = x² at x = cos(q·r): J δ = 2 x δ puts half of the gain at each of |k ± q|."""

    class Square(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * x.square()

    line = Grid((32,), (2 * math.pi,), ("x",))
    x = torch.cos(4 * line.coordinates()[0]).float().expand(3, 1, 32)
    found = transfer_function(Square(), x, line, shells=20)
    row = found.wavenumber_in.tolist().index(10)
    expected = torch.zeros(17, dtype=torch.float64)
    expected[6] = expected[14] = 1.0  # ⟨(2 cos 4x)²⟩ = 2, half on each side
    torch.testing.assert_close(found.gain[row], expected, atol=1e-5, rtol=1e-5)


def test_standard_error_and_seeds():
    torch.manual_seed(0)
    model = CNN(2, 1, width=4, depth=3, kernel=3)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    a, b = (transfer_function(model, states(30), GRID, seed=seed) for seed in (0, 1))
    scale = (a.error.square() + b.error.square()).sqrt()
    z = ((a.gain - b.gain) / scale)[a.gain > 1e-3 * a.gain.max()]
    assert 0.4 < float(z.square().mean().sqrt()) < 1.6  # phases are part of the error
    assert torch.equal(transfer_function(model, states(4), GRID).gain,
                       transfer_function(model, states(4), GRID).gain)  # fmt: skip
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_refusals():
    model = CNN(2, 1, width=2, depth=2, kernel=3)
    with pytest.raises(DataError, match="at least 2 samples"):
        transfer_function(model, states(1), GRID)
    with pytest.raises(DataError, match="expected"):
        transfer_function(model, states(3), Grid.square(8))
