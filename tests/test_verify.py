"""The check of the advice by re-training, and the re-training of chosen layers."""

import copy
import json
import math

import pytest
import torch
from distributed import LocalCluster
from torch import nn

import spectune as st
from small_pairs import noise, pairs_of
from spectune.advice import ALL_LAYERS, Retrained, Sweep, compare, load_retrained, verify
from spectune.data import Normalization
from spectune.errors import CaseError, DataError, LayerError


def sweep_of(errors, bnn_error=1.0):
    layers = tuple(Retrained(name, e, 0.0, 0.0, 1.0) for name, e in errors.items())
    return Sweep(bnn_error, layers, Retrained(ALL_LAYERS, 0.1, 0.0, 0.0, 1.0))


def test_compare_by_hand():
    sweep = sweep_of({"a": 0.4, "b": 0.2, "c": 0.8, "d": 0.6})
    rankings = {"good": "badc", "worst": "cdab", "fixed": "abcd"}
    table = compare({k: tuple(v) for k, v in rankings.items()}, ("good", "worst"), sweep)
    assert table["good"] == {"choice": "b", "rank_of_choice": 1, "regret": 0.0, "spearman": 1.0}
    assert table["worst"]["regret"] == pytest.approx((0.8 - 0.2) / (1 - 0.2))
    assert table["worst"]["rank_of_choice"] == 4
    assert table["worst"]["spearman"] == pytest.approx(-1.0)
    assert table["fixed"]["regret"] == pytest.approx(0.25)
    assert table["fixed"]["spearman"] is None
    assert table["random"]["regret"] == pytest.approx((0.5 - 0.2) / (1 - 0.2))
    assert table["random"]["rank_of_choice"] == 2.5
    assert sweep.seconds == 4.0


def test_compare_with_ties():
    sweep = sweep_of({"a": 0.2, "b": 0.2, "c": 0.5})
    table = compare({"one": ("a", "b", "c"), "two": ("b", "a", "c")}, ("one", "two"), sweep)
    assert table["one"]["regret"] == table["two"]["regret"] == 0
    # Errors have ranks 1½, 1½, 3: r = cov/σσ = 1.5/√(2 · 1.5).
    assert table["one"]["spearman"] == pytest.approx(1.5 / math.sqrt(3))
    assert table["one"]["spearman"] == table["two"]["spearman"]


def test_compare_where_nothing_helps():
    """No re-training beats the base network: a regret has no scale, but must not crash."""
    table = compare({"one": ("a", "b")}, ("one",), sweep_of({"a": 1.0, "b": 1.0}))
    assert table["one"]["regret"] is None
    assert table["one"]["rank_of_choice"] == 1


def test_verify_resumes_and_trains_one_layer_each(tmp_path):
    class Block(nn.Module):
        """Owns a weight beside its layers, and shares one of them."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.scale = nn.Parameter(torch.ones(2, 1, 1))
            self.conv = nn.Conv2d(2, 2, 3, padding=1)
            self.twin = nn.Conv2d(2, 2, 3, padding=1)
            self.twin.weight = self.conv.weight

        def forward(self, x):
            return self.twin(torch.relu(self.conv(self.scale * x)))

    model = nn.Sequential()
    model.add_module("block", Block())
    model.add_module("head", nn.Conv2d(2, 1, 1))
    training, held_out = (
        pairs_of(noise(8), noise(8, 1, 5)),
        pairs_of(noise(4, 2, 9), noise(4, 1, 8)),
    )
    seen = []

    def run():
        seen.clear()
        return verify(
            model, training, held_out, Normalization.identity(2, 1),
            st.FitSettings(2, 4), tmp_path, lambda *a: seen.append(a),
        )  # fmt: skip

    first = run()
    names = ["block", "block.conv", "block.twin", "head"]
    assert [layer.name for layer in first.layers] == names
    assert seen[-1] == (5, 5)
    before = model.state_dict()
    moved = {
        "block": {"block.scale"},
        "block.conv": {"block.conv.weight", "block.conv.bias", "block.twin.weight"},
        "block.twin": {"block.twin.bias"},
        "head": {"head.weight", "head.bias"},
        ALL_LAYERS: set(before),
    }
    for name, expected in moved.items():
        tuned = copy.deepcopy(model)
        load_retrained(tuned, tmp_path, name)
        found = {k for k, v in tuned.state_dict().items() if not torch.equal(v, before[k])}
        assert found == expected, name
    tuned = copy.deepcopy(model)
    load_retrained(tuned, tmp_path, "head")
    with torch.no_grad():
        error = (tuned(held_out.inputs) - held_out.targets).square().mean()
    variance = held_out.targets.var(correction=0)
    assert first.layers[-1].error == pytest.approx(float(error / variance), rel=1e-5)

    weights = (tmp_path / "block.conv.safetensors").read_bytes()
    (tmp_path / "block.conv.json").unlink()
    (tmp_path / "block.conv.safetensors").unlink()
    kept = (tmp_path / "head.json").stat().st_mtime_ns
    second = run()
    assert (tmp_path / "block.conv.safetensors").read_bytes() == weights
    assert (tmp_path / "head.json").stat().st_mtime_ns == kept
    for a, b in zip(
        (*first.layers, first.all_layers), (*second.layers, second.all_layers), strict=True
    ):
        assert (a.name, a.error, a.correlation) == (b.name, b.error, b.correlation)
        assert (a.seconds == b.seconds) is (a.name != "block.conv")


def test_a_sequence_that_runs_one_relu_twice_is_retrained_as_it_is():
    """The part that is cut off to be run once must not lose the second run of a module."""
    torch.manual_seed(0)
    relu = nn.ReLU()
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), relu, nn.Conv2d(4, 4, 3, padding=1), relu, nn.Conv2d(4, 1, 1)
    )
    prefix, suffix = st.training.split_model(model, ["2.weight", "2.bias"])
    torch.testing.assert_close(suffix(prefix(noise(2))), model(noise(2)))


def test_unknown_layers_are_answered_with_the_nearest_names():
    model = st.CNN(2, 1, width=2, depth=3, kernel=3)
    with pytest.raises(LayerError, match=r"no layer matches 'cnov2'; nearest names: conv2"):
        st.transfer(model, noise(4), noise(4, 1), ["cnov2"], st.FitSettings(1))
    with pytest.raises(LayerError, match=r"nearest names: .*the model has 3 layers"):
        st.transfer(model, noise(4), noise(4, 1), ["encoder.*"], st.FitSettings(1))


def small_case():
    torch.manual_seed(0)
    model = st.CNN(2, 1, width=3, depth=3, kernel=3)
    training, held_out = (
        pairs_of(noise(6), noise(6, 1, 5)),
        pairs_of(noise(4, 2, 9), noise(4, 1, 8)),
    )
    return model, training, held_out, Normalization.identity(2, 1)


def scores(sweep):
    return [
        (layer.name, layer.error, layer.correlation, layer.spectrum_error)
        for layer in (*sweep.layers, sweep.all_layers)
    ]


def test_a_folder_of_another_sweep_is_refused(tmp_path):
    model, training, held_out, normalization = small_case()
    run = (normalization, st.FitSettings(1, 3), tmp_path, lambda *_: None)
    verify(model, training, held_out, *run)
    with pytest.raises(DataError, match=r"settings .*'epochs': 1.*, expected .*'epochs': 2"):
        verify(model, training, held_out, normalization, st.FitSettings(2, 3), *run[2:])
    other = training.subset([1, 2, 3])
    with pytest.raises(DataError, match="a network or data that are not these"):
        verify(model, other, held_out, *run)
    with torch.no_grad():
        model.get_parameter("conv1.bias").add_(1)
    with pytest.raises(DataError, match="a network or data that are not these"):
        verify(model, training, held_out, *run)


def test_blocks_are_retrained_together_and_kept_under_their_pattern(tmp_path):
    model, training, held_out, normalization = small_case()
    blocks = ["conv[12]", "conv3", "conv*"]
    sweep = verify(
        model, training, held_out, normalization, st.FitSettings(2, 3), tmp_path,
        lambda *_: None, layers=blocks,
    )  # fmt: skip
    assert [layer.name for layer in sweep.layers] == blocks
    before = model.state_dict()
    for name, frozen in (("conv[12]", {"conv3"}), ("conv3", {"conv1", "conv2"}), ("conv*", set())):
        tuned = copy.deepcopy(model)
        load_retrained(tuned, tmp_path, name)
        same = {k.split(".")[0] for k, v in tuned.state_dict().items() if torch.equal(v, before[k])}
        assert same == frozen
    # All layers under one pattern are all layers.
    assert scores(sweep)[2][1:] == scores(sweep)[3][1:]


def test_a_sweep_runs_each_frozen_layer_once(tmp_path):
    model, training, held_out, normalization = small_case()
    rows = {"conv1": [], "conv2": [], "conv3": []}
    for name, seen in rows.items():
        model.get_submodule(name).register_forward_hook(
            lambda _module, inputs, _output, seen=seen: seen.append(len(inputs[0]))
        )
    run = (normalization, st.FitSettings(2, 3), tmp_path, lambda *_: None)
    verify(model, training, held_out, *run)
    # All six training samples at once: what runs before the layers that move.
    assert [seen.count(6) for seen in rows.values()] == [1, 1, 0]


def test_sets_are_retrained_together(tmp_path):
    model, training, held_out, normalization = small_case()
    sweep = verify(
        model, training, held_out, normalization, st.FitSettings(2, 3), tmp_path,
        lambda *_: None, sets=[["conv1", "conv3"], ["conv1", "conv2", "conv3"]],
    )  # fmt: skip
    assert [layer.name for layer in sweep.layers] == ["conv1", "conv2", "conv3"]
    assert [one.name for one in sweep.sets] == ["conv1 + conv3", "conv1 + conv2 + conv3"]
    tuned = copy.deepcopy(model)
    load_retrained(tuned, tmp_path, "conv1 + conv3")
    before = model.state_dict()
    same = {k.split(".")[0] for k, v in tuned.state_dict().items() if torch.equal(v, before[k])}
    assert same == {"conv2"}
    assert sweep.sets[1].error == sweep.all_layers.error
    assert sweep.to_dict()["sets"][0]["name"] == "conv1 + conv3"


def test_workers_give_the_numbers_of_one_process(tmp_path):
    """And go on with what another process has left."""
    model, training, held_out, normalization = small_case()
    fixed = (model, training, held_out, normalization, st.FitSettings(2, 3))
    here = verify(*fixed, tmp_path / "here", lambda *_: None)
    (tmp_path / "side").mkdir()
    kept = (tmp_path / "here" / "conv2.json").read_bytes()
    (tmp_path / "side" / "conv2.json").write_bytes(kept)
    (tmp_path / "side" / "conv2.safetensors").write_bytes(
        (tmp_path / "here" / "conv2.safetensors").read_bytes()
    )
    seen = []
    # Threads of this process stand for the workers; tests/test_verify_cli.py has real ones.
    with LocalCluster(
        n_workers=2, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    ) as cluster:
        side = verify(
            *fixed, tmp_path / "side", lambda *a: seen.append(a),
            scheduler=cluster.scheduler_address,
        )  # fmt: skip
    assert scores(side) == scores(here)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (tmp_path / "side" / "conv2.json").read_bytes() == kept
    for path in (tmp_path / "here").glob("*.safetensors"):
        assert (tmp_path / "side" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(CaseError, match="expected one of them"):
        verify(*fixed, tmp_path / "no", lambda *_: None, workers=2, scheduler="tcp://a:1")
    with pytest.raises(CaseError, match="no Dask scheduler answers"):
        verify(*fixed, tmp_path / "no", lambda *_: None, scheduler="nowhere")


def test_verify_advice_adds_the_truth_and_resumes(tmp_path):
    torch.manual_seed(1)
    model = st.CNN(2, 1, width=4, depth=3, kernel=3)
    changed = copy.deepcopy(model)
    with torch.no_grad():
        weight = changed.get_parameter("conv2.weight")
        weight += 0.6 * weight.std() * torch.randn(weight.shape)
        x = noise(24)
        pairs = pairs_of(x, changed(x))
    advice = st.advise(model, pairs.subset(range(8)))
    with pytest.raises(CaseError, match="there is no advice"):
        st.verify_advice(model, tmp_path, pairs, settings=st.FitSettings(1))
    advice.save(tmp_path)
    settings = st.FitSettings(30, 4, 1e-2)
    training, held_out = pairs.subset(range(12)), pairs.subset(range(12, 24))
    first = st.verify_advice(model, tmp_path, training, held_out, settings=settings)
    ours = first.comparison["attainable decrease"]
    assert ours["choice"] == "conv2"
    assert ours["regret"] == 0
    assert set(first.comparison) == {*advice.rankings, "random"}
    assert json.loads((tmp_path / "sweep.json").read_text()) == first.to_dict()
    # The later half scores where there are no held-out samples; what is there is not done again.
    stamp = (tmp_path / "sweep" / "conv1.json").stat().st_mtime_ns
    second = st.verify_advice(model, tmp_path, pairs, settings=settings)
    assert second.to_dict() == first.to_dict()
    assert (tmp_path / "sweep" / "conv1.json").stat().st_mtime_ns == stamp
