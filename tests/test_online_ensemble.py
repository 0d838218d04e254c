"""Scores of ensembles, budgets, and the warning before a blow-up."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from les_states import GRID, turbulence, vorticity
from spectune.closures import Smagorinsky
from spectune.coarse import CoarseGraining
from spectune.errors import CaseError
from spectune.grid import Grid
from spectune.online import (
    LESRun,
    budget,
    early_warning,
    ensemble_scores,
    run_ensemble,
    run_les,
    warning_before,
)
from spectune.online.statistics import BLOWN_UP, backscatter_fraction
from spectune.systems import NavierStokes2D, random_vorticity


def les(omega, closure, *, dt=0.01, every=20, snapshots=12, run=run_les, **more):
    options = {"dt": dt, "every": every, "snapshots": snapshots, "progress": lambda _: None}
    return run(turbulence(), omega, closure, **options, **more)


# A closure called less often than the flow is stepped ------------------------------------------


def test_a_closure_called_at_every_second_step_is_of_second_order_in_the_interval():
    omega, closure = vorticity(), Smagorinsky(GRID)

    def end(dt, steps):
        snapshot = {"every": round(0.32 / dt), "snapshots": 1}
        return les(omega, closure, dt=dt, closure_steps=steps, **snapshot).omega[-1].double()

    exact = end(0.00125, 1)
    coarse, fine = (float((end(dt, 2) - exact).norm()) for dt in (0.01, 0.005))
    assert math.log2(coarse / fine) == pytest.approx(2, abs=0.25)
    # The error is that of the interval between two calls, not of the step.
    whole = float((end(0.02, 1) - exact).norm())
    assert coarse == pytest.approx(whole, rel=0.15)


def test_the_closure_is_called_as_often_as_it_says():
    calls = []

    def closure(x):
        calls.append(1)
        return 0 * x[:, 1:]

    les(vorticity(), closure, every=20, snapshots=2, closure_steps=5)
    assert len(calls) == 8 + 2  # and once for each snapshot
    with pytest.raises(CaseError, match="a divisor of 50"):
        les(vorticity(), closure, closure_steps=3)
    with pytest.raises(CaseError, match="every 20 steps and the closure called every 25"):
        les(vorticity(), closure, every=20, closure_steps=25)


# Budgets ---------------------------------------------------------------------------------------


def test_budgets_close_on_the_exact_subgrid_term():
    """All terms together are the rate of the filtered flow, from two states a short time apart."""
    dns = NavierStokes2D(
        Grid.square(96),
        reynolds=200.0,
        forcing_wavenumber=3,
        drag=0.1,
        hyperviscosity=1e-9,
        hypoviscosity=0.2,
        beta=2.0,
    )
    coarse = CoarseGraining(dns, GRID)
    generator = torch.Generator().manual_seed(1)
    state = 2 * dns.project(random_vorticity(dns.grid, peak=6.0, generator=generator))
    rate = coarse.filtered(dns.tendency(state) + dns.linear * state)
    _, omega, pi = coarse.pair(state)
    psi = GRID.inverse(coarse.les.stream_function(GRID.transform(omega)))
    change = GRID.inverse(rate)
    terms = budget(coarse.les, omega[None], pi[None])
    for name, field in (("energy", psi), ("enstrophy", omega)):
        parts = {key: float(v) for key, v in terms.items() if key.startswith(name)}
        assert sum(parts.values()) == pytest.approx(float((field * change).mean()), rel=1e-9)
        assert len(parts) == 4
        assert min(map(abs, parts.values())) > 1e-4 * max(map(abs, parts.values()))
        assert parts[f"{name}_dissipation"] < 0 > parts[f"{name}_drag"]


# Ensembles -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def truth():
    return les(vorticity(), Smagorinsky(GRID))


def planted(truth, factor):
    return replace(truth, omega=factor * truth.omega, pi=factor * truth.pi)


BLOWN = LESRun(torch.zeros(0).double(), torch.zeros(0, 32, 32), torch.zeros(0, 32, 32), 0.5, "boom")


@pytest.fixture(scope="module")
def scores(truth):
    runs = {
        "no closure": [planted(truth, 2.0), planted(truth, 2.0)],
        "same": [truth, truth],
        "two": [planted(truth, 1.1), planted(truth, 1.3)],
        "one of three": [truth, BLOWN, truth],
        "none": [BLOWN, BLOWN],
    }
    return ensemble_scores(runs, truth, turbulence())


def test_spread_of_two_planted_members(scores):
    """ω̄ → c ω̄ makes every relative error of a spectrum c² − 1."""
    one = scores.sel(closure="two")
    errors = np.array([1.1**2 - 1, 1.3**2 - 1])
    for name in ("energy_spectrum_error", "enstrophy_spectrum_error"):
        np.testing.assert_allclose(one[name][:2], errors, rtol=1e-6)
        assert float(one[f"{name}_mean"]) == pytest.approx(errors.mean(), rel=1e-6)
        assert float(one[f"{name}_spread"]) == pytest.approx(errors.std(ddof=1), rel=1e-6)
    assert float(scores["energy_spectrum_error_spread"].sel(closure="same")) == 0
    assert float(one["diffusion_mean"]) == pytest.approx(
        float(scores["truth_diffusion"]) * (1.21 + 1.69) / 2, rel=1e-6
    )
    assert float(one["kurtosis_spread"]) == pytest.approx(0, abs=1e-6)
    terms = [float(one[f"energy_{t}_mean"]) for t in ("dissipation", "drag", "closure")]
    true = [float(scores[f"truth_energy_{t}"]) for t in ("dissipation", "drag", "closure")]
    np.testing.assert_allclose(terms, 1.45 * np.array(true), rtol=1e-5)


def test_blow_ups_count(scores):
    survived = {str(c): float(scores["survived"].sel(closure=c)) for c in scores["closure"].values}
    expected = {"no closure": 1, "same": 1, "two": 1, "one of three": 2 / 3, "none": 0}
    assert survived == pytest.approx(expected)
    assert float(scores["score"].sel(closure="same")) == 1
    assert float(scores["score"].sel(closure="no closure")) == pytest.approx(0, abs=1e-9)
    assert float(scores["score"].sel(closure="one of three")) == pytest.approx((1 - 1 + 1) / 3)
    assert float(scores["score"].sel(closure="none")) == -1
    assert float(scores["energy_spectrum_error_mean"].sel(closure="one of three")) == 0
    assert np.isnan(scores["energy_spectrum_error_mean"].sel(closure="none"))
    horizon = scores["horizon"]
    assert horizon.sel(closure="one of three").values.tolist() == pytest.approx([2.4, 0.5, 2.4])
    assert np.isnan(horizon.sel(closure="same", member=2))  # there is no third member
    assert scores["members"].values.tolist() == [2, 2, 2, 3, 2]


def test_similarity_where_nothing_without_closure_survives(truth):
    """Then each distance of the reference is that of a flow that is not there."""
    runs = {"no closure": [BLOWN], "near": [planted(truth, 1.1)], "same": [truth]}
    scores = ensemble_scores(runs, truth, turbulence())
    near = scores.sel(closure="near", member=0)
    own = 0.5 * (float(near["energy_spectrum_error"]) + float(near["pdf_distance"]))
    assert float(near["similarity"]) == pytest.approx(1 - own / BLOWN_UP)
    assert float(scores["score"].sel(closure="same")) == 1
    assert float(scores["score"].sel(closure="no closure")) == -1


def test_tails():
    """A share p of points at ±a, the rest 0: kurtosis 1/p, and all of p beyond three σ."""
    field = torch.zeros(1, 32, 32)
    field[0, 0, :8], field[0, 1, :8] = 1.0, -1.0
    run = LESRun(torch.tensor([1.0, 2.0]).double(), field.repeat(2, 1, 1), field * 0, None, "")
    run = replace(run, pi=torch.zeros(2, 32, 32))
    scores = ensemble_scores({"no closure": [run]}, run, turbulence())
    assert float(scores["truth_kurtosis"]) == pytest.approx(64, rel=1e-6)
    assert float(scores["truth_tail_probability"]) == pytest.approx(1 / 64)


def test_an_ensemble_needs_what_it_divides_by(truth):
    with pytest.raises(CaseError, match="expected at least one of each closure"):
        ensemble_scores({"a": [truth]}, truth, turbulence())
    with pytest.raises(CaseError, match="expected at least one of each closure"):
        ensemble_scores({"no closure": [truth], "a": []}, truth, turbulence())


# The early warning -----------------------------------------------------------------------------


def test_known_backscatter_fraction():
    """ω̄ = cos x and Π = cos x g(y): T = −cos²x g(y), so that the fraction is that of g alone."""
    y, x = torch.meshgrid(*Grid.square(256).coordinates(), indexing="ij")
    omega = torch.cos(x)[None]
    assert backscatter_fraction(omega, -omega, Grid.square(256)) < 1e-25
    assert backscatter_fraction(omega, omega, Grid.square(256)) == pytest.approx(1)
    # g = cos y has either sign alike.
    half = backscatter_fraction(omega, omega * torch.cos(y), Grid.square(256))
    assert half == pytest.approx(0.5, abs=1e-12)
    # g = −(½ + cos y) scatters back where cos y < −½.
    found = backscatter_fraction(omega, -omega * (0.5 + torch.cos(y)), Grid.square(256))
    expected = (math.sqrt(3) - math.pi / 3) / (2 * math.sqrt(3) + math.pi / 3)
    assert found == pytest.approx(expected, abs=1e-4)
    assert math.isnan(backscatter_fraction(omega, 0 * omega, Grid.square(256)))


def wave(k):
    _, x = torch.meshgrid(*GRID.coordinates(), indexing="ij")
    return torch.cos(k * x)


def run_of(fields, pi=None):
    omega = torch.stack(fields).float()
    time = 0.1 * torch.arange(1, len(fields) + 1).double()
    return LESRun(time, omega, -omega if pi is None else pi, None, "")


def test_a_planted_pile_up_is_seen():
    start = wave(3) + 0.1 * wave(14)
    piled = [wave(3) + 0.1 * math.sqrt(c) * wave(14) for c in (1.5, 4.0, 2.0, 99.0)]
    limit = {"pile-up": 2.0}
    found = early_warning(run_of(piled), start, GRID, until=0.3, thresholds=limit)
    assert found.indicators["pile-up"] == pytest.approx(4.0, rel=1e-5)
    assert found.indicators["drift"] == pytest.approx(math.log(1.04 / 1.01), rel=1e-4)
    assert "enstrophy near the cutoff is 4 times that of the start" in found.verdict
    quiet = early_warning(run_of([start] * 4), start, GRID, until=0.3)
    assert not quiet.expects_blow_up
    assert quiet.verdict == "no sign of a blow-up until t = 0.3"


def test_a_planted_drift_and_planted_backscatter_are_seen():
    start = wave(3)
    grown = run_of([start, 1.5 * start, 2 * start])
    found = early_warning(grown, start, GRID, until=1.0, thresholds={"drift": 1.0})
    assert found.indicators["drift"] == pytest.approx(math.log(4), rel=1e-5)
    assert found.alarms == ("drift",)
    assert "by a factor of 4" in found.verdict
    wild = replace(grown, pi=grown.omega)
    found = early_warning(wild, start, GRID, until=1.0, thresholds={"backscatter": 0.5})
    assert found.alarms == ("backscatter",)
    assert "scatters back 100%" in found.verdict
    before = warning_before(wild.omega, wild.pi, GRID, threshold=0.5)
    assert before.expects_blow_up
    assert "on the filtered states" in before.verdict


def test_planted_growth_and_planted_saturation_are_told_apart():
    """Enstrophy near the cutoff grows by e^0.2 a snapshot, e^0.4 a third, or stands still."""
    start = wave(3) + 0.1 * wave(14)
    limit = {"growth": 0.3}
    for amplitudes, growth in (
        ([math.exp(0.1 * i) for i in range(1, 7)], 0.4),
        ([4.0, 9.0, 9.0, 9.0, 9.0, 9.0], 0.0),
    ):
        run = run_of([wave(3) + 0.1 * a * wave(14) for a in amplitudes])
        found = early_warning(run, start, GRID, until=0.6, thresholds=limit)
        assert found.indicators["growth"] == pytest.approx(growth, abs=1e-5)
        assert found.expects_blow_up == (growth > 0.3)


def test_a_planted_blow_up_is_forecast_from_its_first_part():
    """Π = 4 ω̄ grows without end; Smagorinsky does not."""
    omega = vorticity()
    options = {"every": 2, "snapshots": 100}
    wild = les(omega, lambda x: 4 * x[:, 1:], **options)
    tame = les(omega, Smagorinsky(GRID), **options)
    assert wild.stable_until is not None
    until = 0.3 * wild.stable_until
    assert early_warning(wild, omega, GRID, until=until).expects_blow_up
    assert not early_warning(tame, omega, GRID, until=until).expects_blow_up
    gone = early_warning(wild, omega, GRID, until=wild.stable_until)
    assert gone.alarms == ("blow-up",)
    assert gone.verdict == f"the run blew up before t = {wild.stable_until:g}"


def test_a_warning_needs_dense_snapshots():
    run = run_of([wave(3)] * 4)
    with pytest.raises(CaseError, match=r"found 2 snapshots until t = 0\.2, expected 3 or more"):
        early_warning(run, wave(3), GRID, until=0.2)
    with pytest.raises(CaseError, match="a start of shape"):
        early_warning(run, torch.zeros(8, 8), GRID, until=0.4)
    with pytest.raises(CaseError, match="thresholds of"):
        early_warning(run, wave(3), GRID, until=0.4, thresholds={"luck": 1.0})


def test_members_are_scored_like_runs_alone():
    omega = torch.stack([vorticity(seed=s) for s in range(2)])
    closure = Smagorinsky(GRID)
    together = les(omega, closure, run=run_ensemble)
    truth, alone = together[0], les(omega[1], closure)
    runs = {"no closure": [together[1]], "alone": [alone]}
    scores = ensemble_scores(runs, truth, turbulence())
    for name in ("energy_spectrum_error", "pdf_distance"):
        first, second = (float(scores[name].sel(closure=c, member=0)) for c in runs)
        assert first == pytest.approx(second, rel=1e-3)
