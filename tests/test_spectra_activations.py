"""Spectra of activations: pairing of h and g, other resolutions, nothing left behind."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from spectune.errors import DataError, LayerError
from spectune.grid import Grid
from spectune.spectra import activation_spectra, complex_response, shell_spectrum

GRID = Grid.square(16)


def circular(c_in, c_out, **options):
    return nn.Conv2d(c_in, c_out, 3, padding=1, padding_mode="circular", **options)


def samples(n=5, channels=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, channels, 16, 16, generator=generator, dtype=dtype)


class SmallUNet(nn.Module):
    """Stride down, transposed convolution up, skip connection, in-place and functional ReLU."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(circular(2, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.down = circular(4, 6, stride=2)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.dropout = nn.Dropout(0.5)
        self.last = circular(8, 1)

    def forward(self, x):
        skip = self.first(x)
        deep = F.relu(self.down(skip))
        return self.last(torch.cat((skip, self.dropout(F.gelu(self.up(deep)))), 1))


class Functional(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.a, self.b = circular(2, 3), circular(3, 1)
        self.activation = activation

    def forward(self, x):
        return self.b(self.activation(self.a(x)))


def test_u_net_by_hand():
    torch.manual_seed(0)
    model = SmallUNet().double().train()
    model.dropout.eval()  # a mode that differs from its parent's must come back too
    inputs = samples()
    found = activation_spectra(model, inputs, GRID, batch_size=2)
    assert [layer.name for layer in found] == ["first.0", "down", "up", "last"]
    assert model.training
    assert model.first[1].training
    assert not model.dropout.training
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert model.first[1].num_batches_tracked == 0

    model.eval()
    with torch.no_grad():
        h0 = model.first[0](inputs)
        g0 = model.first(inputs)
        h1 = model.down(g0)
        h2 = model.up(F.relu(h1))
        h3 = model(inputs)
    half = GRID.with_shape((8, 8))
    for layer, h, g, grid in (
        (found[0], h0, g0, GRID),
        (found[1], h1, F.relu(h1), half),
        (found[2], h2, F.gelu(h2), GRID),
        (found[3], h3, None, GRID),
    ):
        assert layer.grid == grid
        expected = shell_spectrum(h, grid)
        torch.testing.assert_close(layer.wavenumber, expected.wavenumber)
        torch.testing.assert_close(layer.linear_channels, expected.power.mean(0))
        torch.testing.assert_close(layer.linear, expected.power.mean((0, 1)))
        if g is None:
            assert layer.nonlinear is None
            assert layer.nonlinear_channels is None
        else:
            power = shell_spectrum(g, grid).power
            torch.testing.assert_close(layer.nonlinear_channels, power.mean(0))
            torch.testing.assert_close(layer.nonlinear, power.mean((0, 1)))


@pytest.mark.parametrize(
    "activation", [F.relu, torch.relu, torch.tanh, F.silu, lambda x: x.relu(), lambda x: x.relu_()]
)
def test_functional_activations_are_seen(activation):
    model = Functional(activation).double()
    first, last = activation_spectra(model, samples(), GRID)
    with torch.no_grad():
        h = model.a(samples())
        expected = shell_spectrum(activation(h.clone()), GRID).power.mean((0, 1))
        linear = shell_spectrum(h, GRID).power.mean((0, 1))
    torch.testing.assert_close(first.linear, linear)
    torch.testing.assert_close(first.nonlinear, expected)
    assert last.nonlinear is None


def test_gates_and_pooling_are_not_activations():
    model = Functional(lambda x: x * torch.sigmoid(x)).double()
    assert activation_spectra(model, samples(), GRID)[0].nonlinear is None
    pooled = nn.Sequential(circular(2, 3), nn.MaxPool2d(2), nn.ReLU(), circular(3, 1))
    first, last = activation_spectra(pooled, samples(dtype=torch.float32), GRID)
    assert first.nonlinear is None
    assert last.grid.shape == (8, 8)


def test_an_activation_before_the_first_layer_belongs_to_no_layer():
    class Before(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = circular(2, 2)

        def forward(self, x):
            return self.layer(torch.tanh(x))

    (layer,) = activation_spectra(Before().double(), samples(), GRID, batch_size=2)
    assert layer.nonlinear is None


def test_spectrum_of_h_follows_from_the_kernels():
    """The layer identity, on measured spectra: E[h] from Ŵ, ĝ and b̂."""
    model = nn.Sequential(circular(2, 3), nn.ReLU(), circular(3, 1)).double()
    inputs = samples()
    measured = activation_spectra(model, inputs, GRID)[0]
    response = complex_response(model[0].weight.detach(), GRID)
    h = torch.einsum("oi...,ni...->no...", response, GRID.transform(inputs))
    h[:, :, 0, 0] += model[0].bias.detach()
    expected = shell_spectrum(GRID.inverse(h), GRID).power.mean((0, 1))
    torch.testing.assert_close(measured.linear, expected, rtol=1e-11, atol=0)


def test_linear_layers_with_channels_last_and_other_dimensions():
    class Mixer(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift = nn.Linear(2, 5)
            self.head = nn.Linear(5, 1)

        def forward(self, x):
            return self.head(F.gelu(self.lift(x.movedim(1, -1)))).movedim(-1, 1)

    lift, head = activation_spectra(Mixer().double(), samples(), GRID)
    assert lift.linear_channels.shape == lift.nonlinear_channels.shape == (5, 12)
    assert head.linear_channels.shape == (1, 12)
    line = Grid((20,), (3.0,), ("x",), periodic=False)
    model = nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.PReLU(4), nn.Conv1d(4, 1, 3, padding=1))
    first, _ = activation_spectra(model, torch.randn(3, 1, 20), line)
    assert first.nonlinear_channels.shape == (4, 20)


def test_layers_without_a_grid_are_left_out_unless_asked_for():
    model = nn.Sequential(circular(2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 256, 4)).double()
    assert [layer.name for layer in activation_spectra(model, samples(), GRID)] == ["0"]
    with pytest.raises(LayerError, match=r"3: found output \(1, 4\)"):
        activation_spectra(model, samples(), GRID, ["3"])
    assert not any(m._forward_hooks for m in model.modules())
    assert model.training


def test_any_module_can_be_named_in_any_order():
    model = SmallUNet().double()
    found = activation_spectra(model, samples(), GRID, ["up", "first"])
    assert [layer.name for layer in found] == ["up", "first"]
    with pytest.raises(LayerError, match="not in the model"):
        activation_spectra(model, samples(), GRID, ["nowhere"])
    model.unused = circular(1, 1).double()
    with pytest.raises(LayerError, match="did not run"):
        activation_spectra(model, samples(), GRID, ["unused"])


def test_bad_values_name_the_layer():
    model = Functional(F.relu).double()
    bad = samples()
    bad[3, 0, 0, 0] = torch.inf
    with pytest.raises(DataError, match="layer a"):
        activation_spectra(model, bad, GRID)
    assert not any(m._forward_hooks for m in model.modules())
    with pytest.raises(DataError, match="inputs"):
        activation_spectra(model, samples()[..., :8], GRID)


def test_a_relu_of_a_plane_wave_makes_its_even_harmonics():
    """max(cos, 0) = 1/π + cos/2 + Σ_m 2 (−1)^{m+1} cos(2m x) / (π (4m² − 1))."""
    grid = Grid((512,), (2 * math.pi,), ("x",))
    model = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.ReLU(), nn.Conv1d(1, 1, 1)).double()
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    wave = torch.cos(3 * grid.coordinates()[0]).expand(2, 1, -1)
    first, last = activation_spectra(model, wave, grid)
    expected = {0: 1 / math.pi**2}
    expected |= {6 * m: 0.5 * (2 / (math.pi * (4 * m * m - 1))) ** 2 for m in (1, 2, 3)}
    for k, value in expected.items():
        assert float(first.moved[k]) == pytest.approx(value, rel=2e-3)
    assert float(first.moved[3]) < 1e-9
    assert float(first.moved_share) == pytest.approx(0.5, rel=1e-4)
    assert last.moved is None
    assert math.isnan(last.moved_share)


def test_a_relu_of_noise_moves_half_of_the_energy_a_third_of_it_into_the_mean():
    model = nn.Sequential(circular(2, 8, bias=False), nn.ReLU(inplace=True), circular(8, 1))
    first, _ = activation_spectra(model.double(), samples(300), GRID)
    assert first.moved_share == pytest.approx(0.5, rel=0.02)
    share = float(first.moved[0] / first.nonlinear.sum())
    assert share == pytest.approx(1 / math.pi, rel=0.03)


def test_the_moved_part_is_the_residual_of_the_regression():
    torch.manual_seed(3)
    model = nn.Sequential(circular(2, 3), nn.BatchNorm2d(3), nn.Tanh(), circular(3, 1)).double()
    inputs = samples()
    first, _ = activation_spectra(model, inputs, GRID, batch_size=2)
    model.eval()
    with torch.no_grad():
        h = model[0](inputs)
        g = model[:3](inputs)
    about = h - h.mean((2, 3), keepdim=True)
    a = (about * g).sum((0, 2, 3)) / about.square().sum((0, 2, 3))
    rest = g - a[:, None, None] * h
    expected = shell_spectrum(rest, GRID).power.mean(0)
    torch.testing.assert_close(first.moved_channels, expected, rtol=1e-9, atol=1e-15)
    straight = nn.Sequential(circular(2, 3), nn.PReLU(init=1.0), circular(3, 1)).double()
    assert activation_spectra(straight, inputs, GRID)[0].moved_share < 1e-14


def test_batches_do_not_change_the_spectra():
    torch.manual_seed(4)
    model = SmallUNet().double()
    by_default, one, all_at_once = (
        activation_spectra(model, samples(), GRID, batch_size=size) for size in (None, 1, 5)
    )
    for a, b, c in zip(by_default, one, all_at_once, strict=True):
        assert a.linear_samples.shape == (5, len(a.wavenumber))
        torch.testing.assert_close(a.linear_samples.mean(0), a.linear)
        for other in (b, c):
            torch.testing.assert_close(a.linear_channels, other.linear_channels)
        if a.moved is not None:
            torch.testing.assert_close(a.moved, c.moved)
