"""How sure the advice is: intervals, and verdicts on planted cases."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import spectune as st
from small_pairs import noise, pairs_of
from spectune.advice import Problem
from spectune.advice.idle import idle_layers
from spectune.advice.intervals import interval_level, mean_interval
from spectune.advice.rescaling import rescale_output
from spectune.advice.shared import SharedPass
from spectune.advice.verdict import Evidence, rivals_of, verdicts
from spectune.data import Normalization

NOT_NEEDED = "no re-training needed"
NO_LAYER = "no layer helps"
RESCALING = "a rescaling of the output would do"
TOO_SMALL = "this sample is too small to tell layers apart"


def generator():
    return torch.Generator().manual_seed(0)


def coverage(draw, mean, n, repeats=400):
    random = generator()
    hits = 0
    for _ in range(repeats):
        low, high = mean_interval(draw(n, random), random)
        hits += low <= mean <= high
    return hits / repeats


def normal(n, random):
    return 1 + 0.3 * torch.randn(n, generator=random)


def skewed(n, random):
    """Log-normal with the spread of errors of snapshots of a flow."""
    return torch.exp(0.5 * torch.randn(n, generator=random))


@pytest.mark.parametrize(("n", "low", "high"), [(2, 0.42, 0.58), (3, 0.68, 0.82), (6, 0.86, 0.94)])
def test_intervals_cover_what_they_say(n, low, high):
    """Standard error of a frequency of 0.9 in 400 repeats: 0.015."""
    assert low <= coverage(normal, 1.0, n) <= high
    assert low <= interval_level(n) <= high


def test_intervals_of_skewed_errors_and_of_more_samples():
    assert 0.81 <= coverage(skewed, float(np.exp(0.125)), 6) <= 0.93
    assert 0.86 <= coverage(normal, 1.0, 20) <= 0.94
    assert interval_level(20) == 0.9
    assert mean_interval(torch.tensor([0.3]), generator()) == (pytest.approx(0.3),) * 2
    assert interval_level(1) == 0


def evidence(bnn=1.0, base=None, rescaled=0.99, idle=(), n=8, **layers):
    spread = 0.05 * torch.cos(torch.arange(n, dtype=torch.float64) * 2.4)
    own = {name: torch.sin(torch.arange(n, dtype=torch.float64) * (3 + i)) * 0.02
           for i, name in enumerate(layers)}  # fmt: skip
    return Evidence(
        bnn + spread,
        base,
        {name: value + spread + own[name] for name, value in layers.items()},
        frozenset(idle),
        rescaled + spread,
    )


def names_of(found):
    return [verdict.name for verdict in verdicts(found, rivals_of(found, generator()), generator())]


def test_a_clear_ranking_needs_no_verdict():
    found = evidence(base=0.2, a=0.3, b=0.4, c=0.31, d=0.6)
    assert rivals_of(found, generator()) == ("c",)
    assert names_of(found) == []


@pytest.mark.parametrize(
    ("base", "bnn", "needed"), [(0.5, 0.45, False), (0.5, 0.54, False), (0.5, 0.56, True)]
)
def test_no_retraining_needed_where_the_target_error_is_that_at_home(base, bnn, needed):
    found = evidence(bnn=bnn, base=base, rescaled=bnn, a=0.3, b=0.4)
    assert (NOT_NEEDED in names_of(found)) is not needed


def test_a_network_that_fails_at_home_is_not_called_good():
    assert names_of(evidence(bnn=1.4, base=1.5, rescaled=1.4, a=0.9, b=1.2)) == []


def test_a_gain_within_the_noise_or_below_one_per_cent_is_none():
    same = evidence(a=1.0, b=1.1)
    assert names_of(same) == [NO_LAYER]
    slight = Evidence(
        torch.ones(8), None, {"a": torch.full((8,), 0.995)}, frozenset(), torch.ones(8)
    )
    assert names_of(slight) == [NO_LAYER]


def test_rescaling_must_give_most_of_the_gain():
    assert names_of(evidence(rescaled=0.35, a=0.3, b=0.6)) == [RESCALING]
    assert names_of(evidence(rescaled=0.60, a=0.3, b=0.6)) == []


def test_too_small_where_most_layers_are_alike_or_few_samples_judge():
    assert names_of(evidence(a=0.3, b=0.305, c=0.302, d=0.7)) == [TOO_SMALL]
    assert names_of(evidence(n=4, a=0.3, b=0.5, c=0.6)) == [TOO_SMALL]
    # Layers that cannot help do not count as told apart.
    idle = evidence(a=0.3, b=0.305, c=1.0, d=1.0, e=1.0, idle="cde")
    assert names_of(idle) == [TOO_SMALL]


def trained_like(seed=3):
    torch.manual_seed(seed)
    return st.CNN(2, 1, width=6, depth=4, kernel=3)


def outputs(model, x):
    with torch.no_grad():
        return model(x)


def found_by(advice):
    return [verdict.name for verdict in advice.verdicts]


def test_planted_nothing_has_changed():
    """Base and target alike; the error is noise that nobody can predict."""
    model, x = trained_like(), noise(24)
    y = outputs(model, x)
    y = y + 0.7 * y.std() * noise(24, 1, 8)
    advice = st.advise(model, pairs_of(x[:12], y[:12]), pairs_of(x[12:], y[12:]))
    assert NOT_NEEDED in found_by(advice)
    assert NO_LAYER in found_by(advice)
    assert "No re-training needed: the network does as well on the target" in advice.reason
    assert json.loads(json.dumps(advice.to_dict()))["verdicts"][0]["name"] == NOT_NEEDED


def test_planted_amplitude():
    model, x = trained_like(), noise(24)
    y = outputs(model, x)
    y = y + 0.2 * y.std() * noise(24, 1, 8)
    target = pairs_of(x[:12], 3 * y[:12] - 1)
    advice = st.advise(model, target, pairs_of(x[12:], y[12:]))
    assert RESCALING in found_by(advice)
    assert NOT_NEEDED not in found_by(advice)
    assert advice.rescaled_error < 0.1 * advice.bnn_error


def test_planted_layers_that_can_do_the_same():
    """Pointwise layers without activation between them: any of them can become the product."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Conv2d(2, 2, 1) for _ in range(4)))
    x = noise(16)
    mixed = torch.stack((x[:, 0] - 2 * x[:, 1] + 1, x[:, 0] + x[:, 1]), 1)
    target = pairs_of(x, mixed + 0.3 * noise(16, 2, 9))
    advice = st.advise(model, target)
    assert TOO_SMALL in found_by(advice)
    assert len(advice.rivals) >= 2
    few = st.advise(model, target, samples=6)
    assert few.interval_level == 0.75
    assert "only 3 samples judge" in few.reason
    assert "(75 % interval" in few.reason


def test_rescaling_is_least_squares_by_channel():
    torch.manual_seed(0)
    model = nn.Conv2d(2, 2, 3, padding=1).double()
    x, y = noise(8).double(), noise(8, 2, 4).double()
    case = Problem.split(model, pairs_of(x, y), Normalization.identity(2, 2))
    found = rescale_output(case)
    f, judged = outputs(model, case.fit_inputs), outputs(model, case.judge_inputs)
    left = torch.empty(2, *judged.shape).double()
    for c in range(2):
        design = np.stack([f[:, c].flatten().numpy(), np.ones(f[:, c].numel())], 1)
        a, b = np.linalg.lstsq(design, case.fit_targets[:, c].flatten().numpy(), rcond=None)[0]
        assert (float(found.factor[c]), float(found.offset[c])) == pytest.approx((a, b))
        left[0, :, c] = a * f[:, c] + b - case.fit_targets[:, c]
        left[1, :, c] = a * judged[:, c] + b - case.judge_targets[:, c]
    torch.testing.assert_close(found.sample_errors, left.square().mean((0, 2, 3, 4)))


class Idle(nn.Module):
    """One layer behind which all units are dead, one that is discarded, one that never runs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.dead = nn.Conv2d(2, 3, 3, padding=1)
        self.discarded = nn.Conv2d(2, 1, 1)
        self.spare = nn.Linear(3, 3)
        self.head = nn.Conv2d(5, 1, 1)
        with torch.no_grad():
            self.dead.weight.zero_()
            self.dead.bias.fill_(-5)

    def forward(self, x):
        dead = torch.relu(self.dead(x))
        return self.head(torch.cat((x, dead), 1)) + 0 * self.discarded(x)


def test_layers_that_cannot_help_are_said_so():
    x = noise(12)
    target = pairs_of(x, x[:, :1] - 2 * x[:, 1:] + 0.1 * noise(12, 1, 5))
    advice = st.advise(Idle(), target)
    obstacles = {layer.name: layer.obstacle for layer in advice.layers}
    assert obstacles == {
        "dead": obstacles["discarded"],
        "discarded": "its weights do not reach the output (dead units, or what discards them, "
        "behind it)",
        "spare": "it is not used when the network runs",
        "head": "",
    }
    assert advice.best == ("head",)
    assert advice.ranked()[0].name == "head"
    assert "Re-training cannot help in dead and discarded: its weights do not" in advice.reason
    assert "Re-training cannot help in spare: it is not used" in advice.reason
    for layer in advice.layers:
        if layer.obstacle:
            assert layer.predicted_error == advice.bnn_error
            assert layer.band == "none"


def test_a_constant_in_front_of_a_normalisation_is_found_by_rounding():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Conv2d(2, 2, 1, groups=2)
            self.shift.weight.requires_grad_(False)
            self.norm = nn.InstanceNorm2d(2)
            self.head = nn.Conv2d(2, 1, 1)

        def forward(self, x):
            return self.head(self.norm(x + self.shift(0 * x)))

    torch.manual_seed(0)
    case = Problem.split(
        Shifted().requires_grad_(True), pairs_of(noise(6), noise(6, 1, 4)),
        Normalization.identity(2, 1),
    )  # fmt: skip
    assert set(idle_layers(case, SharedPass(case))) == {"shift"}
