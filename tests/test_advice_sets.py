"""Sets of layers by greedy growth, and short re-trainings with successive halving."""

import copy
import math

import pytest
import torch
from torch import nn

import spectune as st
from small_pairs import noise, pairs_of
from spectune.advice import COSTLY, Problem
from spectune.advice.attainable import attainable_decrease
from spectune.advice.sets import grow_set
from spectune.advice.shared import SharedPass
from spectune.data import Normalization


class Branches(nn.Module):
    """One convolution for each input channel; their sum."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (
            nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular") for _ in range(3)
        )

    def forward(self, x):
        return self.first(x[:, :1]) + self.second(x[:, 1:2]) + self.third(x[:, 2:])


def planted(changed, samples=16):
    """Branches, and pairs that follow from them once some have other weights, with some noise."""
    torch.manual_seed(1)
    model = Branches()
    other = copy.deepcopy(model)
    with torch.no_grad():
        for name, by in changed.items():
            other.get_parameter(f"{name}.weight").mul_(by)
        inputs = noise(samples, 3)
        targets = other(inputs) + 0.05 * noise(samples, 1, 3)
    return model, pairs_of(inputs, targets)


def case_of(model, pairs, **options):
    return Problem.split(model, pairs, Normalization.identity(pairs.inputs.shape[1], 1), **options)


def test_two_changed_layers_are_found_together():
    model, pairs = planted({"first": 2.0, "third": 3.0})
    case = case_of(model, pairs)
    singles = [attainable_decrease(case, [layer]) for layer in case.layers]
    (one, _), (two, forecast) = grow_set(case, singles, 3)
    assert one == ("third",)
    assert two == ("third", "first")
    # Nothing is left but the noise.
    assert forecast.error == pytest.approx(0.05**2, rel=0.1)


def test_few_samples_allow_few_weights():
    """Pure noise cannot be repaired: the more weights, the worse, unless samples abound."""
    model = nn.Sequential(
        nn.Conv2d(2, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
        nn.Conv2d(24, 1, 1),
    )  # fmt: skip
    pairs = pairs_of(noise(6), noise(6, 1, 5))
    sizes = {}
    for training in (6, 10_000):
        case = case_of(model, pairs, training=training)
        singles = [attainable_decrease(case, [layer]) for layer in case.layers]
        sets = grow_set(case, singles, 3)
        sizes[training] = sum(layer.size for layer in case.layers if layer.name in sets[-1][0])
    assert sizes[6] < sizes[10_000]


def test_the_advice_names_the_set():
    model, pairs = planted({"first": 2.0, "third": 3.0})
    advice = st.advise(model, pairs, set_size=2)
    assert advice.best == ("third", "first") == advice.sets[0].layers
    assert advice.sets[0].weights == 20
    assert advice.sets[0].predicted_error < advice.ranked()[0].predicted_error
    assert "Re-trained together, third and first (66.7 % of the weights) to 0.00." in advice.reason
    tuned, _ = st.transfer(
        model, pairs.inputs, pairs.targets, advice.best, st.FitSettings(20, 4, 5e-3)
    )
    assert not torch.equal(tuned.first.weight, model.first.weight)
    assert torch.equal(tuned.second.weight, model.second.weight)


def test_the_outlook_falls_with_the_samples_as_optimism_does():
    """E(N) = a + b/N, b from the difference of the errors on fitted and judging samples."""
    model, pairs = planted({"first": 2.0, "third": 3.0})
    outlook = st.advise(model, pairs, set_size=2).outlook
    assert outlook.training == 16
    assert outlook.samples == (5, 8, 16, 32, 80, 160)  # 5 were fitted
    assert list(outlook.errors) == ["third", "third + first", "all layers"]
    errors = torch.tensor(outlook.errors["all layers"], dtype=torch.float64)
    share = 1 / torch.tensor(outlook.samples, dtype=torch.float64)
    slopes = errors.diff() / share.diff()
    assert slopes.min() > 0
    torch.testing.assert_close(slopes, slopes[:1].expand(5), rtol=1e-3, atol=0)


def test_the_outlook_has_the_forecasts_of_the_advice():
    model, pairs = planted({"first": 2.0, "third": 3.0})
    advice = st.advise(model, pairs, set_size=2)
    here = advice.outlook.samples.index(16)
    alone, together, everything = (errors[here] for errors in advice.outlook.errors.values())
    assert alone == pytest.approx(advice.ranked()[0].predicted_error)
    assert together == pytest.approx(advice.sets[0].predicted_error)
    assert f"on 16 samples, are forecast to leave {everything:.2f};" in advice.reason
    assert st.advise(model, pairs).outlook is None


def test_short_retraining_ranks_by_what_re_training_reaches():
    model, pairs = planted({"second": 3.0})
    case = case_of(model, pairs)
    scores = COSTLY["short re-training"](case, SharedPass(case))
    # One of three went on to the second rung, and to the last.
    assert sorted(math.ceil(score) for score in scores.values()) == [0, 0, 2]
    assert max(scores, key=scores.get) == "second"


def test_thorough_advice_has_the_costly_criteria():
    model, pairs = planted({"second": 3.0}, samples=6)
    advice = st.advise(model, pairs, thorough=True)
    assert set(COSTLY) <= set(advice.rankings)
    assert not set(COSTLY) & set(st.advise(model, pairs).rankings)


def test_a_set_and_its_best_layer_are_told_with_their_own_numbers():
    model, pairs = planted({"first": 2.0, "third": 3.0})
    advice = st.advise(model, pairs, set_size=2)
    (alone,) = (layer for layer in advice.layers if layer.name == "third")
    assert f"Re-training third alone ({100 * alone.share:.1f} % of the weights)" in advice.reason
    assert f"bring the error to {alone.predicted_error:.2f} (" in advice.reason
    assert f"of the weights) to {advice.sets[-1].predicted_error:.2f}." in advice.reason
    assert advice.sets[-1].predicted_error < 0.5 * alone.predicted_error
