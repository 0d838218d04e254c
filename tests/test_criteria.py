"""Every criterion against a computation by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from small_pairs import noise, pairs_of
from spectune.advice import CRITERIA, Problem, score_criteria
from spectune.advice.criteria import ranking
from spectune.advice.gradients import gradient_moments
from spectune.advice.jacobian import jacobian_norms
from spectune.data import Normalization


def network(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, padding=1, bias=False),
        nn.ReLU(), nn.Conv2d(2, 1, 1),
    ).to(dtype)  # fmt: skip


def problem(model, n=6, base=False):
    dtype = next(model.parameters()).dtype
    target = pairs_of(noise(n).to(dtype), noise(n, 1, 100).to(dtype))
    home = pairs_of(noise(4, 2, 7).to(dtype), noise(4, 1, 107).to(dtype)) if base else None
    return Problem.split(model, target, Normalization.identity(2, 1), base=home)


@pytest.fixture
def case():
    return problem(network(torch.float64))


@pytest.fixture
def by_hand(case):
    """Gradients of every sample (n, weights), by layer."""
    parameters = dict(case.model.named_parameters())
    rows = {layer.name: [] for layer in case.layers}
    for layer in case.layers:
        own = [parameters[name] for name in layer.parameters]
        for x, y in case.samples():
            gradients = torch.autograd.grad((case.model(x) - y).square().mean(), own)
            rows[layer.name].append(torch.cat([g.flatten() for g in gradients]).numpy())
    return {name: np.stack(gradients) for name, gradients in rows.items()}


def score(name, case, **options):
    return score_criteria(case, criteria={name: CRITERIA[name]}, **options).scores[name]


def test_moments_of_the_gradients(case, by_hand):
    moments = gradient_moments(case)
    assert moments.samples == 6
    for layer in case.layers:
        rows = by_hand[layer.name]
        for found, expected in (
            (moments.mean, rows.mean(0)),
            (moments.scatter, rows.var(0) * len(rows)),
        ):
            found = np.concatenate([found[name].flatten().numpy() for name in layer.parameters])
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-18)


def test_auto_rgn(case, by_hand):
    parameters = dict(case.model.named_parameters())
    for layer in case.layers:
        theta = torch.cat([parameters[name].detach().flatten() for name in layer.parameters])
        expected = np.linalg.norm(by_hand[layer.name].mean(0)) / float(theta.norm())
        assert score("Auto-RGN", case)[layer.name] == pytest.approx(expected)


def test_auto_snr(case, by_hand):
    for name, rows in by_hand.items():
        expected = (rows.mean(0) ** 2 / rows.var(0, ddof=1)).mean()
        assert score("Auto-SNR", case)[name] == pytest.approx(expected)


def test_norms_of_the_jacobian_and_hessian_trace(case):
    x = torch.cat([x for x, _ in case.samples()])
    y = torch.cat([y for _, y in case.samples()])
    norms = jacobian_norms(case, probes=600, generator=torch.Generator().manual_seed(0))
    trace = score("Hessian trace", case)
    fixed = {name: value.detach() for name, value in case.model.named_parameters()}
    for layer in case.layers:
        exact = 0.0
        for name in layer.parameters:

            def loss(value, name=name):
                out = torch.func.functional_call(case.model, fixed | {name: value}, x)
                return (out - y).square().mean()

            size = fixed[name].numel()
            hessian = torch.autograd.functional.hessian(loss, fixed[name])
            exact += float(hessian.reshape(size, size).trace())
        assert 2 * norms[layer.name] / y.numel() == pytest.approx(exact, rel=0.05), layer.name
        assert trace[layer.name] == pytest.approx(exact, rel=0.5)  # two probes


def test_registry_shares_passes_and_leaves_out_what_is_not_defined(case):
    calls = []

    def partial(problem, shared):
        calls.append(shared.gradients)
        return {problem.layers[1].name: 1.0}

    scored = score_criteria(case, criteria={"one": partial, "two": partial, "none": lambda *_: {}})
    assert calls[0] is calls[1]
    assert list(scored.scores) == ["one", "two"]
    # The pass that both use counts for both, although it ran once.
    assert min(scored.seconds.values()) > 0
    assert scored.seconds["two"] == pytest.approx(scored.seconds["one"], rel=0.5)
    names = [layer.name for layer in case.layers]
    assert ranking(names, scored.scores["one"]) == (names[1], names[0], names[2])


def test_every_criterion_is_finite_and_reproducible():
    case = problem(network(), base=True)
    first, second = (score_criteria(case, seed=3).scores for _ in range(2))
    assert first == second
    assert set(first) == set(CRITERIA)
    for by_layer in first.values():
        assert set(by_layer) <= {layer.name for layer in case.layers}
        assert all(math.isfinite(value) for value in by_layer.values())
