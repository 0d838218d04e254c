"""Kinds of re-training, shared prefixes, sweeps and the Gauss–Newton fit."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from spectune.errors import DataError, LayerError
from spectune.models import CNN, contiguous_weights
from spectune.training import (
    FitSettings,
    GaussNewtonSettings,
    PrefixCache,
    Symmetries,
    TransferData,
    gauss_newton,
    split_model,
    sweep,
    trainable_layers,
    transfer,
)


def problem(n=16, seed=0):
    inputs = torch.randn(n, 2, 12, 12, generator=torch.Generator().manual_seed(seed))
    return inputs, torch.roll(inputs[:, :1], 1, -1) * 0.7 + inputs[:, 1:]


def small(seed=0, depth=4):
    torch.manual_seed(seed)
    return CNN(2, 1, width=6, depth=depth, kernel=3)


class Awkward(nn.Sequential):
    """Every argument that a copy of a convolution could lose."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 4, 3, padding=2, dilation=2, padding_mode="circular"),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(6, 4, 4, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1),
        )


def changes(tuned, base):
    before = base.state_dict()
    return {
        name: value - before[name]
        for name, value in tuned.state_dict().items()
        if not torch.equal(value, before[name])
    }


@pytest.mark.parametrize("kind", ["full", "bias", "scale", "low-rank"])
@pytest.mark.parametrize("layer", ["0", "2"])
def test_each_kind_changes_what_it_says_and_lowers_the_error(kind, layer, tmp_path):
    torch.manual_seed(0)
    base = Awkward()
    settings = FitSettings(8, batch=4, learning_rate=2e-2)
    tuned, history = transfer(base, *problem(), [layer], settings, kind=kind, rank=1)
    assert history.train[-1] < history.train[0]
    change = changes(tuned, base)
    assert set(change) == (
        {f"{layer}.bias"} if kind == "bias" else {f"{layer}.weight", f"{layer}.bias"}
    )
    if kind == "scale":
        weight, bias = (base.get_parameter(f"{layer}.{name}") for name in ("weight", "bias"))
        ratio = tuned.get_parameter(f"{layer}.weight") / weight
        scale = ratio.flatten(1).mean(1)
        torch.testing.assert_close(ratio, scale.reshape(-1, 1, 1, 1).expand_as(ratio))
        torch.testing.assert_close(tuned.get_parameter(f"{layer}.bias"), scale * bias)
    if kind == "low-rank":
        assert int(torch.linalg.matrix_rank(change[f"{layer}.weight"].flatten(1), rtol=1e-4)) == 1
    # What was learnt is in plain layers, under the names of the base network.
    assert type(tuned.get_submodule(layer)) is nn.Conv2d
    save_file(contiguous_weights(tuned), tmp_path / "tuned.safetensors")
    again = Awkward()
    again.load_state_dict(load_file(tmp_path / "tuned.safetensors"))
    torch.testing.assert_close(again(problem()[0]), tuned(problem()[0]))


def test_a_resumed_low_rank_fit_is_the_uninterrupted_one(tmp_path):
    class KilledError(Exception):
        pass

    def kill(epoch):
        if epoch == 2:
            raise KilledError

    settings, base = FitSettings(4, batch=4), small()
    arguments = base, *problem(), ["conv2"], settings
    expected, _ = transfer(*arguments, kind="low-rank")
    path = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        transfer(*arguments, kind="low-rank", state_path=path, progress=kill)
    found, _ = transfer(*arguments, kind="low-rank", state_path=path)
    assert not changes(found, expected)


def test_kinds_that_a_layer_does_not_have():
    base, settings = Awkward(), FitSettings(1)
    with pytest.raises(LayerError, match=r"'4' .*has no bias"):
        transfer(base, *problem(), ["4"], settings, kind="bias")
    with pytest.raises(LayerError, match=r"'6' is a ConvTranspose2d.*kind 'full'"):
        transfer(base, *problem(), ["6"], settings, kind="scale")
    with pytest.raises(LayerError, match="rank 0"):
        transfer(base, *problem(), ["0"], settings, kind="low-rank", rank=0)
    with pytest.raises(LayerError, match="kind 'lora': expected 'full'"):
        transfer(base, *problem(), ["0"], settings, kind="lora")


def test_an_advice_or_one_name_is_as_good_as_a_list():
    base, settings = small(), FitSettings(1)
    expected, _ = transfer(base, *problem(), ["conv3"], settings)
    for layers in ("conv3", SimpleNamespace(best=("conv3",))):
        assert not changes(transfer(base, *problem(), layers, settings)[0], expected)


def nested():
    torch.manual_seed(0)
    return nn.Sequential(
        small(depth=2),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 1, 3, padding=1)),
    )


def test_sequences_in_sequences_are_split():
    model, (x, _) = nested(), problem()
    for layer in trainable_layers(model):
        prefix, suffix = split_model(model, layer.parameters)
        torch.testing.assert_close(suffix(prefix(x)), model(x))
        assert set(layer.parameters) <= dict(suffix.named_parameters()).keys()
        first = next(name for name, _ in suffix.named_parameters())
        assert first == layer.parameters[0]


def test_a_sweep_runs_each_frozen_layer_once():
    model, data = nested(), TransferData(*problem(), problem(4, 1))
    calls = []
    for name in ("0.conv1", "0.conv2", "2.0"):
        model.get_submodule(name).register_forward_hook(
            lambda module, _, output: calls.append(len(output)) if not module.training else None
        )
    settings = FitSettings(2, batch=4)
    expected = {
        layer.name: transfer(model, *problem(), [layer.name], settings, held_out=problem(4, 1))
        for layer in trainable_layers(model)
    }
    calls.clear()
    cache = PrefixCache(data.inputs)
    for layer in trainable_layers(model):
        cache(split_model(model, layer.parameters)[0])
    assert calls == [16, 16, 16]
    for name, tuned, history in sweep(model, data, settings):
        assert history == expected[name][1]
        assert not changes(tuned, expected[name][0])


def test_a_prefix_that_does_not_continue_the_last_starts_anew():
    model, (x, _) = small(), problem()
    cache = PrefixCache(x)
    for name in ("conv4.weight", "conv2.weight", "conv3.weight"):
        prefix, _ = split_model(model, [name])
        torch.testing.assert_close(cache(prefix), prefix(x))


def test_gauss_newton_solves_a_linear_problem_in_one_round():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 1, 3, padding=1, padding_mode="circular")).double()
    x = problem()[0].double()
    y = torch.randn(16, 1, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    padded = nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
    rows = nn.functional.unfold(padded, 3).movedim(1, 2).reshape(-1, 18)
    rows = torch.cat([rows, torch.ones(len(rows), 1, dtype=rows.dtype)], dim=1)
    best = torch.linalg.lstsq(rows, y.reshape(-1, 1)).solution
    settings = GaussNewtonSettings(rounds=1, iterations=30, damping=0.0)
    history = gauss_newton(model, x, y, settings)
    torch.testing.assert_close(model[0].weight.detach().flatten(), best[:-1, 0], rtol=0, atol=1e-6)
    assert history.train[0] == pytest.approx(
        float((rows @ best - y.reshape(-1, 1)).square().mean())
    )


@pytest.mark.parametrize("layers", [["conv1"], ["conv3"], ["conv2", "conv4"]])
@pytest.mark.parametrize("samples", [None, 10])
def test_gauss_newton_beats_as_many_epochs_of_adam(layers, samples):
    base, held_out = small(), problem(8, 1)
    settings = GaussNewtonSettings(rounds=3, iterations=5, samples=samples)
    tuned, history = transfer(base, *problem(), layers, settings, held_out=held_out)
    adam = FitSettings(30, batch=8, learning_rate=1e-3)
    _, reference = transfer(base, *problem(), layers, adam, held_out=held_out)
    assert history.held_out[-1] < reference.held_out[-1]
    assert {name.split(".")[0] for name in changes(tuned, base)} == set(layers)


def test_gauss_newton_says_what_it_has_not():
    with pytest.raises(DataError, match="has no symmetries"):
        transfer(
            small(),
            *problem(),
            ["conv1"],
            GaussNewtonSettings(),
            symmetries=Symmetries((-1, -1), (-1,)),
        )
