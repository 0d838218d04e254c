"""Networks and data that the package did not make: which layer to re-train is known beforehand."""

import importlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file

import spectune as st
from spectune.explain import explain_layer
from spectune.training import trainable_layers

SPECTUNE = Path(sys.executable).with_name("spectune")
NAMES = {"inputs": ["q", "wind"], "targets": ["flux"]}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A user's folder with their module; importable, as when they run from it."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(Path(__file__).with_name("own_networks.py"), folder / "my_networks.py")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def networks(work):
    assert (work / "my_networks.py").exists()
    return importlib.import_module("my_networks")


def smooth(rng, *shape, width=1.5):
    """Return random fields (n, *grid), filtered to a few points and scaled to unit variance."""
    values = rng.standard_normal(shape)
    for axis in range(1, len(shape)):
        k = np.fft.fftfreq(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        spectrum = np.fft.fft(values, axis=axis) * np.exp(-((2 * np.pi * k * width) ** 2) / 2)
        values = np.fft.ifft(spectrum, axis=axis).real
    return values / values.std()


def ocean(seed, n=24, scale=1.0):
    """A lat/lon data set: flux = wind · ∂q/∂x − ½ q; `scale` makes a network see other units."""
    rng = np.random.default_rng(seed)
    q, wind = smooth(rng, n, 24, 40), smooth(rng, n, 24, 40)
    flux = wind * (np.roll(q, -1, 2) - np.roll(q, 1, 2)) - 0.5 * q
    dims = ("time", "lat", "lon")
    return xr.Dataset(
        {
            "depth": (("lat", "lon"), rng.random((24, 40))),
            "q": (dims, q),
            "wind": (dims, scale * wind),
            "flux": (dims, flux / flux.std()),
            "salt": (dims, rng.random((n, 24, 40))),
        },
        {"lat": np.linspace(30, 53, 24), "lon": np.linspace(-60, -21, 40)},
    )


def burgers(seed, n=48, points=64):
    """Forced waves: u, a forcing, and the tendency −½ ∂u²/∂x + forcing/2 on a coarse grid."""
    rng = np.random.default_rng(seed)
    u, forcing = smooth(rng, n, points, width=2.5), smooth(rng, n, points, width=2.5)
    tendency = -(np.roll(u, -1, 1) ** 2 - np.roll(u, 1, 1) ** 2) / 2 + forcing / 2
    dims = ("time", "x")
    return xr.Dataset(
        {"u": (dims, u), "forcing": (dims, forcing), "tendency": (dims, tendency)},
        {"x": ("x", np.arange(points) * 2 * np.pi / points)},
    )


def trained(model, data, epochs=60, batch=8, learning_rate=5e-3, **names):
    torch.manual_seed(0)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    pairs = st.open_pairs(data, **names)
    history = st.fit(
        model, pairs.inputs, pairs.targets, st.FitSettings(epochs, batch, learning_rate)
    )
    assert history.train[-1] < 0.25 * float(pairs.targets.var())  # else nothing is to be known
    return model


@pytest.fixture(scope="module")
def unet(networks):
    return trained(networks.UNet(), ocean(0), epochs=40, **NAMES)


def assert_sensible(advice, network):
    names = [layer.name for layer in trainable_layers(network)]
    assert [layer.name for layer in advice.layers] == names
    for order in advice.rankings.values():
        assert sorted(order) == sorted(names)
    values = json.loads(json.dumps(advice.to_dict()), parse_constant=lambda name: pytest.fail(name))
    for layer in values["layers"]:
        assert layer["low"] <= layer["predicted_error"] <= layer["high"]
        assert layer["predicted_error"] <= advice.bnn_error * (1 + 1e-6)
    for array in advice.to_dataset().data_vars.values():
        assert np.isfinite(array).all()


@pytest.mark.parametrize("periodic", [False, True])
def test_unet_with_a_rescaled_input(unet, periodic):
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    advice = st.advise(unet, ocean(1, 12, scale=3.0), ocean(0, 8), periodic=periodic, **NAMES)
    assert_sensible(advice, unet)
    assert advice.best == ("stem",)
    forecast = {layer.name: layer.predicted_error for layer in advice.layers}
    assert forecast["stem"] < 0.5 * advice.bnn_error
    assert forecast["spare"] == pytest.approx(advice.bnn_error)  # it never runs
    assert advice.base_error < 0.3 < advice.bnn_error
    assert all(torch.equal(value, before[name]) for name, value in unet.state_dict().items())


def test_unet_with_a_rescaled_output(unet):
    target = ocean(1, 12)
    target["flux"] = -2 * target["flux"] + 1
    advice = st.advise(unet, target, ocean(0, 8), **NAMES)
    assert_sensible(advice, unet)
    # The head alone can undo this; what is left is the error that the network has at home. The stem
    # can undo it too and mends some of that error (so does re-training it): either is right.
    first, second, third = advice.ranked()[:3]
    assert {first.name, second.name} == {"head", "stem"}
    assert second.predicted_error < 1.2 * advice.base_error < third.predicted_error


def test_the_advice_holds(unet):
    """Re-training the advised layer beats re-training a layer far from the change."""
    training = st.open_pairs(ocean(1, 12, scale=3.0), **NAMES)
    held_out = st.open_pairs(ocean(2, 12, scale=3.0), **NAMES)
    error = {}
    for layer in ("stem", "middle"):
        tuned, _ = st.transfer(
            unet, training.inputs, training.targets, [layer], st.FitSettings(20, 4, 5e-3)
        )
        with torch.no_grad():
            error[layer] = float((tuned(held_out.inputs) - held_out.targets).square().mean())
    assert error["stem"] < 0.8 * error["middle"]


def test_frozen_weights_and_training_mode_change_nothing(unet, networks):
    expected = st.advise(unet, ocean(1, 6, scale=3.0), **NAMES)
    frozen = networks.UNet()
    frozen.load_state_dict(unet.state_dict())
    frozen.train().requires_grad_(False)
    found = st.advise(frozen, ocean(1, 6, scale=3.0), **NAMES)
    assert found.to_dict() | {"seconds": 0} == expected.to_dict() | {"seconds": 0}
    assert frozen.training
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_explain_of_a_coarse_and_of_a_transposed_layer(unet):
    pairs = st.open_pairs(ocean(1, 4, scale=3.0), periodic=True, **NAMES)
    for layer, shape in {"middle": (12, 11), "up": (24, 21), "down": (24, 21)}.items():
        tuned, _ = st.transfer(unet, pairs.inputs, pairs.targets, [layer], st.FitSettings(1))
        story = explain_layer(unet, tuned, pairs.inputs, pairs.inputs, layer, pairs.grid)
        assert story["response_before"].shape[1:] == shape
        weight = unet.get_parameter(f"{layer}.weight")
        assert int(story["class_count"].sel(stage="after").sum()) == weight.shape[:2].numel()
        assert set(story["layer"].values) == {"stem", "down", "middle", "up", "head"}
        known = math.pi / pairs.grid.spacing[0] * shape[0] / 24  # its Nyquist radius
        gain = story["mean_response"].sel(stage="before")
        assert np.isfinite(gain.where(story["wavenumber"] <= known, drop=True)).all()


def test_cnn_in_one_dimension(networks, tmp_path):
    names = {"inputs": ["u", "forcing"], "targets": ["tendency"]}
    network = trained(networks.cnn1d(), burgers(0), **names)
    rescaled = burgers(1, 16)
    rescaled["forcing"] = rescaled["forcing"] * -3
    rescaled.to_zarr(tmp_path / "rescaled.zarr", consolidated=False)
    advice = st.advise(network, tmp_path / "rescaled.zarr", burgers(0, 16), periodic=True, **names)
    assert_sensible(advice, network)
    sample, held_out = st.open_pairs(rescaled, **names), burgers(2, 32)
    held_out["forcing"] = held_out["forcing"] * -3
    held_out = st.open_pairs(held_out, **names)
    error = {}
    for layer in ("0", "2", "4"):
        tuned, _ = st.transfer(
            network, sample.inputs, sample.targets, [layer], st.FitSettings(80, 4, 1e-2)
        )
        with torch.no_grad():
            error[layer] = float((tuned(held_out.inputs) - held_out.targets).square().mean())
    assert advice.best == (min(error, key=error.get),)
    louder = burgers(1, 16)
    louder["tendency"] = louder["tendency"] * 3 - 0.5
    advice = st.advise(network, louder, periodic=True, **names)
    # The last layer undoes it alone. The one before can too and mends a part of the error that the
    # network has at home, as re-training it does, given time: either is right.
    assert "4" in (*advice.best, *advice.rivals)


def test_pointwise_mlp(networks):
    rng = np.random.default_rng(0)
    fields = smooth(rng, 3 * 24, 10, 14).reshape(3, 24, 10, 14)
    truth = np.stack([fields[0] * fields[1], np.tanh(fields[2]) - fields[0]])
    dims = ("sample", "y", "x")
    data = xr.Dataset({f"in{i}": (dims, values) for i, values in enumerate(fields)})
    data = data.assign({f"out{i}": (dims, values) for i, values in enumerate(truth)})
    names = {"inputs": ["in0", "in1", "in2"], "targets": ["out0", "out1"]}
    network = trained(networks.PointwiseMLP(), data, learning_rate=1e-2, **names)
    target = data.assign(out0=3 * data["out0"] + 1, out1=-data["out1"])
    advice = st.advise(network, target, data, **names)
    assert_sensible(advice, network)
    assert advice.best == ("layers.4",)
    pairs = st.open_pairs(target, **names)
    story = explain_layer(network, network, pairs.inputs, pairs.inputs, "layers.4", pairs.grid)
    assert "response_before" not in story
    assert list(story["layer"].values) == ["layers.0", "layers.2", "layers.4"]


def test_attention_and_batch_norm(networks):
    names = {"inputs": ["u", "forcing"], "targets": ["tendency"]}
    torch.manual_seed(0)
    network = networks.Attention()
    target = burgers(1, 8)
    target["tendency"] = target["tendency"] * 3 - 0.5
    advice = st.advise(network, target, periodic=True, **names)
    assert_sensible(advice, network)
    assert {"attention", "attention.out_proj", "norm"} <= {layer.name for layer in advice.layers}


def test_the_command_line(unet, work):
    save_file(unet.state_dict(), work / "weights.safetensors")
    ocean(1, 12, scale=3.0).to_netcdf(work / "target.nc", engine="h5netcdf")
    ocean(0, 8).to_zarr(work / "base.zarr", consolidated=False)
    command = [
        SPECTUNE,
        "advise",
        "--model",
        "my_networks:UNet",
        "--weights",
        "weights.safetensors",
    ]
    command += ["--target", "target.nc", "--base", "base.zarr", "--out", "advice"]
    command += ["--inputs", "q", "wind", "--targets", "flux"]
    done = subprocess.run(
        command, cwd=work, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    advice = json.loads((work / "advice" / "advice.json").read_text())
    expected = st.advise(unet, work / "target.nc", work / "base.zarr", **NAMES).to_dict()
    assert advice | {"seconds": 0} == expected | {"seconds": 0}
    assert advice["best"] == ["stem"]
    assert advice["reason"].split()[0] in done.stdout
    with xr.open_dataset(work / "advice" / "advice.nc", engine="h5netcdf") as spectra:
        assert spectra.sizes["layer"] == len(advice["layers"])
        assert all(np.isfinite(array).all() for array in spectra.data_vars.values())
    assert any(path.suffix in {".png", ".pdf"} for path in (work / "advice").rglob("*"))
