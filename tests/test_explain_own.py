"""`st.explain` and `spectune explain` for a user's own networks and data."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file
from torch import nn

import spectune as st
from cli_run import refused, runner, save
from own_networks import PointwiseMLP, UNet, cnn1d
from small_pairs import GRID, noise, pairs_of
from spectune.errors import DataError, LayerError, ModelError
from spectune.grid import Grid
from spectune.models import CNN
from spectune.report import EXPLANATION_FIGURES, save_explanation_figures
from spectune.report.explanation import draw_explanation


def retrained(model, name, size=0.5, seed=1):
    after = copy.deepcopy(model)
    weight = after.get_parameter(f"{name}.weight")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weight += size * weight.std() * torch.randn(weight.shape, generator=generator)
    return after


def net(channels=2, width=4):
    torch.manual_seed(0)
    return CNN(channels, 1, width=width, depth=3, kernel=3)


def data(seed=0, channels=2, grid=GRID):
    return pairs_of(noise(6, channels, seed, grid), noise(6, 1, seed + 9, grid), grid)


def figures_of(found, folder):
    found.to_netcdf(folder / "explanation.nc", engine="h5netcdf")
    return {path.name for path in save_explanation_figures(folder)}


def test_everything_of_a_plain_network(tmp_path):
    before = net()
    after = retrained(before, "conv2")
    found = st.explain(before, after, data(), data(1), samples=4)
    assert found.attrs["layer"] == "conv2"
    change = found["weight_change_relative"].values
    expected = (after.conv2.weight - before.conv2.weight).norm() / before.conv2.weight.norm()
    np.testing.assert_allclose(change, [0, float(expected), 0], rtol=1e-6)
    assert (found["response_change_relative"] <= found["weight_change_relative"]).all()
    assert np.isfinite(found["alignment"].sel(convolution="conv2"))
    assert np.isnan(found["alignment"].sel(convolution=["conv1", "conv3"])).all()
    # Shares of the change by class are shares; moves count every kernel.
    assert float(found["change_by_class"].sel(convolution="conv2").sum()) == pytest.approx(1)
    assert int(found["class_moves"].sel(convolution="conv2").sum()) == 16
    assert found["class_code"].shape == (2, 4, 4)
    assert found["transfer"].sizes["transfer_state"] == 3
    assert (found["transfer_error"] >= 0).all()
    names = {f"{name}.{kind}" for name in EXPLANATION_FIGURES for kind in ("png", "pdf")}
    assert figures_of(found, tmp_path) == names
    again = xr.load_dataset(tmp_path / "explanation.nc", engine="h5netcdf")
    xr.testing.assert_identical(again["transfer"], found["transfer"])
    assert again["wavenumber"].attrs["units"] == "1"


def test_seeds_give_the_noise():
    before = net()
    first = retrained(before, "conv2", seed=1)
    seeds = [retrained(first, "conv2", size=0.05, seed=seed) for seed in (2, 3, 4)]
    found = st.explain(before, seeds, data(), samples=2)
    row = found.sel(convolution="conv2")
    assert 0 < float(row["weight_noise_relative"]) < 0.3 * float(row["weight_change_relative"])
    assert found.attrs["retrained_networks"] == 3
    # Without base data there is no home spectrum, hence neither alignment nor a state there.
    assert "alignment" not in found
    assert np.isnan(found["linear"].sel(state="BNN, base input")).all()
    draw_explanation(found, "changes").draw_without_rendering()


def test_an_unet_at_several_resolutions():
    torch.manual_seed(0)
    before = UNet()
    grid = Grid((16, 24), (1.0, 1.5), ("y", "x"), unit="km")
    found = st.explain(
        before, retrained(before, "up"), data(0, 2, grid), data(1, 2, grid), samples=3
    )
    assert found.attrs["layer"] == "up"
    assert list(found["convolution"].values) == ["stem", "down", "middle", "up", "head"]
    assert found["class_code"].shape == (2, 8, 16)
    assert found["ky"].attrs["units"] == "rad km-1"
    assert float(found["wavenumber"][1]) == pytest.approx(2 * math.pi)
    figure = draw_explanation(found, "gallery")
    figure.draw_without_rendering()
    assert any("low-pass" in axes.get_ylabel() for axes in figure.axes)
    (axes, *_) = draw_explanation(found, "transfer").axes
    assert axes.get_xlabel() == "input wavenumber k in units of 6.28 rad km⁻¹"


@pytest.mark.parametrize("ndim", [1, 3])
def test_one_and_three_dimensions(ndim, tmp_path):
    grid = Grid((12,) * ndim, (3.0,) * ndim, ("z", "y", "x")[-ndim:], periodic=False)
    torch.manual_seed(0)
    before = cnn1d() if ndim == 1 else CNN(2, 1, width=3, depth=2, kernel=3, ndim=3)
    name = "2" if ndim == 1 else "conv2"
    found = st.explain(
        before, retrained(before, name), data(0, 2, grid), data(1, 2, grid), samples=2
    )
    assert {"gallery.png", "kernels.png", "transfer.png"} <= figures_of(found, tmp_path)


def test_groups_have_their_own_input_channels():
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 6, 3, padding=1, groups=2, padding_mode="circular")
    model = nn.Sequential(layer, nn.ReLU(), nn.Conv2d(6, 1, 3, padding=1, padding_mode="circular"))
    after = copy.deepcopy(model)
    with torch.no_grad():
        after[0].weight[4, 0] *= 2  # output 4 is of the second group, which sees channel 1
    found = st.explain(model, after, data(), samples=2)
    assert (int(found["kernel_out"][0]), int(found["kernel_in"][0])) == (4, 1)
    assert found["class_code"].shape == (2, 6, 1)


def test_refusals():
    before = net()
    after = retrained(before, "conv2")
    pairs = data()
    with pytest.raises(ModelError, match=r"do not match.*\n +conv1.weight: base \(4, 2, 3, 3\)"):
        st.explain(before, net(width=5), pairs)
    with pytest.raises(ModelError, match="equal weights"):
        st.explain(before, copy.deepcopy(before), pairs)
    with pytest.raises(ModelError, match="expected at least one"):
        st.explain(before, [], pairs)
    with pytest.raises(LayerError, match=r"'conv9' is no convolution.*conv1"):
        st.explain(before, after, pairs, layer="conv9")
    with pytest.raises(DataError, match="cannot take inputs"):
        st.explain(before, after, data(channels=3))
    with pytest.raises(DataError, match="at least 2"):
        st.explain(before, after, pairs, samples=1)
    torch.manual_seed(0)
    flat = PointwiseMLP()
    with pytest.raises(ModelError, match="no 2D convolution"):
        st.explain(flat, retrained(flat, "layers.0"), pairs_of(noise(4, 3), noise(4, 2)), samples=2)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return runner(tmp_path, monkeypatch, capsys)


def command(*more, model="my_module:net"):
    return [
        "explain", "--base-model", model, "--tuned-model", model, "--base-weights",
        "w.safetensors", "--data", "target.nc", "--inputs", "a", "--targets", "b", *more,
    ]  # fmt: skip


def test_the_command(run):
    save("target.nc")
    save("base.nc")
    torch.manual_seed(1)
    for name in ("x", "y"):
        save_file(CNN(1, 1, width=2, depth=2, kernel=3).state_dict(), f"{name}.safetensors")
    more = ("--base-data", "base.nc", "--tuned-weights", "x.safetensors", "y.safetensors")
    code, out, err = run(*command(*more, "-o", "out"))
    assert (code, err) == (0, "")
    assert "conv2" in out
    assert "alignment" in out
    assert "noise" in out
    assert Path("out/explanation.nc").is_file()
    assert Path("out/transfer.pdf").is_file()


def test_the_command_refuses(run):
    save("target.nc")
    refused(run(*command("--tuned-weights", "w.safetensors")), "equal weights")
    refused(run(*command("--tuned-weights", "missing.safetensors")), "no such file")
    refused(run(*command("--tuned-weights", "w.safetensors", model="my_module:nothing")), "weights")
