"""Time schemes against closed forms, order conditions, orders of convergence and stability."""

import math
from decimal import Decimal, getcontext
from functools import partial

import numpy as np
import pytest
import torch

from spectune.errors import StabilityError
from spectune.grid import Grid
from spectune.systems import (
    ARS343,
    ETDRK4,
    SCHEMES,
    AdamsBashforth2CrankNicolson,
    IntegratingFactorRK4,
    NavierStokes2D,
    Simulation,
    Snapshot,
    random_vorticity,
)

ALL = list(SCHEMES.values())
RUNGE_KUTTA = [IntegratingFactorRK4, ETDRK4, ARS343]


def column(*values):
    dtype = torch.complex128 if any(isinstance(v, complex) for v in values) else torch.float64
    return torch.tensor(values, dtype=dtype)


def advance(scheme, state, steps):
    for _ in range(steps):
        state = scheme.step(state)
    return state


def nothing(state):
    return torch.zeros_like(state)


def turbulence(dtype=torch.float64, **options):
    grid = Grid.square(32)
    system = NavierStokes2D(
        grid, reynolds=200.0, forcing_wavenumber=4, drag=0.1, dtype=dtype, **options
    )
    field = 2 * random_vorticity(grid, peak=4, generator=torch.manual_seed(3))
    return system, system.project(field.to(dtype))


# --- order -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("beta", [0.0, 3.0])
def test_order_on_two_dimensional_turbulence(scheme, beta):
    system, start = turbulence(beta=beta)
    reference = advance(IntegratingFactorRK4(system.linear, system.tendency, 1 / 800), start, 320)
    errors = [
        float(
            (advance(scheme(system.linear, system.tendency, dt), start, n) - reference).abs().max()
        )
        for dt, n in ((1 / 50, 20), (1 / 100, 40))
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(scheme.order, abs=0.3)


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("rates", [(-1.0, -4.0, -15.0, 0.5), (-1 + 2j, -4 - 3j, 2j, -15 + 1j)])
def test_order_on_a_stiff_equation_with_a_closed_form(scheme, rates):
    """x' = Lx + x²: 1/x = (1/x₀ + 1/L) exp(−Lt) − 1/L; all the rates L side by side."""
    linear = column(*rates)
    start = torch.full_like(linear, 0.5).to(torch.complex128)
    exact = 1 / ((1 / start + 1 / linear) * torch.exp(-linear) - 1 / linear)
    errors = [
        float((advance(scheme(linear, torch.square, 1 / n), start, n) - exact).abs().max())
        for n in (64, 128)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(scheme.order, abs=0.25)


def test_backward_euler_drag_is_the_authors_scheme_and_of_first_order():
    """(1 + rΔt + νk²Δt/2) ωⁿ⁺¹ = (1 − νk²Δt/2) ωⁿ + Δt (3/2 Nⁿ − 1/2 Nⁿ⁻¹)."""
    system, start = turbulence()
    dt, r = 0.01, 0.1
    theirs = partial(AdamsBashforth2CrankNicolson, backward=-r)
    scheme = theirs(system.linear, system.tendency, dt)
    viscous = system.viscosity * system.grid.squared_wavenumber() * dt / 2
    state, previous = start, system.tendency(start)
    for _ in range(3):
        current = system.tendency(state)
        explicit = dt * (1.5 * current - 0.5 * previous)
        state = ((1 - viscous) * state + explicit) / (1 + r * dt + viscous)
        previous = current
    torch.testing.assert_close(advance(scheme, start, 3), state)
    linear, one = column(-r), torch.ones(1, dtype=torch.complex128)
    errors = [abs(advance(theirs(linear, nothing, 1 / n), one, n) - math.exp(-r)) for n in (8, 16)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(1.0, abs=0.05)


def test_imex_coefficients_meet_every_condition_of_third_order():
    explicit, implicit = np.zeros((2, 4, 4))
    for i in range(4):
        explicit[i, : len(ARS343.explicit[i])] = ARS343.explicit[i]
        implicit[i, : len(ARS343.implicit[i])] = ARS343.implicit[i]
    b, c = np.array(ARS343.weights), implicit.sum(1)
    assert explicit.sum(1) == pytest.approx(c, abs=1e-15)
    conditions = [(b.sum(), 1), (b @ c, 1 / 2), (b @ c**2, 1 / 3)]
    conditions += [(b @ A @ c, 1 / 6) for A in (explicit, implicit)]
    for found, expected in conditions:
        assert found == pytest.approx(expected, abs=1e-15)
    assert implicit[-1] == pytest.approx(b)  # stiffly accurate: L-stable
    # As printed in Ascher, Ruuth & Spiteri 1997, section 2.7.
    printed = [0.4358665215, 0.3212788860, 0.3966543747, -0.105858296, 0.5529291479]
    assert [explicit[i] for i in ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1))] == pytest.approx(
        printed, abs=3e-10
    )
    assert b[1:3] == pytest.approx([1.208496649, -0.644363171], abs=1e-9)


# --- the linear part ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", [IntegratingFactorRK4, ETDRK4])
def test_the_linear_part_is_exact(scheme):
    linear = column(0.0, -1e-9, -1.0, -30.0, 2j, -1 + 5j)
    state = torch.full((6,), 1 + 2j, dtype=torch.complex128)
    found = advance(scheme(linear, nothing, 0.7), state, 3)
    torch.testing.assert_close(found, torch.exp(linear * 2.1) * state)


@pytest.mark.parametrize("scheme", ALL)
def test_steady_states_stay_where_they_are(scheme):
    """Lx + N = 0; the integrating factor is known to miss it where |L|Δt is large."""
    linear = column(-0.5, -20.0, -1e4, -3 + 5j)
    state = torch.ones(4, dtype=torch.complex128)
    found = advance(scheme(linear, lambda x: -linear * torch.ones_like(x), 0.3), state, 5)
    if scheme is IntegratingFactorRK4:
        assert (found - state).abs().max() > 1.0
    else:
        torch.testing.assert_close(found, state)


def test_a_stiff_mode_is_gone_after_one_step_except_with_crank_nicolson():
    linear, one = column(-1e12), torch.ones(1, dtype=torch.complex128)
    after = {scheme.name: complex(scheme(linear, nothing, 1.0).step(one)) for scheme in ALL}
    assert after.pop("AB2CN") == pytest.approx(-1.0)
    assert list(after.values()) == pytest.approx([0.0] * 3, abs=1e-11)


def phi(order, z, digits=60):
    """φ_n(z) = (φ_{n−1}(z) − 1/(n−1)!)/z, φ₀ = exp, with more digits than are lost."""
    getcontext().prec = digits
    value, factorial = Decimal(z).exp(), 1
    for n in range(1, order + 1):
        value = (value - Decimal(1) / factorial) / Decimal(z)
        factorial *= n
    return float(value)


@pytest.mark.parametrize("z", [-1e-12, 1e-7, -1e-3, -0.5, -1.0, 1.0, -3.0, -40.0, -1e3, -1e8])
@pytest.mark.parametrize("kind", [torch.float64, torch.complex128])
def test_exponential_coefficients_keep_their_digits(z, kind):
    scheme = ETDRK4(torch.tensor([z], dtype=kind), nothing, 1.0)
    one, two, three = (phi(n, z) for n in (1, 2, 3))
    expected = {
        "_Q": phi(1, z / 2) / 2,
        "_f1": one - 3 * two + 4 * three,
        "_f2": two - 2 * three,
        "_f3": 4 * three - two,
    }
    # Digits are lost, if at all, relative to Q: f₁ crosses zero, f₁ and f₂ fall like 1/z².
    for name, value in expected.items():
        error = abs(complex(getattr(scheme, name)) - value)
        assert error < 1e-14 * expected["_Q"], name


def test_exponential_coefficients_of_waves():
    """On the imaginary axis, against the Taylor series of φ_n, Σ z^j/(j + n)!."""
    linear = column(0j, 1e-10j, 0.3j, -2j)

    def series(n):
        return sum(linear**j / float(math.factorial(j + n)) for j in range(30))

    scheme = ETDRK4(linear, nothing, 1.0)
    torch.testing.assert_close(
        scheme._f1, series(1) - 3 * series(2) + 4 * series(3), rtol=1e-13, atol=0
    )
    torch.testing.assert_close(scheme._f2, series(2) - 2 * series(3), rtol=1e-13, atol=0)
    torch.testing.assert_close(scheme._f3, 4 * series(3) - series(2), rtol=1e-12, atol=1e-14)


# --- stability ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", RUNGE_KUTTA)
@pytest.mark.parametrize("damping", [0.0, -0.01, -1.0, -30.0, -1e4])
def test_oscillations_are_bounded_up_to_the_limit(scheme, damping):
    inside = torch.linspace(0, scheme.stability_limit - 1e-6, 2001, dtype=torch.float64)
    frequency = torch.cat((inside, inside[-1:] + 0.01))
    linear = torch.full_like(frequency, damping)
    one = torch.ones(len(frequency), dtype=torch.complex128)
    growth = scheme(linear, lambda x: 1j * frequency * x, 1.0).step(one).abs()
    assert growth[:-1].max() <= 1 + 1e-9
    if damping == 0.0:
        assert growth[-1] > 1.001


def growth_of_ab2cn(frequency, damping):
    """Spectral radius of one step on (xⁿ, xⁿ⁻¹) of x' = iλx − Dx with Δt = 1, from the scheme."""
    columns = []
    for state, previous in ((1.0, 0.0), (0.0, 1.0)):
        scheme = AdamsBashforth2CrankNicolson(column(-damping), lambda x: 1j * frequency * x, 1.0)
        scheme.load({"tendency": 1j * frequency * column(previous + 0j), "dt": torch.tensor(1.0)})
        columns.append([complex(scheme.step(column(state + 0j))), state])
    return float(np.abs(np.linalg.eigvals(np.array(columns).T)).max())


def test_adams_bashforth_lives_on_viscosity():
    for frequency in (0.05, 0.1, 0.2):
        excess = growth_of_ab2cn(frequency, 0.0) - 1
        assert excess == pytest.approx(frequency**4 / 4, rel=0.15)
    assert AdamsBashforth2CrankNicolson.stability_limit == 0.0
    limit = AdamsBashforth2CrankNicolson.courant_limit
    assert growth_of_ab2cn(limit, 0.0) == pytest.approx(1.027, abs=1e-3)
    # Damping a step at a CFL number c is c νk_max/U: bounded up to U/(νk_max) = 23, as documented.
    assert growth_of_ab2cn(limit, limit / 22) < 1 < growth_of_ab2cn(limit, limit / 24)


# --- shapes, precision, going on ---------------------------------------------------------------


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("beta", [0.0, 3.0])
def test_ensemble_members_do_not_see_each_other(scheme, beta):
    system, state = turbulence(beta=beta)
    members = torch.stack((state, -0.5 * state, state.flip(-2))).reshape(3, 1, *state.shape)
    together = advance(scheme(system.linear, system.tendency, 0.01), members, 5)
    for member, found in zip(members, together, strict=True):
        alone = advance(scheme(system.linear, system.tendency, 0.01), member[0], 5)
        torch.testing.assert_close(found[0], alone)


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("beta", [0.0, 3.0])
def test_single_precision_follows_double_and_steps_leave_their_argument(scheme, beta):
    ends = []
    for dtype in (torch.float32, torch.float64):
        system, state = turbulence(dtype, beta=beta)
        before = state.clone()
        ends.append(advance(scheme(system.linear, system.tendency, 0.01), state, 20))
        assert torch.equal(state, before)
        assert ends[-1].dtype == dtype.to_complex()
    assert float((ends[0] - ends[1]).abs().max() / ends[1].abs().max()) < 1e-5


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("closed", [False, True])
def test_a_simulation_goes_on_with_the_same_bytes(scheme, closed):
    system, state = turbulence()
    closure = (lambda omega: -0.3 * omega) if closed else None

    def simulation(start):
        return Simulation(system, start, 0.005, closure, scheme=scheme)

    whole = simulation(Snapshot(0, 0.0, state)).snapshots(7)
    middle, end = next(whole), next(whole)
    resumed = next(simulation(middle).snapshots(7))
    assert torch.equal(resumed.state, end.state)
    assert resumed.memory.keys() == end.memory.keys()
    assert bool(middle.memory) == (closed or scheme is AdamsBashforth2CrankNicolson)
    for name, value in middle.memory.items():
        assert isinstance(value, torch.Tensor), name
    if middle.memory:
        forgetful = next(simulation(Snapshot(middle.step, middle.time, middle.state)).snapshots(7))
        assert not torch.equal(forgetful.state, end.state)


def test_memory_of_another_run_is_refused():
    system, state = turbulence()
    theirs = AdamsBashforth2CrankNicolson(system.linear, system.tendency, 0.01)
    assert theirs.state_dict() == {}
    theirs.step(state)
    memory = theirs.state_dict()
    other = AdamsBashforth2CrankNicolson(system.linear, system.tendency, 0.02)
    with pytest.raises(ValueError, match=r"Δt = 0\.01, this run has Δt = 0\.02"):
        other.load(memory)
    with pytest.raises(ValueError, match="tendency"):
        other.load({"velocity": state})
    with pytest.raises(ValueError, match="remembers nothing"):
        ETDRK4(system.linear, system.tendency, 0.01).load(memory)


@pytest.mark.parametrize("scheme", ALL)
def test_a_closure_keeps_second_order(scheme):
    """The closure is a drag, which the system can have of its own."""
    system, start = turbulence()
    closure = partial(torch.mul, -2.0)
    reference = advance(
        IntegratingFactorRK4(system.linear - 2.0, system.tendency, 1 / 800), start, 320
    )
    errors = []
    for dt, steps in ((1 / 160, 64), (1 / 320, 128)):
        run = Simulation(system, Snapshot(0, 0.0, start), dt, closure, scheme=scheme)
        errors.append(float((next(run.snapshots(steps)).state - reference).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("scheme", ALL)
def test_the_tendency_is_evaluated_as_often_as_a_scheme_says(scheme):
    calls = []
    scheme(column(-1.0), lambda x: calls.append(1) or x, 0.1).step(column(1 + 0j))
    assert len(calls) == scheme.stages


def test_a_simulation_knows_the_limit_of_its_scheme():
    system, state = turbulence()
    dt = 1.0 / system.courant_rate(state)  # CFL number 1
    start = Snapshot(0, 0.0, state)
    assert torch.isfinite(next(Simulation(system, start, dt).snapshots(2)).state.abs()).all()
    with pytest.raises(StabilityError, match=r"CFL number 1, limit 0\.5"):
        next(Simulation(system, start, dt, scheme=AdamsBashforth2CrankNicolson).snapshots(2))
