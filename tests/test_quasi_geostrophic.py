"""The two-layer solver against the Phillips problem, its invariants and identities."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from spectune.coarse import box_filter, gaussian_filter, sharp_filter
from spectune.coarse.quasi_geostrophic import QuasiGeostrophicCoarseGraining
from spectune.grid import Grid, resize
from spectune.systems import (
    EDDY,
    JET,
    IntegratingFactorRK4,
    Simulation,
    Snapshot,
    TwoLayerQG,
    random_potential_vorticity,
)

BOX = 1e6
DAY = 86400.0


def flow(n=32, **parameters):
    return TwoLayerQG(Grid.square(n, BOX), **parameters)


def eddying(grid, seed, peak=5.0, speed=0.05):
    """A random q in both layers, of few modes and speeds of order `speed`."""
    noise = torch.randn((2, *grid.shape), dtype=torch.float64, generator=torch.manual_seed(seed))
    k = grid.squared_wavenumber().sqrt() * BOX / (2 * math.pi)
    q = grid.inverse(grid.transform(noise) * k**2 * torch.exp(-((k / peak) ** 2)))
    return q / q.std() * speed * peak * 2 * math.pi / BOX


def advance(system, state, dt, steps):
    scheme = IntegratingFactorRK4(system.linear, system.tendency, dt)
    for _ in range(steps):
        state = scheme.step(state)
    return state


def phillips(k, ell, *, beta, rek, delta, rd=15e3, U1=0.025, U2=0.0):
    """Growth rates and PV vectors of ψ̂ exp(i(kx + ℓy) + σt): σ B ψ = A ψ, from the PDE."""
    stretch = np.array([1, delta]) / (rd**2 * (1 + delta))
    kappa2 = k**2 + ell**2
    B = -kappa2 * np.eye(2) + np.array([[-stretch[0], stretch[0]], [stretch[1], -stretch[1]]])
    gradient = np.diag(beta + stretch * np.array([U1 - U2, U2 - U1]))
    A = -1j * k * (np.diag([U1, U2]) @ B + gradient) + rek * kappa2 * np.diag([0, 1])
    rates, streams = scipy.linalg.eig(A, B)
    order = np.argsort(-rates.real)
    return rates[order], (B @ streams)[:, order]


@pytest.mark.parametrize("regime", [EDDY, JET], ids=["eddy", "jet"])
@pytest.mark.parametrize(("m", "n"), [(3, 0), (5, -2), (8, 4), (0, 3)])
@pytest.mark.parametrize("branch", [0, 1])
def test_a_wave_evolves_as_its_eigenvector(regime, m, n, branch):
    """A single wave has J = 0 in each layer: the linear solution is an exact one."""
    system = flow(**regime)
    wave = 2 * math.pi / BOX
    rates, vectors = phillips(wave * m, wave * n, **regime)
    state = torch.zeros((2, *system.grid.half_shape), dtype=torch.complex128)
    vector = torch.as_tensor(1e-6 * vectors[:, branch] / abs(vectors[:, branch]).max())
    state[:, n, m] = vector
    if m == 0:
        state[:, -n, 0] = vector.conj()
    end = advance(system, state, 3600.0, 240)
    expected = state[:, n, m] * np.exp(rates[branch] * 240 * 3600.0)
    torch.testing.assert_close(end[:, n, m], expected, rtol=1e-9, atol=1e-20)
    if m:
        rest = end.clone()
        rest[:, n, m] = 0
        assert rest.abs().max() < 1e-12 * end.abs().max()


def operator(system, m, n):
    """The 2 × 2 matrix by which the tendency multiplies the PV of one wave."""
    columns = []
    for layer in range(2):
        state = torch.zeros((2, *system.grid.half_shape), dtype=torch.complex128)
        state[layer, n, m] = 1e-6
        columns.append(system.tendency(state)[:, n, m] / 1e-6)
    return torch.stack(columns, 1).numpy()


@pytest.mark.parametrize("m", [1, 4, 6, 10])
def test_equal_layers_without_beta_grow_at_the_closed_form(m):
    """σ = ±(k ΔU/2) sqrt((2F − k²)/(2F + k²)) − ik(U₁ + U₂)/2, 2F = r_d⁻² (Phillips 1954)."""
    system = flow(beta=0.0, rek=0.0, delta=1.0, U2=0.01)
    k, two_f = 2 * math.pi * m / BOX, 15e3**-2
    rate = k * 0.015 / 2 * math.sqrt((two_f - k**2) / (two_f + k**2))
    expected = np.array([-rate, rate]) - 1j * k * 0.035 / 2
    found = np.linalg.eigvals(operator(system, m, 0))
    np.testing.assert_allclose(found[np.argsort(found.real)], expected, rtol=1e-12)


@pytest.mark.parametrize("regime", [EDDY, JET], ids=["eddy", "jet"])
def test_both_regimes_are_unstable_at_the_scale_of_the_deformation_radius(regime):
    system = flow(48, **regime)
    growth = [np.linalg.eigvals(operator(system, m, 0)).real.max() for m in range(1, 24)]
    fastest = 2 * math.pi * (1 + int(np.argmax(growth))) / BOX
    assert max(growth) * 365 * DAY > 1
    assert 0.4 < fastest * 15e3 < 1.2


def test_inversion_is_exact_and_has_the_definition():
    system = flow()
    grid = system.grid
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    k = 2 * math.pi / BOX
    psi = torch.stack((100 * torch.cos(2 * k * x) * torch.sin(k * y), 30 * torch.cos(3 * k * y)))
    F1 = 15e3**-2 / 1.25
    q = torch.stack(
        (
            -5 * k**2 * psi[0] + F1 * (psi[1] - psi[0]),
            -9 * k**2 * psi[1] + 0.25 * F1 * (psi[0] - psi[1]),
        )
    )
    found = system.grid.inverse(system.stream_function(system.project(q)))
    torch.testing.assert_close(found, psi, atol=1e-11, rtol=0)
    random = system.project(eddying(grid, 1))
    back = system.potential_vorticity(system.stream_function(random))
    scale = float(random.abs().max())
    torch.testing.assert_close(back, random, atol=1e-14 * scale, rtol=0)


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
def test_advection_of_a_closed_form(dealiasing):
    """ψ₁ = A(cos ax + cos 2ay), ψ₂ = B sin ax; the linear theory does not see the sign of J."""
    system = flow(dealiasing=dealiasing)
    y, x = torch.meshgrid(*system.grid.coordinates(), indexing="ij")
    a, A, B = 2 * 2 * math.pi / BOX, 500.0, 300.0
    F1, F2 = system.stretching
    psi = torch.stack(
        (A * torch.cos(a * x) + A * torch.cos(2 * a * y), B * torch.sin(a * x) + 0 * y)
    )
    q = system.potential_vorticity(system.project(psi))
    # J(ψ₁, ψ₂) = −∂ψ₁/∂y ∂ψ₂/∂x, since ψ₂ does not vary in y.
    crossed = 2 * a * A * torch.sin(2 * a * y) * a * B * torch.cos(a * x)
    own = -6 * a**4 * A**2 * torch.sin(2 * a * y) * torch.sin(a * x)
    expected = torch.stack((own + F1 * crossed, -F2 * crossed))
    scale = float(expected.abs().max())
    found = system.grid.inverse(system.advection(q))
    torch.testing.assert_close(found, expected, atol=1e-13 * scale, rtol=0)


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
@pytest.mark.parametrize("delta", [0.1, 0.25, 1.0])
def test_advection_conserves_energy_and_potential_enstrophy(dealiasing, delta):
    """Σ Hᵢ⟨ψᵢ ∂qᵢ/∂t⟩ = 0 without shear, drag and dissipation; ⟨qᵢ J(ψᵢ, qᵢ)⟩ = 0 with them."""
    # A uniform mean flow carries both layers alike: with the right weights Hᵢ/H it does no work.
    system = flow(48, delta=delta, rek=0.0, U1=0.05, U2=0.05, dealiasing=dealiasing)
    grid, q = system.grid, system.project(eddying(system.grid, 2, peak=10))
    psi, rate = grid.inverse(system.stream_function(q)), grid.inverse(system.tendency(q))
    weights = torch.tensor([delta, 1.0], dtype=torch.float64)[:, None, None] / (1 + delta)
    scale = (weights * (psi * rate).abs()).mean()
    assert abs((weights * psi * rate).mean()) < 1e-14 * scale
    J, field = grid.inverse(system.advection(q)), grid.inverse(q)
    for layer in range(2):
        assert abs((field[layer] * J[layer]).mean()) < 1e-14 * (field[layer].std() * J[layer].std())


def test_energy_of_a_closed_form_and_its_sources():
    """dE/dt = r_d⁻² δ₁δ₂ (U₁ − U₂)⟨(ψ₁ − ψ₂) ∂ₓ(δ₁ψ₁ + δ₂ψ₂)⟩ − r_ek δ₂ ⟨|∇ψ₂|²⟩."""
    system = flow()
    grid, q = system.grid, system.project(eddying(system.grid, 3))
    stream = system.stream_function(q)
    ky, kx = grid.wavenumbers()
    psi, psi_x, psi_y = (grid.inverse(c) for c in (stream, 1j * kx * stream, 1j * ky * stream))
    upper, lower = 0.2, 0.8
    weights = torch.tensor([upper, lower], dtype=torch.float64)
    F1 = 15e3**-2 / 1.25
    kinetic = 0.5 * (psi_x**2 + psi_y**2).mean((-2, -1))
    potential = 0.5 * F1 * upper * ((psi[0] - psi[1]) ** 2).mean()
    expected = upper * kinetic[0] + lower * kinetic[1] + potential
    torch.testing.assert_close(system.energy(q), expected)
    rate = -(weights[:, None, None] * psi * grid.inverse(system.tendency(q)))
    heat = ((psi[0] - psi[1]) * (upper * psi_x[0] + lower * psi_x[1])).mean()
    source = 15e3**-2 * upper * lower * 0.025 * heat
    drag = 5.787e-7 * lower * 2 * kinetic[1]
    torch.testing.assert_close(2 * rate.mean(), source - drag, rtol=1e-10, atol=0)


def test_one_step_of_the_filter_interval_applies_the_filter_of_pyqg():
    system = flow(64)
    applied = torch.exp(system.linear * 3600.0)
    ky, kx = system.grid.wavenumbers()
    scaled = torch.sqrt(kx**2 + ky**2) * BOX / 64
    expected = torch.where(
        scaled > 0.65 * math.pi, torch.exp(-23.6 * (scaled - 0.65 * math.pi) ** 4), 1.0
    )
    torch.testing.assert_close(applied, expected)
    # 2/3 of 96 points carry the modes of 64 points, and the filter with them.
    wide = flow(96, dealiasing="2/3")
    assert wide.parameters["filter_spacing"] == pytest.approx(BOX / 64)
    assert flow(32, filter_interval=None).linear.abs().max() == 0


def test_both_dealiasings_agree_with_a_finer_grid():
    small = Grid.square(32, BOX)
    fine = flow(128, dealiasing="2/3")
    for dealiasing in ("2/3", "3/2"):
        system = flow(32, dealiasing=dealiasing)
        q = system.project(eddying(small, 4, peak=8))
        exact = resize(fine.advection(resize(q, small, fine.grid)), fine.grid, small)
        expected = exact * system.mask
        scale = float(expected.abs().max())
        torch.testing.assert_close(system.advection(q), expected, atol=1e-13 * scale, rtol=0)


def test_time_scheme_is_of_fourth_order():
    system = flow(filter_interval=None, hyperviscosity=1e9)
    state = system.project(eddying(system.grid, 5))
    reference = advance(system, state, 1800.0, 96)
    errors = [
        float((advance(system, state, dt, round(2 * DAY / dt)) - reference).abs().max())
        for dt in (28800.0, 14400.0)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.3)


def test_ensemble_members_do_not_see_each_other():
    system = flow(**JET)
    fields = torch.stack([eddying(system.grid, seed) for seed in (6, 7)])
    together = advance(system, system.project(fields), 7200.0, 10)
    assert system.energy(together).shape == (2,)
    for member, field in zip(together, fields, strict=True):
        alone = advance(system, system.project(field), 7200.0, 10)
        torch.testing.assert_close(alone, member, atol=1e-20, rtol=1e-10)


def test_single_precision_agrees_with_double():
    states = []
    for dtype in (torch.float32, torch.float64):
        system = flow(dtype=dtype)
        field = eddying(system.grid, 8).to(dtype)
        states.append(advance(system, system.project(field), 7200.0, 20))
    assert states[0].dtype == torch.complex64
    assert (states[0] - states[1]).abs().max() < 1e-5 * states[1].abs().max()


@pytest.mark.parametrize("kernel", [gaussian_filter, box_filter, sharp_filter])
def test_filtered_dns_plus_subgrid_term_has_the_filtered_tendency(kernel):
    dns = flow(96, dealiasing="2/3", hyperviscosity=1e7, **JET)
    coarse = QuasiGeostrophicCoarseGraining(dns, Grid.square(32, BOX), kernel)
    q = dns.project(eddying(dns.grid, 9, peak=12))
    truth = coarse.filtered(dns.tendency(q) + dns.linear * q)
    _, filtered, subgrid = coarse.pair(q)
    les, state = coarse.les, coarse.les.project(filtered)
    model = les.tendency(state) + les.linear * state + les.project(subgrid)
    scale = float(truth.abs().max())
    assert les.project(subgrid).abs().max() > 0.05 * scale
    torch.testing.assert_close(model, truth, atol=1e-13 * scale, rtol=0)


def test_the_default_start_becomes_a_run():
    system = flow()
    field = random_potential_vorticity(system.grid, generator=torch.manual_seed(10))
    same = random_potential_vorticity(system.grid, generator=torch.manual_seed(10))
    assert torch.equal(field, same)
    assert field.abs().max() < 1.1e-6
    state = system.project(field)
    snapshot = next(Simulation(system, Snapshot(0, 0.0, state), 7200.0).snapshots(20))
    assert torch.isfinite(snapshot.state.abs()).all()
    rest = torch.zeros_like(state)
    assert system.courant_rate(rest) == pytest.approx(0.025 * 15 * 2 * math.pi / BOX)


def test_other_grids_and_dealiasings_are_refused():
    with pytest.raises(ValueError, match="two dimensions"):
        TwoLayerQG(Grid((16,), (1.0,), ("x",)))
    with pytest.raises(ValueError, match="found 'none'"):
        flow(dealiasing="none")
