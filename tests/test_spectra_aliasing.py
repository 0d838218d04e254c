"""What strides and pooling fold back, against waves that alias where theory says."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from spectune.grid import Grid
from spectune.spectra import aliasing, log_spectral_distance, shell_spectrum

LINE = Grid((32,), (2 * math.pi,), ("x",))


def identity(stride, padding_mode="circular"):
    layer = nn.Conv1d(1, 1, 3, stride, 1, bias=False, padding_mode=padding_mode).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.0, 1.0, 0.0]))
    return layer


@pytest.mark.parametrize(("wave", "seen"), [(3, None), (7, None), (9, 7), (13, 3), (16, 0)])
def test_a_wave_beyond_the_coarse_nyquist_comes_back_folded(wave, seen):
    """With stride 2 on 32 points the coarse grid has waves to 8; k = 13 turns up at 16 − 13."""
    x = (2 * torch.cos(wave * LINE.coordinates()[0])).reshape(1, 1, -1)
    (found,) = aliasing(identity(2), x, LINE)
    assert found.grid.shape == (16,)
    torch.testing.assert_close(found.total, shell_spectrum(x[0, 0, ::2], found.grid).power)
    expected = torch.zeros_like(found.aliased)
    if seen is not None:
        expected[seen] = 4.0 if seen == 0 else 2.0
    torch.testing.assert_close(found.aliased, expected, atol=1e-12, rtol=1e-12)


def test_pooling_and_strides_in_two_dimensions_against_their_full_outputs():
    torch.manual_seed(0)
    grid = Grid((16, 24), (1.0, 3.0), ("y", "x"))
    strided = nn.Conv2d(2, 3, 3, stride=(2, 4), padding=1, padding_mode="circular")
    model = nn.Sequential(strided, nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(3, 1, 1)).double()
    x = torch.randn(5, 2, 16, 24, dtype=torch.float64)
    first, second = aliasing(model, x, grid)
    assert (first.name, second.name) == ("0", "2")
    assert (first.grid.shape, second.grid.shape) == ((8, 6), (4, 3))
    with torch.no_grad():
        full = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), strided.weight, strided.bias)
        modes = torch.fft.rfft2(full, norm="forward")
        ky = torch.fft.fftfreq(16, 1 / 16).abs()[:, None] < 4
        low = torch.fft.irfft2(modes * (ky & (torch.arange(13) < 3)), s=(16, 24), norm="forward")
        beyond = (full - low)[:, :, ::2, ::4]
        total = shell_spectrum(full[:, :, ::2, ::4], first.grid).power.mean((0, 1))
    torch.testing.assert_close(first.total, total)
    power = shell_spectrum(beyond, first.grid).power.mean((0, 1))
    torch.testing.assert_close(first.aliased, power)
    assert 0.5 < first.share < 1  # white noise: all but the modes that the coarse grid has
    assert not any(module._forward_hooks for module in model.modules())


def test_a_smooth_field_between_walls_is_hardly_aliased():
    walls = Grid((64,), (1.0,), ("x",), periodic=False)
    r = walls.coordinates()[0]
    ramp = (3 * r + torch.cos(8 * r)).reshape(1, 1, -1)
    (found,) = aliasing(identity(2, "replicate"), ramp, walls)
    assert found.share < 1e-4


def test_what_does_not_fold():
    model = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.ConvTranspose1d(2, 1, 2, 2)).double()
    assert aliasing(model, torch.randn(2, 1, 32, dtype=torch.float64), LINE) == []
    odd = Grid((15,), (1.0,), ("x",))
    assert aliasing(identity(2), torch.randn(2, 1, 15, dtype=torch.float64), odd) == []


def test_distance_of_spectra_in_decibels():
    k = torch.arange(9.0)
    a = (1 + k) ** -3.0
    assert log_spectral_distance(a, a, k, 8).item() == 0
    assert log_spectral_distance(10 * a, a, k, 8).item() == pytest.approx(10)
    b = a.clone()
    b[4:] *= 100  # 20 dB over the upper octave of weights 1/k
    share = sum(1 / n for n in range(4, 9)) / sum(1 / n for n in range(1, 9))
    assert log_spectral_distance(b, a, k, 8).item() == pytest.approx(20 * math.sqrt(share))
    assert log_spectral_distance(torch.stack([a, b]), b, k, 3).tolist() == [0, 0]
    assert log_spectral_distance(a * 0, a, k, 8).isnan()
