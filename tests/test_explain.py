"""What re-training changed: spectra and kernels before and after."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from spectune.errors import LayerError
from spectune.explain import explain_layer
from spectune.explain.layer import SHOWN
from spectune.grid import Grid
from spectune.models import CNN
from spectune.spectra import KERNEL_CLASSES, activation_spectra, kernel_response, mean_spectrum

GRID = Grid.square(16)


def noise(n=4, channels=2, grid=GRID, seed=0):
    return torch.randn(n, channels, *grid.shape, generator=torch.Generator().manual_seed(seed))


def network(depth=3, **changes):
    torch.manual_seed(0)
    return CNN(2, 1, width=4, depth=depth, kernel=3, **changes)


def moved(model, name, size=0.5, seed=1):
    after = copy.deepcopy(model)
    with torch.no_grad():
        weight = after.get_parameter(f"{name}.weight")
        generator = torch.Generator().manual_seed(seed)
        weight += size * weight.std() * torch.randn(weight.shape, generator=generator)
    return after


def test_a_plain_network():
    before = network()
    after = moved(before, "conv2")
    story = explain_layer(before, after, noise(), noise(seed=1), "conv2", GRID)
    assert list(story["layer"].values) == ["conv1", "conv2", "conv3"]
    assert story.sizes["kernel"] == SHOWN
    assert list(story["class_count"].sum("kernel_class").values) == [16, 16]
    # Layers before the change see the same; the changed one and those after it do not.
    bnn, tlnn = (story["linear"].sel(state=f"{name}, target input") for name in ("BNN", "TLNN"))
    np.testing.assert_array_equal(bnn.sel(layer="conv1"), tlnn.sel(layer="conv1"))
    for layer in ("conv2", "conv3"):
        assert not np.allclose(bnn.sel(layer=layer), tlnn.sel(layer=layer))
    # The output layer is the network itself, and has no activation behind it.
    with torch.no_grad():
        output = mean_spectrum(before(noise()), GRID).power[0]
    found = story["linear"].sel(state="BNN, base input", layer="conv3")
    np.testing.assert_allclose(found, output, rtol=1e-4, atol=1e-9)
    assert np.isnan(story["nonlinear"].sel(layer="conv3")).all()
    assert np.isfinite(story["nonlinear"].sel(layer=["conv1", "conv2"])).all()


def test_the_kernels_shown_are_those_that_changed_most():
    before = network()
    after = copy.deepcopy(before)
    with torch.no_grad():
        after.conv2.weight[2, 1] *= 3
        after.conv2.weight[0, 3] *= 1.5
    story = explain_layer(before, after, noise(), noise(), "conv2", GRID)
    assert (int(story["kernel_out"][0]), int(story["kernel_in"][0])) == (2, 1)
    assert (int(story["kernel_out"][1]), int(story["kernel_in"][1])) == (0, 3)
    expected = kernel_response(before.conv2.weight, GRID)[2, 1].numpy()
    np.testing.assert_allclose(story["response_before"][0], expected, rtol=1e-6)
    np.testing.assert_allclose(story["response_after"][0], 3 * expected, rtol=1e-5)
    assert story["class_before"][0] == story["class_after"][0]  # a factor is no new class
    assert float(story["centre_before"][0]) == pytest.approx(float(story["centre_after"][0]))
    np.testing.assert_allclose(story["kx"], np.arange(9))


def test_no_change_is_no_change():
    model = network()
    story = explain_layer(model, copy.deepcopy(model), noise(), noise(), "conv1", GRID)
    for pair in ("response", "class", "centre"):
        np.testing.assert_array_equal(story[f"{pair}_before"], story[f"{pair}_after"])
    before, after = (story.sel(stage=stage) for stage in ("before", "after"))
    np.testing.assert_array_equal(before["class_count"], after["class_count"])
    np.testing.assert_array_equal(before["mean_response"], after["mean_response"])
    np.testing.assert_array_equal(*story["linear"].values[1:])


def test_mean_response_is_the_gain_on_white_noise():
    """For white noise, the spectrum behind one kernel over that before it is |Ŵ|²."""
    torch.manual_seed(2)
    layer = nn.Conv2d(1, 1, 5, padding=2, padding_mode="circular", bias=False)
    model = nn.Sequential(layer)
    inputs = noise(400, 1)
    story = explain_layer(model, model, inputs, inputs, "0", GRID)
    with torch.no_grad():
        ratio = mean_spectrum(model(inputs), GRID).power[0] / mean_spectrum(inputs, GRID).power[0]
    found = story["mean_response"].sel(stage="before") ** 2
    np.testing.assert_allclose(found, ratio, rtol=0.2)


def test_dead_kernels_belong_to_no_class():
    before = network()
    with torch.no_grad():
        before.conv2.weight[1] = 0
    after = moved(before, "conv2", size=2.0)
    story = explain_layer(before, after, noise(), noise(), "conv2", GRID)
    assert list(story["class_count"].sum("kernel_class").values) == [12, 16]
    dead = story["kernel_out"].values == 1
    assert dead.any()
    assert set(story["class_before"].values[dead]) == {"zero"}
    assert set(story["class_after"].values) <= set(KERNEL_CLASSES)


@pytest.mark.parametrize("ndim", [1, 3])
def test_other_dimensions(ndim):
    grid = Grid((12,) * ndim, (2 * math.pi,) * ndim, ("z", "y", "x")[-ndim:])
    before = network(ndim=ndim)
    inputs = noise(2, 2, grid)
    story = explain_layer(before, moved(before, "conv1"), inputs, inputs, "conv1", grid)
    assert story["response_after"].dims == ("kernel", *("kz", "ky", "kx")[-ndim:])
    assert int(story["class_count"].sel(stage="before").sum()) == 8
    assert np.isfinite(story["mean_response"]).all()


def test_a_box_that_is_not_periodic_nor_square():
    grid = Grid((12, 20), (3.0, 5.0), ("lat", "lon"), periodic=False)
    before = network(padding="zeros")
    story = explain_layer(before, moved(before, "conv2"), *[noise(3, 2, grid)] * 2, "conv2", grid)
    assert np.isfinite(story["linear"]).all()
    assert story["response_before"].shape == (8, 12, 11)
    nyquist = math.pi / 0.25
    gain = story["mean_response"].where(story["wavenumber"] <= nyquist, drop=True)
    assert np.isfinite(gain).all()


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.enter = nn.Conv2d(2, 4, 3, padding=1)
        self.down = nn.Conv2d(4, 6, 2, stride=2)
        self.deep = nn.Conv2d(6, 6, 3, padding=2, dilation=2, padding_mode="circular")
        self.norm = nn.GroupNorm(2, 6)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.mix = nn.Linear(4, 1)
        self.unused = nn.Conv2d(1, 1, 3)

    def forward(self, x):
        deep = torch.relu(self.norm(self.deep(torch.relu(self.down(self.enter(x))))))
        return self.mix(torch.relu(self.up(deep)).movedim(1, -1)).movedim(-1, 1)


def test_layers_at_other_resolutions():
    before = Small()
    for layer, points, (c_out, c_in) in (
        ("down", 16, (6, 4)), ("deep", 8, (6, 6)), ("up", 16, (4, 6)),
    ):  # fmt: skip
        after = copy.deepcopy(before)
        with torch.no_grad():
            after.get_parameter(f"{layer}.weight").mul_(2)
        story = explain_layer(before, after, noise(), noise(), layer, GRID)
        assert list(story["layer"].values) == ["enter", "down", "deep", "up", "mix"]
        assert story["response_before"].shape[1:] == (points, points // 2 + 1)
        assert int(story["class_count"].sel(stage="after").sum()) == c_out * c_in
        assert int(story["kernel_out"].max()) < c_out
        assert int(story["kernel_in"].max()) < c_in
        np.testing.assert_allclose(
            story["response_after"], 2 * story["response_before"], rtol=1e-4, atol=1e-6
        )
    # A coarse layer has the first of the shells.
    expected = activation_spectra(before, noise(), GRID, ["deep"])[0]
    found = story["linear"].sel(state="BNN, base input", layer="deep").values
    np.testing.assert_allclose(found[: len(expected.linear)], expected.linear, rtol=1e-6)
    assert np.isnan(found[len(expected.linear) :]).all()


def test_a_dilated_kernel_has_the_gain_of_its_dilated_points():
    before = Small()
    story = explain_layer(before, before, noise(), noise(), "deep", GRID)
    weight = torch.zeros(6, 6, 5, 5)
    weight[..., ::2, ::2] = before.deep.weight.detach()
    spread = kernel_response(weight, GRID.with_shape((8, 8)))
    k = int(story["kernel_out"][0]), int(story["kernel_in"][0])
    np.testing.assert_allclose(story["response_before"][0], spread[k], rtol=1e-4, atol=1e-6)


def test_a_linear_layer_has_no_kernels():
    before = Small()
    story = explain_layer(before, moved(before, "mix"), noise(), noise(), "mix", GRID)
    assert "response_before" not in story
    assert "class_count" not in story
    assert np.isfinite(story["linear"].sel(layer="mix")).all()


def test_an_unknown_layer():
    with pytest.raises(LayerError, match="no layer matches 'conv9'; nearest names: conv"):
        explain_layer(network(), network(), noise(), noise(), "conv9", GRID)
