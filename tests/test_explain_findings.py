"""Named findings of an explanation, planted where the answer is known."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import spectune as st
from small_pairs import noise as any_noise
from small_pairs import pairs_of as any_pairs
from spectune.data import Normalization
from spectune.explain.activations import describe_activations
from spectune.explain.data import describe_data
from spectune.explain.parting import find_parting
from spectune.explain.repair import describe_repair
from spectune.grid import Grid
from spectune.report.explanation_sentences import (
    alignment_sentence,
    corrected_sentence,
    explanation_sentences,
    moved_sentence,
    parting_sentence,
)
from spectune.spectra import LayerSpectra, activation_spectra, nyquist_wavenumber, shell_wavenumbers

GRID = Grid.square(16)
K = shell_wavenumbers(GRID)


def noise(n, channels, seed=0):
    return any_noise(n, channels, seed, GRID)


def pairs_of(inputs, targets):
    return any_pairs(inputs, targets, GRID)


def layers(factors, scatter=0.05, seed=0, samples=8):
    """Layers whose spectra are (1 + k)^−2 times a factor, constant or by shell."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for i, factor in enumerate(factors):
        jitter = torch.randn(samples, len(K), generator=generator, dtype=torch.float64)
        rows = (1 + K) ** -2 * factor * (1 + scatter * jitter)
        mean = rows.mean(0)
        parts = (mean, None, None, mean[None], None, None, rows)
        found.append(LayerSpectra(f"conv{i + 1}", GRID, K, 1.0, *parts))
    return found


def test_the_layer_where_base_and_target_part_and_where_they_are_joined():
    same, raised = torch.ones_like(K), 1 + 9 * (K > 3)
    home = layers([same, same, same, same])
    before = layers([same, raised, raised, raised], seed=1)
    after = layers([same, raised, same, same], seed=2)
    inputs = tuple(layers([same], seed=seed)[0].linear_samples for seed in (3, 4))
    found = find_parting(home, before, after, inputs, GRID)
    assert (found.parts, found.joins) == ("conv2", "conv3")
    assert found.parts_share == found.joins_share == 1
    inner = (K > 0) & (nyquist_wavenumber(GRID) >= K)
    weight = torch.where(inner, 1 / K.clamp(min=1), 0.0)
    expected = 10 * float((weight[K > 3].sum() / weight.sum()).sqrt())
    assert found.parts_rise == pytest.approx(expected, rel=0.1)
    assert float(found.before[3]) == pytest.approx(expected, rel=0.1)
    assert float(found.after[3]) < 0.6


def test_a_distance_that_is_chance_is_found_in_few_resampled_sets():
    same = [torch.ones_like(K)] * 6
    inputs = tuple(layers(same[:1], seed=seed)[0].linear_samples for seed in (3, 4))
    found = find_parting(
        layers(same, 0.3), layers(same, 0.3, 1), layers(same, 0.3, 2), inputs, GRID
    )
    assert found.parts_share < 0.9


def test_equal_activations_part_nowhere():
    home = layers([torch.ones_like(K)] * 2, 0.0)
    inputs = (home[0].linear_samples, home[0].linear_samples)
    found = find_parting(home, home, home, inputs, GRID)
    assert (found.parts, found.joins, found.at_input) == (None, None, 0)


def strided():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, stride=2, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.ConvTranspose2d(5, 3, 2, stride=2),
        nn.Conv2d(3, 1, 1),
    )


def test_every_channel_of_every_layer_in_every_state():
    before = strided()
    after = copy.deepcopy(before)
    with torch.no_grad():
        after[2].weight *= 1.5
    home, away = noise(4, 2, 0), 2 * noise(4, 2, 1)
    found = describe_activations(before, after, home, away, GRID)
    assert list(found["layer"].values) == ["0", "2", "3"]
    assert found["linear_channels"].shape[1:3] == (3, 5)
    first = activation_spectra(before, away, GRID)[0]
    one = found.sel(state="BNN, target input", layer="0")
    count = len(first.wavenumber)
    np.testing.assert_allclose(
        one["nonlinear_channels"][:, :count], first.nonlinear_channels, rtol=1e-6
    )
    np.testing.assert_allclose(one["moved"][:count], first.moved)
    assert np.isnan(one["linear"][count:]).all()
    assert np.isnan(found["linear_channels"].sel(layer="2")[:, 3:]).all()
    assert float(one["nyquist"]) == 0.5 * float(found["nyquist"].sel(layer="3"))
    assert list(found["strided"].values) == ["0"]
    assert (found["aliased_share"] > 0.4).all()  # white noise folds most of its variance
    assert 4 < float(found["distance_of_inputs"]) < 8  # twice the amplitude: 6 dB
    without = describe_activations(before, after, None, away, GRID)
    assert "distance" not in without
    assert np.isnan(without["linear"].sel(state="BNN, base input")).all()


def gain(weight):
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(weight)
    return model


def test_what_was_removed_and_what_could_have_been():
    """A prediction of half the truth has a quarter of it as error; the layer can remove all."""
    x = noise(6, 1)
    pairs = pairs_of(x, x)
    found = describe_repair(gain(0.5), gain(0.75), pairs, Normalization.identity(1, 1), "0")
    inner = found.isel(wavenumber=slice(1, None))
    np.testing.assert_allclose(inner["corrected"], 0.75, rtol=1e-4)
    np.testing.assert_allclose(inner["correctable"], 1, atol=1e-4)
    np.testing.assert_allclose(inner["coherence"], 1, rtol=1e-4)
    np.testing.assert_allclose(found["relative_mse"], [0.25, 0.0625], rtol=1e-3)
    assert "75 % of the error" in corrected_sentence(found)


def test_data_that_differ_in_one_octave():
    base = pairs_of(noise(8, 2, 0), noise(8, 1, 1))
    modes = GRID.transform(noise(8, 2, 2))
    k = GRID.squared_wavenumber().sqrt()
    louder = GRID.inverse(torch.where((k > 2.5) & (k <= 4.5), 5 * modes, modes)).float()
    target = pairs_of(louder, noise(8, 1, 3))
    found = describe_data(base, target)
    where = found["data_significant"].sel(variable="x0")
    assert list(where["band"].values[where.values]) == ["3–4"]
    ratio = float(found["data_ratio"].sel(variable="x0", band="3–4"))
    assert ratio == pytest.approx(np.log(25), abs=0.5)
    alone = describe_data(None, target)
    assert "data_ratio" not in alone
    assert np.isnan(alone["data_spectrum"].sel(flow="base")).all()


def test_each_layer_in_its_own_retraining_and_the_sentences():
    torch.manual_seed(0)
    before = st.CNN(2, 1, width=4, depth=3, kernel=3)
    alone = {}
    for i, name in enumerate(("conv1", "conv2", "conv3")):
        alone[name] = copy.deepcopy(before)
        with torch.no_grad():
            alone[name].get_parameter(f"{name}.weight").mul_(1.1 + 0.1 * i)
    target, base = (pairs_of(noise(6, 2, s), noise(6, 1, s + 9)) for s in (0, 1))
    found = st.explain(before, alone["conv2"], target, base, layer="conv2", alone=alone, samples=5)
    np.testing.assert_allclose(found["weight_change_relative"], [0.1, 0.2, 0.3], rtol=1e-5)
    sentences = explanation_sentences(found)
    assert len(sentences) == 4
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in sentences)
    assert sentences[0] == parting_sentence(found)
    assert "conv2" in alignment_sentence(found)  # a factor has no shape: said, not shown as NaN
    assert "did not change" not in moved_sentence(found)
