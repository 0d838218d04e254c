"""Closures: their formulas, their signs, their sums and their limiters."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from les_states import GRID, inputs, vorticity
from spectune.closures import (
    BackscatterClipping,
    DynamicLeith,
    DynamicSmagorinsky,
    GradientModel,
    Leith,
    NetworkClosure,
    NoClosure,
    Smagorinsky,
    SpectralDamping,
    SubgridModel,
)
from spectune.coarse import CoarseGraining, gaussian_filter
from spectune.data import Normalization
from spectune.errors import ModelError
from spectune.grid import Grid
from spectune.models import CNN, Network, save_network
from spectune.systems import NavierStokes2D, Simulation, Snapshot

STATIC = [Smagorinsky, Leith]
DYNAMIC = [DynamicSmagorinsky, DynamicLeith]


def transfer(pi, omega, grid=GRID):
    return pi * grid.inverse(-grid.squared_wavenumber() * grid.transform(omega))


def derivative(field, along_x, along_y, grid=GRID):
    ky, kx = grid.wavenumbers()
    return grid.inverse((1j * kx) ** along_x * (1j * ky) ** along_y * grid.transform(field))


@pytest.fixture(scope="module")
def turbulence():
    """(ψ̄, ω̄) and exact Π of decaying turbulence, filtered from 128 to 32 points."""
    dns = NavierStokes2D(Grid.square(128), reynolds=2000.0)
    start = dns.project(vorticity(dns.grid, seed=3, peak=6.0))
    state = next(Simulation(dns, Snapshot(0, 0.0, start), 0.005).snapshots(300)).state
    psi, omega, pi = CoarseGraining(dns, GRID).pair(state)
    return torch.stack((psi, omega))[None], pi


# Eddy viscosities -------------------------------------------------------------------------------


def test_smagorinsky_of_a_known_flow():
    """ψ = sin x + sin y: |S̄|² = (sin x − sin y)², worked out by hand and in real space."""
    n, c, width = 64, 0.2, 0.3
    grid = Grid.square(n)
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    psi = torch.sin(x) + torch.sin(y)  # ω = −∇²ψ = ψ
    found = Smagorinsky(grid, coefficient=c, width=width)(torch.stack((psi, psi))[None])[0, 0]

    s = (torch.sin(x) - torch.sin(y)).abs()
    sign = torch.sign(torch.sin(x) - torch.sin(y))
    # ∇·(ν ∇ω) = ν ∇²ω + ∇ν·∇ω
    gradient = sign * torch.cos(x) * torch.cos(x) - sign * torch.cos(y) * torch.cos(y)
    expected = (c * width) ** 2 * (-s * psi + gradient)
    smooth = s > 0.3  # |S| has kinks, where the spectral derivative rings
    error = (found - expected)[smooth].square().mean().sqrt()
    assert error < 0.05 * expected.square().mean().sqrt()


@pytest.mark.parametrize("kind", STATIC)
def test_eddy_viscosities_match_finite_differences(kind):
    """An independent computation in real space, on a smooth flow, converges to it."""
    errors = []
    for points in (129, 258):
        grid = Grid.square(points)
        y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
        psi = 8 * torch.cos(y) + 8 * torch.sin(2 * x) + torch.sin(x + y)
        omega = 8 * torch.cos(y) + 32 * torch.sin(2 * x) + 2 * torch.sin(x + y)
        h = grid.spacing[0]

        def d(f, axis, h=h):
            return (torch.roll(f, -1, axis) - torch.roll(f, 1, axis)) / (2 * h)

        if kind is Smagorinsky:
            stretch = d(d(psi, 0), 0) - d(d(psi, 1), 1)
            size = torch.sqrt(4 * d(d(psi, 0), 1) ** 2 + stretch**2)
            nu = (0.17 * 0.4) ** 2 * size
        else:
            size = torch.hypot(d(omega, 0), d(omega, 1))
            nu = (0.17 * 0.4) ** 3 * size
        expected = d(nu * d(omega, 1), 1) + d(nu * d(omega, 0), 0)
        found = kind(grid, width=0.4)(torch.stack((psi, omega))[None])[0, 0]
        far = size > 0.5 * size.mean()  # from the zeros, where it has kinks
        errors.append(float((found - expected)[far].abs().mean() / expected.abs().mean()))
    assert errors[1] < 0.35 * errors[0], errors
    assert errors[1] < 0.02, errors


def test_eddy_viscosities_average_to_those_of_py2d(turbulence):
    """py2d: (C Δ)² (mean of 4(S₁₁² + S₁₂²))^½ and (C Δ)³ (mean of |∇ω|), constant in the box."""
    (psi, omega), width = turbulence[0][0], 2 * GRID.spacing[0]
    s11, s12 = derivative(psi, 1, 1), 0.5 * (derivative(psi, 0, 2) - derivative(psi, 2, 0))
    smagorinsky = (0.17 * width) ** 2 * (4 * (s11**2 + s12**2)).mean().sqrt()
    found = Smagorinsky(GRID).viscosity(turbulence[0])
    torch.testing.assert_close(found.square().mean().sqrt(), smagorinsky)
    gradient = (derivative(omega, 1, 0) ** 2 + derivative(omega, 0, 1) ** 2).sqrt()
    found = Leith(GRID).viscosity(turbulence[0])
    torch.testing.assert_close(found.mean(), (0.17 * width) ** 3 * gradient.mean())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    slope=st.floats(-1.0, 4.0),
    exponent=st.integers(-3, 3),
    kind=st.sampled_from(STATIC + DYNAMIC),
)
def test_eddy_viscosities_drain_enstrophy_of_every_state(seed, slope, exponent, kind):
    """⟨ω̄ Π⟩ ≤ 0 for any spectrum k^−slope, also with all its energy next to the grid."""
    noise = torch.randn(
        2, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    k2 = GRID.squared_wavenumber()
    shape = torch.where(k2 > 0, k2.clamp(min=1) ** (-slope / 2), 0)
    omega = 10.0**exponent * GRID.inverse(shape * GRID.transform(noise))
    x = torch.cat([inputs(one) for one in omega])
    pi = kind(GRID)(x)[:, 0]
    drained = (omega * pi).mean((1, 2))
    scale = omega.std() * pi.abs().max()
    assert bool((drained <= 1e-12 * scale).all()), drained
    if kind in STATIC:
        assert bool((drained < 0).all())
    assert float(pi.mean((1, 2)).abs().max()) <= 1e-12 * float(pi.abs().max())


@pytest.mark.parametrize("kind", [*STATIC, *DYNAMIC, GradientModel])
def test_closures_are_quadratic_and_treat_members_alone(kind, turbulence):
    x = torch.cat((turbulence[0], 3 * turbulence[0], inputs(vorticity(seed=5))))
    closure = kind(GRID)
    pi = closure(x)
    assert pi.shape == (3, 1, 32, 32)
    torch.testing.assert_close(pi[1], 9 * pi[0])
    torch.testing.assert_close(pi[2], closure(x[2:])[0])
    assert closure(x.float()).dtype == torch.float32


@pytest.mark.parametrize("kind", STATIC)
def test_diffusion_knows_the_arrow_of_time_and_gradient_models_do_not(kind, turbulence):
    x, _ = turbulence
    torch.testing.assert_close(kind(GRID)(-x), -kind(GRID)(x))
    torch.testing.assert_close(GradientModel(GRID)(-x), GradientModel(GRID)(x))


# The dynamic coefficient ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "static", "power"), [(DynamicSmagorinsky, Smagorinsky, 2), (DynamicLeith, Leith, 3)]
)
def test_dynamic_coefficient_by_hand(kind, static, power, turbulence):
    """L is the exact Π of the LES field itself under the test filter: coarse-grain it again."""
    x, _ = turbulence
    omega, width = GRID.transform(x[0, 1]), 2 * GRID.spacing[0]
    system = NavierStokes2D(GRID, reynolds=1.0, dealiasing="3/2")
    psi_test, omega_test, missing = CoarseGraining(system, GRID, width=3**0.5 * width).pair(omega)
    wide = static(GRID, coefficient=1.0, width=2 * width)
    unit = static(GRID, coefficient=1.0, width=width)(x)[0, 0]
    smooth = GRID.inverse(gaussian_filter(GRID, 3**0.5 * width) * GRID.transform(unit))
    difference = wide(torch.stack((psi_test, omega_test))[None])[0, 0] - smooth
    c = float((missing * difference).mean() / difference.square().mean())
    assert c > 0
    coefficient = float(kind(GRID).coefficient(x))
    assert coefficient == pytest.approx(c ** (1 / power), rel=1e-9)
    assert 0.05 < coefficient < 0.4  # the range of the literature
    torch.testing.assert_close(kind(GRID)(x)[0, 0], c * unit)


@pytest.mark.parametrize(("kind", "static"), list(zip(DYNAMIC, STATIC, strict=True)))
def test_the_dynamic_coefficient_drains_about_what_the_subgrid_scales_drain(
    kind, static, turbulence
):
    x, pi = turbulence
    true, dynamic, fixed = (
        float((x[0, 1] * term).mean()) for term in (pi, kind(GRID)(x)[0, 0], static(GRID)(x)[0, 0])
    )
    assert fixed < 4 * true < 0
    assert dynamic == pytest.approx(true, rel=0.4)


@pytest.mark.parametrize("kind", DYNAMIC)
def test_a_negative_coefficient_is_clipped(kind, turbulence):
    """Backwards in time the flow is as inviscid, and L the same; diffusion would be negative."""
    x, _ = turbulence
    assert float(kind(GRID).coefficient(x)) > 0
    assert float(kind(GRID).coefficient(-x)) == 0
    assert not kind(GRID)(-x).any()


@pytest.mark.parametrize("kind", DYNAMIC)
def test_dynamic_closures_leave_laminar_flow_alone(kind):
    """In Kolmogorov flow J = 0: nothing cascades, though |S̄| is large. Static closures damp it."""
    y, _ = torch.meshgrid(*GRID.coordinates(), indexing="ij")
    x = inputs(3 * torch.cos(4 * y))
    damped = Smagorinsky(GRID)(x)
    assert float(kind(GRID)(x).abs().max()) < 1e-12 * float(damped.abs().max())
    assert not kind(GRID)(torch.zeros(1, 2, 32, 32)).any()


# Gradient models --------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "remainder"), [(2, 4), (4, 6)])
def test_gradient_models_leave_out_what_they_should(order, remainder):
    """Against exact Π of a smooth flow, the error falls as Δ⁴ and Δ⁶."""
    dns = NavierStokes2D(Grid.square(48), reynolds=1.0)
    y, x = torch.meshgrid(*dns.grid.coordinates(), indexing="ij")
    omega = torch.sin(x + 2 * y) + torch.cos(3 * x - y) + torch.sin(4 * y) + torch.cos(2 * x)
    errors = []
    for width in (0.2, 0.1, 0.05):
        psi, filtered, pi = CoarseGraining(dns, GRID, width=width).pair(dns.grid.transform(omega))
        model = GradientModel(GRID, order=order, width=width)
        found = model(torch.stack((psi, filtered))[None])[0, 0]
        errors.append(float((found - pi).norm()))
    orders = [np.log2(a / b) for a, b in pairwise(errors)]
    assert orders == pytest.approx([remainder] * 2, abs=0.1), orders


def test_gradient_models_are_those_of_py2d_with_our_sign():
    """Written out term by term; py2d's Π is ∇·σ on the left-hand side."""
    y, x = torch.meshgrid(*GRID.coordinates(), indexing="ij")
    omega = torch.sin(x + 2 * y) + torch.cos(3 * x - y) + torch.sin(4 * y)
    fields = inputs(omega)
    u, v, width = derivative(fields[0, 0], 0, 1), -derivative(fields[0, 0], 1, 0), 0.3
    d = derivative
    second = (
        width**2
        / 12
        * (
            d(omega, 1, 1) * (d(u, 0, 1) + d(v, 1, 0))
            + d(u, 1, 0) * (d(omega, 2, 0) - d(omega, 0, 2))
        )
    )
    fourth = (
        width**4
        / 288
        * (
            d(omega, 2, 1) * (2 * d(u, 1, 1) + d(v, 2, 0))
            + d(u, 2, 0) * (d(omega, 3, 0) - 2 * d(omega, 1, 2))
            - d(u, 1, 1) * d(omega, 0, 3)
            + d(u, 0, 2) * d(omega, 1, 2)
        )
    )
    for order, expected in ((2, -second), (4, -second - fourth)):
        found = GradientModel(GRID, order=order, width=width)(fields)[0, 0]
        torch.testing.assert_close(found, expected, atol=1e-13, rtol=1e-10)


def test_gradient_models_resemble_the_subgrid_term_and_scatter_back(turbulence):
    x, pi = turbulence

    def backscatter(term):
        t = transfer(term, x[0, 1])
        return float(-t.clamp(max=0).sum() / t.abs().sum())

    models = [GradientModel(GRID, order=order)(x)[0, 0] for order in (2, 4)]
    likeness = [np.corrcoef(found.flatten(), pi.flatten())[0, 1] for found in models]
    eddy = np.corrcoef(Smagorinsky(GRID)(x).flatten(), pi.flatten())[0, 1]
    assert 2 * eddy < 0.8 < likeness[0] < likeness[1]
    assert 0.1 < backscatter(pi) < 0.5
    for found in models:
        assert backscatter(found) == pytest.approx(backscatter(pi), abs=0.05)
    with pytest.raises(ValueError, match="expected order 2 or 4"):
        GradientModel(GRID, order=3)


# Sums -------------------------------------------------------------------------------------------


def test_closures_add_up(turbulence):
    x, _ = turbulence
    a, b = GradientModel(GRID), Leith(GRID)
    torch.testing.assert_close((a + 0.5 * b)(x), a(x) + 0.5 * b(x))
    torch.testing.assert_close((2 * (a - b * 3))(x), 2 * a(x) - 6 * b(x))
    assert not (a - a)(x).any()
    both = a + 0.5 * b
    assert both.name == "gradient model 2 + 0.5 × Leith"
    assert both.parameters["Leith: weight"] == 0.5
    assert both.parameters["Leith: coefficient"] == 0.17
    torch.testing.assert_close((NoClosure() + b)(x), b(x))
    for other in ("Leith", lambda x: x):
        with pytest.raises(TypeError):
            a + other
    with pytest.raises(TypeError):
        a * b


def test_every_closure_has_a_name_and_parameters():
    for closure in (*(kind(GRID) for kind in STATIC + DYNAMIC), GradientModel(GRID), NoClosure()):
        assert isinstance(closure, SubgridModel)
        assert closure.name
        assert all(isinstance(value, int | float) for value in closure.parameters.values())
        assert closure.report() == {}
    assert Leith(GRID, width=0.3).parameters == {"coefficient": 0.17, "width": 0.3}


# Limiters ---------------------------------------------------------------------------------------


def test_backscatter_clipping(turbulence):
    x, _ = turbulence
    model = GradientModel(GRID)
    free, clipped = model(x)[0, 0], BackscatterClipping(model, GRID)
    limited = clipped(x)[0, 0]
    t = transfer(free, x[0, 1])
    # Up to the mean, which is taken off, every point is the old one or zero.
    offset = limited - torch.where(t >= 0, free, 0)
    assert float(offset.std()) < 1e-12
    assert abs(float(limited.mean())) < 1e-12
    assert float(transfer(limited, x[0, 1]).mean()) == pytest.approx(
        float(t.clamp(min=0).mean()), rel=1e-9
    )
    report = {key.rpartition(": ")[2]: value for key, value in clipped.report().items()}
    assert report["share of points"] == pytest.approx(float((t < 0).double().mean()))
    assert report["share of transfer"] == pytest.approx(
        float(-t.clamp(max=0).sum() / t.abs().sum())
    )
    assert 0.1 < report["share of transfer"] < 0.5
    clipped.reset()
    assert clipped.report() == {}


def test_counts_are_over_all_calls_and_a_sum_passes_them_on(turbulence):
    x, _ = turbulence
    forward, backward = (
        float(BackscatterClipping(Smagorinsky(GRID), GRID)(s * x).abs().mean()) for s in (1, -1)
    )
    assert forward == pytest.approx(backward)
    clipped = BackscatterClipping(GradientModel(GRID), GRID)
    both = clipped + 0.5 * Smagorinsky(GRID)
    both(x), both(-x)  # what scatters back forwards in time diffuses backwards
    (points, share) = both.report().values()
    assert share == pytest.approx(0.5)
    assert points == pytest.approx(0.5)
    both.reset()
    assert clipped.report() == {}


def test_spectral_damping():
    y, x = torch.meshgrid(*GRID.coordinates(), indexing="ij")
    low, high = torch.cos(2 * x), torch.sin(12 * y)
    damped = SpectralDamping(NetworkClosure(torch.nn.Identity()), GRID, wavenumber=12.0, power=4.0)
    found = damped((low + high)[None, None])[0, 0]
    weights = np.exp(-((2 / 12) ** 4)), np.exp(-1)
    torch.testing.assert_close(found, weights[0] * low + weights[1] * high)
    (share,) = damped.report().values()
    assert share == pytest.approx(1 - (weights[0] ** 2 + weights[1] ** 2) / 2)
    with pytest.raises(ValueError, match="positive"):
        SpectralDamping(NoClosure(), GRID, wavenumber=0.0)


# Networks ---------------------------------------------------------------------------------------


def network(channels=(2, 1)):
    torch.manual_seed(0)
    statistics = Normalization(
        torch.full((channels[0],), 0.1),
        torch.linspace(0.5, 5, channels[0]),
        torch.full((channels[1],), -0.2),
        torch.full((channels[1],), 3.0),
        "test",
    )
    return Network(CNN(*channels, width=4, depth=3, kernel=3), statistics).eval()


def test_a_network_is_a_closure_like_others(tmp_path, turbulence):
    x = turbulence[0].float().repeat(3, 1, 1, 1)
    own = network()
    save_network(
        tmp_path / "cnn",
        own,
        factory="spectune.models:CNN",
        arguments={"inputs": 2, "outputs": 1, "width": 4, "depth": 3, "kernel": 3},
        grid=GRID,
        provenance={},
    )
    loaded = NetworkClosure.load(tmp_path / "cnn")
    assert loaded.name == "cnn"
    bare = NetworkClosure(own.module, own.normalization)
    with torch.no_grad():
        expected = own(x)
        torch.testing.assert_close(loaded(x), expected)
        torch.testing.assert_close(bare(x), expected)
        double = bare(x.double())
        mixed = (loaded + 0.5 * Smagorinsky(GRID))(x)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double, expected.double())
    torch.testing.assert_close(mixed, expected + 0.5 * Smagorinsky(GRID)(x))


def test_a_network_of_another_system_is_refused(turbulence):
    with pytest.raises(ModelError, match=r"'other': the network expects 3 .*has 2"):
        NetworkClosure(network((3, 1)), name="other")(turbulence[0])
    own = network()
    with pytest.raises(ModelError, match="second normalisation"):
        NetworkClosure(own, own.normalization)


def test_a_network_in_bfloat16_is_near_and_not_the_same():
    torch.manual_seed(0)
    network = CNN(2, 1, width=8, depth=3, kernel=3).eval()
    exact, reduced = NetworkClosure(network), NetworkClosure(network, precision="bfloat16")
    x = torch.randn(2, 2, 16, 16)
    with torch.no_grad():
        pi, near = exact(x), reduced(x)
    assert near.dtype == torch.float32
    distance = float((near - pi).norm() / pi.norm())
    assert 1e-4 < distance < 0.03
