"""Training, resumption, layer choice and re-training."""

import pytest
import torch
from torch import nn

from spectune.errors import LayerError, StabilityError
from spectune.models import CNN
from spectune.training import (
    FitSettings,
    fit,
    match_layers,
    split_model,
    trainable_layers,
    transfer,
)


def problem(n=24, seed=0):
    generator = torch.manual_seed(seed)
    inputs = torch.randn(n, 2, 16, 16, generator=generator)
    targets = torch.roll(inputs[:, :1], 1, -1) * 0.7 + inputs[:, 1:]
    return inputs, targets


def small(seed=0, depth=4):
    torch.manual_seed(seed)
    return CNN(2, 1, width=6, depth=depth, kernel=3)


def test_fit_learns_a_linear_stencil():
    inputs, targets = problem()
    history = fit(small(), inputs, targets, FitSettings(40, batch=8, learning_rate=1e-2))
    assert history.train[-1] < 0.05 * history.train[0]


def test_interrupted_fit_gives_the_same_bytes(tmp_path):
    inputs, targets = problem()
    settings = FitSettings(6, batch=5)
    whole = small()
    expected = fit(whole, inputs, targets, settings, held_out=problem(8, 1))

    class KilledError(Exception):
        pass

    def kill(epoch):
        if epoch == 3:
            raise KilledError

    path = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        fit(
            small(),
            inputs,
            targets,
            settings,
            held_out=problem(8, 1),
            state_path=path,
            progress=kill,
        )
    resumed = small(seed=99)
    history = fit(resumed, inputs, targets, settings, held_out=problem(8, 1), state_path=path)
    assert history == expected
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_transfer_moves_only_the_chosen_layer_and_not_the_base():
    inputs, targets = problem()
    base = small()
    before = {k: v.clone() for k, v in base.state_dict().items()}
    tuned, history = transfer(base, inputs, targets, ["conv2"], FitSettings(5, batch=8))
    assert all(torch.equal(v, before[k]) for k, v in base.state_dict().items())
    changed = {k for k, v in tuned.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"conv2.weight", "conv2.bias"}
    assert history.train[-1] < history.train[0]


def test_cached_prefix_gives_the_result_of_the_whole_network():
    inputs, targets = problem()
    base = small()

    class Whole(nn.Module):
        """Hides that the network is sequential."""

        def __init__(self):
            super().__init__()
            self.net = base

        def forward(self, x):
            return self.net(x)

    settings = FitSettings(4, batch=8)
    cached, _ = transfer(base, inputs, targets, ["conv3"], settings)
    plain, _ = transfer(Whole(), inputs, targets, ["net.conv3"], settings)
    torch.testing.assert_close(cached(inputs), plain(inputs), atol=1e-6, rtol=1e-5)


def test_split_model_is_the_model():
    model, (inputs, _) = small(), problem()
    for layer in trainable_layers(model):
        prefix, suffix = split_model(model, layer.parameters)
        torch.testing.assert_close(suffix(prefix(inputs)), model(inputs))
        assert dict(suffix.named_parameters()).keys() >= set(layer.parameters)


def test_frozen_batch_norm_keeps_its_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    before = model[1].running_mean.clone()
    tuned, _ = transfer(model, *problem(), ["0"], FitSettings(2))
    assert torch.equal(tuned[1].running_mean, before)
    tuned, _ = transfer(model, *problem(), ["1"], FitSettings(2))
    assert not torch.equal(tuned[1].running_mean, before)


def test_layers_are_matched_by_name_pattern_and_block():
    model = nn.ModuleDict({"encoder": small(), "decoder": small(), "head": nn.Linear(2, 2)})
    layers = trainable_layers(model)
    assert [x.name for x in match_layers(layers, ["encoder.conv[12]"])] == [
        "encoder.conv1",
        "encoder.conv2",
    ]
    assert len(match_layers(layers, ["decoder"])) == 4
    with pytest.raises(LayerError, match=r"no layer matches 'encoder.cnov1'.*encoder\.conv1"):
        match_layers(layers, ["encoder.cnov1"])


def test_a_shared_weight_is_one_layer():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    b.weight, b.bias = a.weight, a.bias
    assert [x.name for x in trainable_layers(nn.Sequential(a, b))] == ["0"]


def test_divergence_is_reported():
    inputs, targets = problem()
    with pytest.raises(StabilityError, match="epoch 1 of 2; lower the learning rate"):
        fit(small(), inputs * float("inf"), targets, FitSettings(2))
