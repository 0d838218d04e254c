"""Two-scale Lorenz-96 against the equations written out, its invariants and its reduced system."""

import cmath
import math

import pytest
import torch

from spectune.coarse.lorenz96 import Lorenz96CoarseGraining
from spectune.systems import IntegratingFactorRK4, Lorenz96


def random_state(system, seed, members=()):
    shape = (*members, system.slow_count, 1 + system.fast_count)
    noise = torch.randn(shape, dtype=torch.float64, generator=torch.manual_seed(seed))
    noise[..., 0] *= 4
    return noise


def advance(system, state, dt, steps):
    scheme = IntegratingFactorRK4(system.linear, system.tendency, dt)
    for _ in range(steps):
        state = scheme.step(state)
    return state


def test_rate_of_change_is_the_equations_written_out():
    K, J, F, h, c, b = 5, 3, 7.0, 0.8, 9.0, 11.0
    system = Lorenz96(K, J, forcing=F, coupling=h, time_ratio=c, space_ratio=b)
    state = random_state(system, 1)
    X, Y = state[:, 0].tolist(), state[:, 1:].flatten().tolist()
    found = system.tendency(state) + system.linear * state
    for k in range(K):
        total = sum(Y[k * J + j] for j in range(J))
        advection = -X[(k - 1) % K] * (X[(k - 2) % K] - X[(k + 1) % K])
        assert float(found[k, 0]) == pytest.approx(advection - X[k] + F - h * c / b * total)
        for j in range(J):
            i, n = k * J + j, K * J
            advection = -c * b * Y[(i + 1) % n] * (Y[(i + 2) % n] - Y[(i - 1) % n])
            expected = advection - c * Y[i] + h * c / b * X[k]
            assert float(found[k, 1 + j]) == pytest.approx(expected)


def test_advection_and_exchange_conserve_energy():
    """Σ X·adv(X) = 0, Σ Y·adv(Y) = 0, and what X loses to Y is what Y gains."""
    system = Lorenz96(12, 5)
    state = random_state(system, 2, members=(20,))
    work = state * system.advection(state)
    size = work.abs().sum((-2, -1))
    assert (work[..., 0].sum(-1).abs() < 1e-14 * size).all()
    assert (work[..., 1:].sum((-2, -1)).abs() < 1e-14 * size).all()
    exchanged = (state * system.exchange(state)).sum((-2, -1))
    assert (exchanged.abs() < 1e-14 * size).all()


def test_energy_is_kept_in_time_without_forcing_and_damping():
    system = Lorenz96(8, 4, forcing=0.0)
    state = random_state(system, 3)
    scheme = IntegratingFactorRK4(0 * system.linear, system.tendency, 1e-4)
    energy = [0.5 * float((state**2).sum())]
    for _ in range(200):
        state = scheme.step(state)
    energy.append(0.5 * float((state**2).sum()))
    assert energy[1] == pytest.approx(energy[0], rel=1e-9)


def test_the_one_scale_system_rests_at_the_forcing():
    system = Lorenz96(10, 0, forcing=8.0)
    state = system.project(torch.full((10,), 8.0))
    assert (system.tendency(state) + system.linear * state).abs().max() == 0
    # F = 8 is unstable, so the rest is kept to the growth of round-off over a short time.
    torch.testing.assert_close(advance(system, state, 0.01, 100), state, atol=1e-9, rtol=0)


@pytest.mark.parametrize("mode", [1, 3, 4])
def test_a_small_wave_on_the_rest_state_grows_at_the_closed_form(mode):
    """δX ∝ exp(2πi mk/K): σ = F(e^{iθ} − e^{−2iθ}) − 1. Source: Lorenz & Emanuel 1998."""
    system = Lorenz96(12, 0, forcing=2.0)
    theta = 2 * math.pi * mode / 12
    wave = 1e-7 * torch.cos(theta * torch.arange(12, dtype=torch.float64))
    end = advance(system, system.project(2.0 + wave), 0.005, 200)[:, 0] - 2.0
    found = torch.fft.rfft(end)[mode].item() / torch.fft.rfft(wave)[mode].item()
    rate = 2.0 * (cmath.exp(1j * theta) - cmath.exp(-2j * theta)) - 1
    assert abs(found - cmath.exp(rate)) < 1e-5 * abs(cmath.exp(rate))


def test_time_scheme_is_of_fourth_order():
    system = Lorenz96(8, 4)
    state = random_state(system, 4) * 0.5
    reference = advance(system, state, 1.25e-4, 400)
    errors = [
        float((advance(system, state, dt, round(0.05 / dt)) - reference).abs().max())
        for dt in (1e-3, 5e-4)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.3)


def test_ensemble_members_do_not_see_each_other():
    system = Lorenz96(8, 4)
    states = random_state(system, 5, members=(2, 2))
    together = advance(system, states, 1e-3, 20)
    for i in range(2):
        for j in range(2):
            torch.testing.assert_close(advance(system, states[i, j], 1e-3, 20), together[i, j])


def test_single_precision_agrees_with_double():
    states = []
    for dtype in (torch.float32, torch.float64):
        system = Lorenz96(8, 4, dtype=dtype)
        states.append(advance(system, system.project(random_state(system, 6)), 1e-3, 50))
    assert states[0].dtype == torch.float32
    assert (states[0] - states[1]).abs().max() < 1e-4 * states[1].abs().max()


def test_the_one_scale_system_with_the_subgrid_term_has_the_tendency_of_x():
    dns = Lorenz96(12, 6, forcing=14.0, coupling=0.7, space_ratio=8.0)
    coarse = Lorenz96CoarseGraining(dns)
    state = random_state(dns, 7, members=(3,))
    truth = coarse.filtered(dns.tendency(state) + dns.linear * state)
    x, subgrid = coarse.pair(state)
    les, slow = coarse.les, coarse.les.project(x)
    model = les.tendency(slow) + les.linear * slow + subgrid[..., None]
    assert les.fast_count == 0
    assert subgrid.abs().max() > 1
    torch.testing.assert_close(model, truth, atol=1e-13 * float(truth.abs().max()), rtol=0)


def test_the_bound_on_the_frequency_holds_and_is_near():
    system = Lorenz96(6, 4)
    state = random_state(system, 8)
    jacobian = torch.autograd.functional.jacobian(system.tendency, state).reshape(30, 30)
    largest = float(torch.linalg.eigvals(jacobian).abs().max())
    assert largest <= system.courant_rate(state) < 5 * largest
    rows = float(jacobian.abs().sum(1).max())
    assert system.courant_rate(state) == pytest.approx(rows, rel=0.1)


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="K ≥ 4"):
        Lorenz96(3, 10)
    with pytest.raises(ValueError, match="J ≥ 0"):
        Lorenz96(8, -1)
    with pytest.raises(ValueError, match=r"found shape \(9,\)"):
        Lorenz96(8, 2).project(torch.zeros(9))
