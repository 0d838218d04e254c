"""Steady and random forcing: amplitude, power, and the same noise for whoever asks."""

import json
import math

import numpy as np
import pytest
import torch

from spectune.coarse import CoarseGraining
from spectune.errors import CaseError
from spectune.grid import Grid, resize
from spectune.systems import (
    SCHEMES,
    IntegratingFactorRK4,
    NavierStokes2D,
    Simulation,
    Snapshot,
    random_vorticity,
    ring_forcing,
)

RING = {"injection_rate": 0.3, "ring_wavenumber": 6.0, "ring_half_width": 1.5, "noise_seed": 7}


def rest(system, *members):
    return torch.zeros(*members, *system.grid.half_shape, dtype=system.dtype.to_complex())


def energy(system, state):
    """½ mean(u² + v²) of each member, in physical space."""
    return 0.5 * (system.velocity(state) ** 2).mean((-2, -1)).sum(0)


def ring(n=32, dealiasing="2/3", **changes):
    options = {"reynolds": 100.0, "drag": 0.1} | RING | changes
    return NavierStokes2D(Grid.square(n), dealiasing=dealiasing, **options)


# --- steady ------------------------------------------------------------------------------------


def test_kolmogorov_flow_spins_up_along_its_closed_form():
    """u = χ sin(ky)/λ (1 − exp(−λt)), λ = νk² + r: no advection, so every step size is exact."""
    grid, k, chi, t = Grid.square(32), 4, 2.5, 3.0
    system = NavierStokes2D(
        grid,
        reynolds=20.0,
        drag=0.1,
        forcing_wavenumber=k,
        forcing_directions="y",
        forcing_amplitude=chi,
    )
    run = Simulation(system, Snapshot(0, 0.0, rest(system)), t / 40, scheme=SCHEMES["ETDRK4"])
    u, v = system.velocity(next(run.snapshots(40)).state)
    rate = k**2 / 20.0 + 0.1
    y = grid.coordinates()[0][:, None].expand(grid.shape)
    torch.testing.assert_close(u, chi * torch.sin(k * y) / rate * (1 - math.exp(-rate * t)))
    assert v.abs().max() < 1e-14


def test_directions_add_up_to_the_whole_forcing():
    grid = Grid.square(32)
    parts = [
        NavierStokes2D(grid, reynolds=1.0, forcing_wavenumber=3, forcing_directions=d).forcing
        for d in ("x", "y", "xy")
    ]
    assert torch.equal(parts[0] + parts[1], parts[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forcing_wavenumber": 11}, r"wavenumber is 11, but 32 points evolve the modes 0 … 10"),
        ({"forcing_wavenumber": 2.5}, r"wavenumber is 2\.5"),
        ({"forcing_wavenumber": 4, "forcing_directions": "z"}, r"'x', 'y' or 'xy', found 'z'"),
        (RING | {"ring_wavenumber": 10.0}, r"reaches \|k\| = 11\.5, but .* up to 10"),
        (RING | {"ring_wavenumber": 6.5, "ring_half_width": 0.01}, r"no wavenumber .* 6\.49"),
        (RING | {"ring_wavenumber": 0.0, "ring_half_width": 0.5}, r"no wavenumber"),
        (RING | {"injection_rate": -1.0}, r"ε ≥ 0, found -1"),
        (RING | {"noise_seed": -1}, r"seed from 0"),
        ({"reynolds": 0.0}, r"Re > 0, found 0"),
        ({"hyperviscosity": -1.0}, r"hyperviscosity of 0 or more, found -1"),
        ({"hypoviscosity": math.nan}, r"hypoviscosity of 0 or more, found nan"),
        ({"hyperviscosity_power": 1}, r"from 2 to 32, found 1; 1 is viscosity"),
        ({"hypoviscosity_power": 0}, r"from 1 to 32, found 0; 0 is drag"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(CaseError, match=message):
        NavierStokes2D(Grid.square(32), **{"reynolds": 10.0} | options)


def test_parameters_rebuild_the_system():
    system = ring(beta=2.0, hyperviscosity=1e-6, hypoviscosity=0.2, forcing_wavenumber=4)
    again = NavierStokes2D(system.grid, **json.loads(json.dumps(system.parameters)))
    assert torch.equal(again.linear, system.linear)
    assert torch.equal(again.forcing, system.forcing)
    kicks = [s.noise.kick(rest(s), 0.1, step=3) for s in (system, again)]
    assert torch.equal(*kicks)


# --- the power of the noise --------------------------------------------------------------------


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2", "none"])
@pytest.mark.parametrize(("middle", "half_width"), [(1.0, 0.0), (6.0, 1.5), (5.0, 0.0), (2.0, 3.0)])
def test_every_pair_of_the_ring_gets_its_share_of_the_power(
    monkeypatch, dealiasing, middle, half_width
):
    """|Z| = 1 in place of ⟨|Z|²⟩ = 1 makes the mean exact: ½⟨|u|²⟩ = εΔt from rest."""
    monkeypatch.setattr(
        ring_forcing,
        "standard_increment",
        lambda size, **_: np.exp(1j * np.arange(size)),
    )
    system = ring(32, dealiasing, ring_wavenumber=middle, ring_half_width=half_width)
    kick = system.noise.kick(rest(system), 0.02, step=0)
    assert energy(system, kick) == pytest.approx(0.3 * 0.02, rel=1e-13)
    k2 = system.grid.squared_wavenumber()
    k = k2.sqrt()
    inside = (k >= middle - half_width) & (k <= middle + half_width) & (k > 0)
    assert torch.equal(kick.abs() > 0, inside)
    shares = (kick.abs() ** 2 / k2.clamp(min=1))[inside]
    torch.testing.assert_close(shares, shares[0].expand_as(shares), rtol=1e-13, atol=0)


def test_the_noise_is_a_real_field_of_zero_mean_in_the_evolved_modes():
    system = ring(32, "3/2", ring_wavenumber=8.0, ring_half_width=7.0)
    kick = system.noise.kick(rest(system, 3), 1.0, step=5)
    field = system.grid.inverse(kick)
    torch.testing.assert_close(system.grid.transform(field), kick, atol=1e-14, rtol=0)
    torch.testing.assert_close(system.project(field), kick, atol=1e-14, rtol=0)
    assert (kick[:, 0, 0] == 0).all()


@pytest.mark.parametrize("dt", [0.02, 0.005])
def test_a_running_flow_gets_the_given_power(dt):
    """⟨E after − E before a kick⟩ = εΔt whatever flows; its error is known from its scatter."""
    system = ring(24, ring_wavenumber=4.0, ring_half_width=1.0, reynolds=50.0)
    scheme = IntegratingFactorRK4(system.linear, system.tendency, dt)
    state = rest(system, 16)
    given = []
    for step in range(300):
        state = scheme.step(state)
        before = energy(system, state)
        state = system.noise.kick(state, dt, step=step)
        given.append((energy(system, state) - before) / dt)
    given = torch.stack(given)
    error = float(given.std()) / given.numel() ** 0.5
    assert error < 0.1 * 0.3
    assert float(given.mean()) == pytest.approx(0.3, abs=3 * error)
    # The flow is alive: it works against most kicks or with them, not at right angles.
    assert float(given.std()) > 3 * 0.3 / 4


# --- whose noise it is -------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES.values())
def test_a_noisy_run_goes_on_with_the_same_bytes(scheme):
    system = ring()
    start = system.project(random_vorticity(system.grid, peak=4, generator=torch.manual_seed(1)))

    def simulation(snapshot):
        return Simulation(ring(), snapshot, 0.005, scheme=scheme)

    whole = simulation(Snapshot(0, 0.0, start)).snapshots(7)
    middle, end = next(whole), next(whole)
    before = middle.state.clone()
    assert torch.equal(next(simulation(middle).snapshots(7)).state, end.state)
    assert torch.equal(middle.state, before)  # the noise was not added to the snapshot


def test_a_member_has_its_noise_in_any_company():
    system = ring()
    fields = [
        random_vorticity(system.grid, peak=4, generator=torch.manual_seed(s)) for s in range(4)
    ]
    states = system.project(torch.stack(fields))

    def end(state, **options):
        run = Simulation(system, Snapshot(0, 0.0, state), 0.005, **options)
        return next(run.snapshots(5)).state

    together = end(states)
    torch.testing.assert_close(end(states.reshape(2, 2, *states.shape[1:])).flatten(0, 1), together)
    torch.testing.assert_close(end(states[2:], first_member=2), together[2:])
    torch.testing.assert_close(end(states[3], first_member=3), together[3])


def test_single_precision_has_the_same_noise():
    kicks = [
        (s := ring(dtype=dtype)).noise.kick(rest(s), 0.1, step=2)
        for dtype in (torch.float32, torch.float64)
    ]
    assert kicks[0].dtype == torch.complex64
    torch.testing.assert_close(kicks[0].to(torch.complex128), kicks[1], rtol=1e-6, atol=0)


# --- large-eddy simulation ---------------------------------------------------------------------


def test_the_noise_of_a_mode_does_not_depend_on_the_grid():
    small, large = ring(32), ring(64)
    kicks = [s.noise.kick(rest(s), 0.1, step=2) for s in (small, large)]
    assert torch.equal(resize(kicks[1], large.grid, small.grid), kicks[0])
    on_fewer = large.on(Grid.square(12), "3/2")  # evolves |k_i| ≤ 5 of a ring 4.5 … 7.5
    kick = on_fewer.noise.kick(rest(on_fewer), 0.1, step=2)
    kept = resize(kicks[1], large.grid, on_fewer.grid) * on_fewer.mask
    assert torch.equal(kick, kept)
    assert kick.abs().max() > 0


def test_a_coarse_grid_carries_the_forcing_that_it_can():
    """k_f = 10 is no mode of 16 points, and must not pass for mode −6."""
    dns = NavierStokes2D(Grid.square(64), reynolds=1.0, forcing_wavenumber=10)
    assert dns.on(Grid.square(16), "3/2").forcing.abs().max() == 0
    same = dns.on(Grid.square(32), "3/2")
    assert torch.equal(same.forcing, resize(dns.forcing, dns.grid, same.grid))


@pytest.mark.parametrize("points", [32, 12])
def test_filtered_dns_plus_subgrid_term_is_the_les_with_every_term(points):
    """Tendency and noise: friction at all scales, both forcings, some of them below the LES."""
    dns = ring(
        64,
        beta=2.0,
        hyperviscosity=1e-7,
        hypoviscosity=0.3,
        forcing_wavenumber=4,
        forcing_directions="y",
    )
    coarse = CoarseGraining(dns, Grid.square(points))
    les = coarse.les
    omega = dns.project(random_vorticity(dns.grid, generator=torch.manual_seed(3)) * 5)
    truth = coarse.filtered(dns.tendency(omega) + dns.linear * omega)
    _, filtered, subgrid = (les.project(field) for field in coarse.pair(omega))
    model = les.tendency(filtered) + les.linear * filtered + subgrid
    torch.testing.assert_close(model, truth, atol=1e-13 * float(truth.abs().max()), rtol=0)
    kick = coarse.filtered(dns.noise.kick(rest(dns), 0.1, step=4))
    torch.testing.assert_close(les.noise.kick(rest(les), 0.1, step=4), kick)
    assert kick.abs().max() > 0


def test_les_and_dns_walk_one_path_with_different_steps():
    dns = ring(64)
    coarse = CoarseGraining(dns, Grid.square(32))
    les, n, dt = coarse.les, 4, 0.1
    kicked = rest(dns)
    for step in range(3 * n, 4 * n):
        dns.noise.kick(kicked, dt / n, step=step, substeps=n)
    torch.testing.assert_close(
        les.noise.kick(rest(les), dt, step=3), coarse.filtered(kicked), atol=1e-14, rtol=1e-12
    )
