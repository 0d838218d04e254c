"""Blocks by pattern, shared weights, and every kind of layer."""

import copy
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

import spectune as st
from small_pairs import noise, pairs_of
from spectune.advice import COSTLY, CRITERIA, Problem, score_criteria
from spectune.advice.candidates import candidate_layers
from spectune.data import Normalization
from spectune.errors import LayerError
from spectune.grid import Grid


def own_networks():
    path = Path(__file__).with_name("own_networks.py")
    spec = importlib.util.spec_from_file_location("own_networks_of_blocks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_candidates():
    model = st.CNN(2, 1, width=3, depth=4, kernel=3)
    assert [layer.name for layer in candidate_layers(model)] == [f"conv{i}" for i in range(1, 5)]
    block, single = candidate_layers(model, ["conv[12]", "conv4", "conv4"])
    assert (block.name, block.kind) == ("conv[12]", "2 layers")
    assert block.parameters == ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias")
    assert block.size == 3 * 2 * 9 + 3 + 3 * 3 * 9 + 3
    assert (single.name, single.kind) == ("conv4", type(model.conv4).__name__)
    with pytest.raises(LayerError, match=r"no layer matches 'decoder.\*'"):
        candidate_layers(model, ["conv1", "decoder.*"])


def test_criteria_of_a_block_add_up():
    """A block has the squared gradients, traces and weights of its members."""
    torch.manual_seed(0)
    model = st.CNN(2, 1, width=3, depth=3, kernel=3).double()
    pairs = pairs_of(noise(6).double(), noise(6, 1, 4).double())
    identity = Normalization.identity(2, 1)
    apart = score_criteria(Problem.split(model, pairs, identity), criteria=CRITERIA | COSTLY).scores
    joined = score_criteria(
        Problem.split(model, pairs, identity, layers=["conv[12]", "conv3"]),
        criteria=CRITERIA | COSTLY,
    )
    for name in ("Fisher trace", "Hessian trace"):
        expected = apart[name]["conv1"] + apart[name]["conv2"]
        assert joined.scores[name]["conv[12]"] == pytest.approx(expected)
    kfac = apart["K-FAC decrease"]
    assert joined.scores["K-FAC decrease"]["conv[12]"] == pytest.approx(
        kfac["conv1"] + kfac["conv2"]
    )


def test_the_block_that_was_changed_is_found():
    torch.manual_seed(1)
    model = st.CNN(2, 1, width=6, depth=4, kernel=3)
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for name in ("conv1.weight", "conv2.weight"):
            weight = changed.get_parameter(name)
            weight += 0.6 * weight.std() * torch.randn(weight.shape)
        x = noise(24)
        targets = changed(x)
    blocks = ["conv[34]", "conv[12]", "conv4"]
    advice = st.advise(model, pairs_of(x, targets), layers=blocks)
    assert [layer.name for layer in advice.layers] == blocks
    assert advice.best == ("conv[12]",)
    sizes = {layer.name: layer.weights for layer in advice.layers}
    assert sizes["conv[12]"] == sum(
        p.numel() for n, p in model.named_parameters() if n[:5] in ("conv1", "conv2")
    )
    assert advice.layers[1].share == pytest.approx(
        sizes["conv[12]"] / sum(p.numel() for p in model.parameters())
    )
    # The advice can be used as it is.
    tuned, _ = st.transfer(model, x, targets, advice.best, st.FitSettings(1))
    assert torch.equal(tuned.conv3.weight, model.conv3.weight)


class Shared(nn.Module):
    """Two layers with one weight: it moves with the first of them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Conv2d(2, 2, 3, padding=1)
        self.outer = nn.Conv2d(2, 2, 3, padding=1)
        self.outer.weight = self.inner.weight
        self.head = nn.Conv2d(2, 1, 1)

    def forward(self, x):
        return self.head(torch.tanh(self.outer(torch.tanh(self.inner(x)))))


KINDS = {
    "shared": (Shared, Grid((8, 12), (1.0, 1.5), ("y", "x")), 2),
    "attention": (lambda: own_networks().Attention(), Grid((16,), (1.0,), ("x",)), 2),
    "unet": (lambda: own_networks().UNet(), Grid((8, 12), (1.0, 1.5), ("y", "x")), 2),
    "three dimensions": (
        lambda: nn.Sequential(
            nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2), nn.GELU(),
            nn.Conv3d(2, 2, 3, padding=1, groups=2), nn.Conv3d(2, 1, 1),
        ),
        Grid((4, 6, 4), (1.0, 1.5, 1.0), ("z", "y", "x")),
        1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_is_scored_and_forecast(kind):
    build, grid, channels = KINDS[kind]
    torch.manual_seed(0)
    model = build()
    shape = (10, channels)
    x, y = noise(*shape, 1, grid), noise(10, 1, 2, grid)
    home = noise(*shape, 3, grid), noise(10, 1, 4, grid)
    advice = st.advise(model, pairs_of(x, y, grid), pairs_of(*home, grid))
    names = [layer.name for layer in st.training.trainable_layers(model)]
    assert [layer.name for layer in advice.layers] == names
    assert set(advice.rankings) == {*CRITERIA, "attainable decrease"}
    for order in advice.rankings.values():
        assert sorted(order) == sorted(names)
    everywhere = set(CRITERIA) - {"spectrum distance", "CKA drift"}
    for layer in advice.layers:
        assert everywhere <= set(layer.scores)
        assert layer.low <= layer.predicted_error <= layer.high
    idle = {layer.name for layer in advice.layers if layer.obstacle}
    assert idle == ({"spare"} if kind == "unet" else set())
    drifts = {layer.name for layer in advice.layers if "CKA drift" in layer.scores}
    assert drifts >= {"attention": {"embed", "norm", "head"}, "unet": {"stem", "norm", "up"}}.get(
        kind, set(names)
    )
