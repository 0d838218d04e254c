"""Every criterion against a computation by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from small_pairs import noise, pairs_of
from spectune.advice import COSTLY, CRITERIA, Problem, score_criteria
from spectune.advice import kfac_decrease as kfac
from spectune.advice.criteria import ranking
from spectune.advice.gradients import gradient_moments
from spectune.advice.jacobian import jacobian_norms
from spectune.advice.shared import SharedPass
from spectune.advice.spectrum_distance import log_spectral_distance
from spectune.data import Normalization
from spectune.landscape import row_moments

ALL = CRITERIA | COSTLY


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
    return score_criteria(case, criteria={name: ALL[name]}, **options).scores[name]


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


def test_fisher_trace(case, by_hand):
    for name, rows in by_hand.items():
        expected = (rows**2).sum(1).mean()
        assert score("Fisher trace", case)[name] == pytest.approx(expected)


def test_gradient_noise(case, by_hand):
    for name, rows in by_hand.items():
        noise_ = rows.var(0, ddof=1).sum()
        expected = ((rows.mean(0) ** 2).sum() - noise_ / len(rows)) / noise_
        assert score("gradient noise", case)[name] == pytest.approx(expected)


def test_gradient_noise_is_unbiased():
    """Residuals of pure noise: signal minus noise averages to zero, and ‖ḡ‖² does not."""
    values = []
    for seed in range(40):
        model = nn.Conv2d(1, 1, 1, bias=False)
        with torch.no_grad():
            model.weight.zero_()
        pairs = pairs_of(noise(4, 1, seed), noise(4, 1, 1000 + seed))
        case = Problem.split(model, pairs, Normalization.identity(1, 1))
        moments = gradient_moments(case)
        layer = case.layers[0]
        chance = moments.total_scatter(layer) / 3 / 4
        values.append((moments.squared_mean(layer) - chance, chance))
    signal, chance = np.mean(values, 0)
    assert abs(signal) < 0.5 * chance


def test_residual_alignment(case):
    shared = SharedPass(case)
    found = COSTLY["residual alignment"](case, shared)
    residual, rows = dense(case)
    for layer in case.layers:
        jacobian = rows[layer.name]
        share = np.square(jacobian.T @ residual).sum() / np.square(residual).sum()
        expected = share / (shared.jacobian_norms[layer.name] / len(residual))
        assert found[layer.name] == pytest.approx(expected)


def test_residual_alignment_of_an_error_that_is_the_kernel():
    """f = w x, y = (w − c) x: K = x xᵀ is R Rᵀ up to a factor, and the alignment is M."""
    model = nn.Conv2d(1, 1, 1, bias=False).double()
    x = noise(6, 1).double()
    y = x * (float(model.weight.detach()) - 0.7)
    case = Problem.split(model, pairs_of(x, y), Normalization.identity(1, 1))
    shared = SharedPass(case)
    exact = float(x.square().sum()) / shared.jacobian_norms["Conv2d"]
    found = COSTLY["residual alignment"](case, shared)["Conv2d"] / exact
    assert found == pytest.approx(x.numel())


def dense(case):
    """Return R (M,) of fit then judge samples, and J (M, weights) of each layer."""
    x = torch.cat([x for x, _ in case.samples()])
    y = torch.cat([y for _, y in case.samples()])
    fixed = {name: value.detach() for name, value in case.model.named_parameters()}
    rows = {}
    for layer in case.layers:
        moving = {name: fixed[name] for name in layer.parameters}

        def run(moving):
            return torch.func.functional_call(case.model, fixed | moving, x).flatten()

        columns = torch.func.jacrev(run)(moving).values()
        rows[layer.name] = torch.cat([c.flatten(1) for c in columns], 1).numpy()
    return (case.model(x) - y).detach().flatten().numpy(), rows


def natural(case, name):
    """Return n₁ᵀ(JᵀJ)⁻¹n₂/‖R‖² with the gradients of the two halves, each taken for the whole."""
    residual, rows = dense(case)
    jacobian = rows[name]
    half = case.fit_targets.numel()
    first = jacobian[:half].T @ residual[:half] * len(residual) / half
    second = jacobian[half:].T @ residual[half:] * len(residual) / (len(residual) - half)
    return first @ np.linalg.pinv(jacobian.T @ jacobian, 1e-9) @ second / (residual @ residual)


def with_targets_of(model, teacher, n=8, channels=2):
    x = noise(n, channels).double()
    with torch.no_grad():
        y = teacher(x) + 0.2 * noise(n, 1, 50).double()
    return Problem.split(model, pairs_of(x, y), Normalization.identity(channels, 1))


def test_kfac_decrease_of_a_linear_convolution_is_that_of_least_squares(monkeypatch):
    monkeypatch.setattr(kfac, "DAMPING", 1e-10)
    torch.manual_seed(0)
    model, teacher = (
        nn.Conv2d(2, 1, 3, padding=1, padding_mode="circular").double() for _ in range(2)
    )
    case = with_targets_of(model, teacher)
    found = score("K-FAC decrease", case)["Conv2d"]
    assert found == pytest.approx(natural(case, "Conv2d"), rel=1e-6)
    residual, rows = dense(case)
    fitted = rows["Conv2d"] @ np.linalg.lstsq(rows["Conv2d"], residual, rcond=None)[0]
    assert found == pytest.approx((fitted @ fitted) / (residual @ residual), rel=0.05)


def test_kfac_decrease_inside_a_pointwise_network(monkeypatch):
    """One value of output a point: both factors are exact at every layer without activation."""
    monkeypatch.setattr(kfac, "DAMPING", 1e-9)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 1, 1, bias=False)).double()
    teacher = nn.Conv2d(2, 1, 1).double()
    case = with_targets_of(model, teacher)
    for name, found in score("K-FAC decrease", case).items():
        assert found == pytest.approx(natural(case, name), rel=1e-4), name


def test_kfac_decrease_of_other_modules_uses_the_diagonal(monkeypatch):
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(2, 1, 1))

        def forward(self, x):
            return (self.gain * x).sum(1, keepdim=True)

    monkeypatch.setattr(kfac, "DAMPING", 1e-12)
    monkeypatch.setattr(kfac, "PROBES", 400)
    case = with_targets_of(Scale().double(), lambda x: 2 * x[:, :1] - x[:, 1:])
    residual, rows = dense(case)
    half, jacobian = case.fit_targets.numel(), rows["Scale"]
    first, second = (2 * jacobian[s].T @ residual[s] for s in (slice(half), slice(half, None)))
    expected = (first * second / np.square(jacobian).sum(0)).sum() / (residual @ residual)
    assert score("K-FAC decrease", case)["Scale"] == pytest.approx(expected, rel=0.05)


def test_kfac_decrease_does_not_overrate_noise():
    """Targets of noise that no layer can predict: one gradient for both sides sees a decrease."""
    torch.manual_seed(0)
    model = nn.Conv2d(2, 1, 3, padding=1).double()
    values = []
    for seed in range(20):
        pairs = pairs_of(noise(4, 2, seed).double(), 9 * noise(4, 1, 500 + seed).double())
        case = Problem.split(model, pairs, Normalization.identity(2, 1))
        values.append(score("K-FAC decrease", case)["Conv2d"])
    assert abs(np.mean(values)) < 0.02 < 19 / (4 * 96)


def test_factors_are_gathered_in_as_many_passes_as_there_is_room_for(case, monkeypatch):
    whole = score("K-FAC decrease", case)
    monkeypatch.setattr(row_moments, "ROOM", 1)
    apart = score("K-FAC decrease", case)
    # Signs are drawn anew in each pass.
    assert apart == pytest.approx(whole, rel=0.3)
    assert list(row_moments.in_groups([3, 1, 5], lambda size: size)) == [[3], [1], [5]]
    monkeypatch.setattr(row_moments, "ROOM", 4)
    assert list(row_moments.in_groups([3, 1, 5, 1], lambda size: size)) == [[3, 1], [5], [1]]


def drift_of(base, target, model=None):
    model = model or nn.Conv2d(base.shape[1], 1, 1).double()
    targets = noise(len(target), 1, 9).double()
    pairs = pairs_of(target, targets)
    home = pairs_of(base, targets[: len(base)])
    normalization = Normalization.identity(base.shape[1], 1)
    return Problem.split(model, pairs, normalization, base=home)


def test_cka_drift_of_covariances_by_hand():
    x, y = noise(4).double(), noise(6, 2, 3).double()
    y = torch.stack((y[:, 0] + 2 * y[:, 1], y[:, 1]), 1)
    found = score("CKA drift", drift_of(x, y))["Conv2d"]
    b, t = (np.cov(v.movedim(1, 0).flatten(1).numpy()) for v in (x, y))
    expected = 1 - (b * t).sum() / np.linalg.norm(b) / np.linalg.norm(t)
    assert found == pytest.approx(expected)
    # Amplitude and mean do not count; exchanged directions have nothing in common.
    assert score("CKA drift", drift_of(x, 3 * x + 1))["Conv2d"] == pytest.approx(0, abs=1e-12)
    one, other = x.clone(), x.clone()
    one[:, 0], other[:, 1] = 1, 1
    assert score("CKA drift", drift_of(one, other))["Conv2d"] == pytest.approx(1)


def test_cka_drift_sees_the_scales_under_the_kernel():
    """One channel: the covariance of its patches is its spectrum, seen through the kernel."""
    rough = noise(4, 1).double()
    smooth = (rough + rough.roll(1, -1) + rough.roll(1, -2) + rough.roll((1, 1), (-1, -2))) / 4
    wide = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular").double()
    assert score("CKA drift", drift_of(rough, smooth, wide))["Conv2d"] > 0.2
    assert score("CKA drift", drift_of(rough, smooth))["Conv2d"] == pytest.approx(0, abs=1e-12)


def test_spectrum_distance_of_a_doubled_field():
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.ReLU()).double()
    model.append(nn.Conv2d(3, 1, 1, bias=False).double())
    x = noise(4).double()
    found = score("spectrum distance", drift_of(x, 2 * x, model))
    assert found == {"0": pytest.approx(math.log(4)), "2": pytest.approx(math.log(4))}
    assert score("spectrum distance", drift_of(x, x, model))["0"] == pytest.approx(0, abs=1e-12)


def test_spectrum_distance_between_boxes():
    """Power laws stay what they are between the shells of another box."""
    k, other = (step * torch.arange(0, 17, dtype=torch.float64) for step in (1.0, 0.8))
    base, target = torch.stack([k**-3, k**-1]), torch.stack([5 * other**-3, other**-1 / 7])
    expected = math.sqrt((math.log(5) ** 2 + math.log(7) ** 2) / 2)
    found = log_spectral_distance((k, base), (other, target))
    assert found == pytest.approx(expected)


def test_ends(case):
    names = [layer.name for layer in case.layers]
    assert ranking(names, score("first layer", case)) == tuple(names)
    assert ranking(names, score("last layer", case)) == tuple(reversed(names))


def test_without_base_data_the_systems_are_not_compared(case):
    missing = set(CRITERIA) - set(score_criteria(case).scores)
    assert missing == {"spectrum distance", "CKA drift"}


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
    first, second = (score_criteria(case, criteria=ALL, seed=3).scores for _ in range(2))
    assert first == second
    assert set(first) == set(ALL)
    for by_layer in first.values():
        assert set(by_layer) <= {layer.name for layer in case.layers}
        assert all(math.isfinite(value) for value in by_layer.values())
