"""Energy and enstrophy: what goes in, what comes out, and what neither makes nor loses any."""

import math

import pytest
import torch

from spectune.grid import Grid
from spectune.systems import SCHEMES, NavierStokes2D, random_vorticity

FRICTION = {
    "hyperviscosity": 1e-8,
    "hyperviscosity_power": 4,
    "hypoviscosity": 0.4,
    "hypoviscosity_power": 2,
    "drag": 0.1,
}


def mean_product(a, b, grid):
    """⟨ab⟩ of two real fields, summed in physical space."""
    return (grid.inverse(a) * grid.inverse(b)).mean((-2, -1))


def energy_and_enstrophy(system, state):
    """½⟨ψω⟩ = ½⟨u² + v²⟩ and ½⟨ω²⟩."""
    psi = system.stream_function(state)
    return torch.stack([0.5 * mean_product(f, state, system.grid) for f in (psi, state)])


def sources(system, state):
    """Each term of d(E, Z)/dt by name, ⟨ψ·⟩ and ⟨ω·⟩ of the terms of the equation as written."""
    grid, values = system.grid, system.parameters
    k2 = grid.squared_wavenumber()
    small = values["hyperviscosity"] * k2 ** values["hyperviscosity_power"]
    large = values["hypoviscosity"] / k2.clamp(min=1) ** values["hypoviscosity_power"]
    terms = {
        "forcing": -system.forcing,
        "viscosity": -k2 * state / values["reynolds"],
        "hyperviscosity": -small * state,
        "hypoviscosity": -large * state,
        "drag": -values["drag"] * state,
    }
    psi = system.stream_function(state)
    return {
        name: torch.stack([mean_product(f, term, grid) for f in (psi, state)])
        for name, term in terms.items()
    }


@pytest.mark.parametrize("directions", ["xy", "y"])
@pytest.mark.parametrize("beta", [0.0, 3.0])
def test_budgets_of_a_forced_run_close(directions, beta):
    """ΔE and ΔZ against the time integrals of injection, three dissipations and drag.

    The residual is measured by what the forcing gives and takes, not by ΔE, which it nearly
    balances; every term is at least 10⁻³ of it, so that none could be missing.
    """
    system = NavierStokes2D(
        Grid.square(32),
        reynolds=100.0,
        beta=beta,
        forcing_wavenumber=4,
        forcing_directions=directions,
        **FRICTION,
    )
    dt, steps = 1 / 400, 800
    scheme = SCHEMES["ETDRK4"](system.linear, system.tendency, dt)
    state = 2 * system.project(
        random_vorticity(system.grid, peak=4, generator=torch.manual_seed(4))
    )
    content, rates = [energy_and_enstrophy(system, state)], [sources(system, state)]
    for _ in range(steps):
        state = scheme.step(state)
        rates.append(sources(system, state))
    content.append(energy_and_enstrophy(system, state))
    simpson = torch.ones(steps + 1, dtype=torch.float64)
    simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
    totals = {
        name: dt / 3 * (simpson[:, None] * torch.stack([rate[name] for rate in rates])).sum(0)
        for name in rates[0]
    }
    given = totals["forcing"].abs()
    residual = (content[-1] - content[0] - sum(totals.values())).abs() / given
    assert residual.max() < 1e-7
    for name, total in totals.items():
        assert (total.abs() > 1e-3 * given).all(), name


@pytest.mark.parametrize("wave", [(2, 1), (0, 3), (5, -4)])
def test_a_wave_decays_and_travels_with_every_linear_term(wave):
    """exp(−d t) cos(kx + my − σt): d of all frictions, σ = −βk/(k² + m²), to round-off."""
    k, m = wave
    grid = Grid.square(32)
    system = NavierStokes2D(grid, reynolds=40.0, beta=3.0, **FRICTION | {"hyperviscosity_power": 3})
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    state = system.project(torch.cos(k * x + m * y))
    scheme = SCHEMES["IFRK4"](system.linear, system.tendency, 0.1)
    for _ in range(10):
        state = scheme.step(state)
    k2 = k**2 + m**2
    rate = k2 / 40.0 + 1e-8 * k2**3 + 0.4 / k2**2 + 0.1
    expected = math.exp(-rate) * torch.cos(k * x + m * y + 3.0 * k / k2)
    torch.testing.assert_close(grid.inverse(state), expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("scheme", SCHEMES.values())
@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
def test_an_inviscid_run_conserves_to_the_order_of_its_scheme(scheme, dealiasing):
    """Truncated Euler flow: no dissipation at all, Re = ∞; the drift is that of the step alone."""
    system = NavierStokes2D(Grid.square(24), reynolds=math.inf, dealiasing=dealiasing)
    assert system.linear.abs().max() == 0
    fields = [
        random_vorticity(system.grid, peak=4, generator=torch.manual_seed(s)) for s in range(6)
    ]
    start = 3 * system.project(torch.stack(fields))
    drifts = []
    for steps in (96, 192):
        run, state = scheme(system.linear, system.tendency, 1 / steps), start
        for _ in range(steps):
            state = run.step(state)
        drift = energy_and_enstrophy(system, state) / energy_and_enstrophy(system, start) - 1
        drifts.append(drift.square().mean(1).sqrt())
    orders = torch.log2(drifts[0] / drifts[1])
    assert (orders > scheme.order - 0.3).all()
    assert (drifts[1] > 1e-12).all()  # measured, not round-off
