"""The Kuramoto–Sivashinsky solver against linear growth, its energy budget and identities."""

import math

import pytest
import torch

from spectune.coarse import box_filter, gaussian_filter, sharp_filter
from spectune.coarse.one_dimensional import OneDimensionalCoarseGraining
from spectune.grid import Grid
from spectune.systems import IntegratingFactorRK4, KuramotoSivashinsky1D


def ring(n, length=22.0):
    return Grid((n,), (length,), ("x",))


def start(grid, seed, modes=5):
    x = grid.coordinates()[0] * 2 * math.pi / grid.lengths[0]
    phases = 2 * math.pi * torch.rand(modes, generator=torch.manual_seed(seed)).double()
    return sum(torch.cos((m + 1) * x + phase) for m, phase in enumerate(phases))


def advance(system, state, dt, steps):
    scheme = IntegratingFactorRK4(system.linear, system.tendency, dt)
    for _ in range(steps):
        state = scheme.step(state)
    return state


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2"])
@pytest.mark.parametrize("mode", [1, 2, 3, 4, 6])
def test_a_small_wave_grows_at_the_rate_of_the_dispersion_relation(dealiasing, mode):
    system = KuramotoSivashinsky1D(ring(48), dealiasing=dealiasing)
    k = 2 * math.pi * mode / 22.0
    x = system.grid.coordinates()[0]
    state = advance(system, system.project(1e-8 * torch.cos(k * x)), 0.1, 50)
    rate = math.log(2 * float(state[mode].abs()) / 1e-8) / 5.0
    assert rate == pytest.approx(k**2 - k**4, rel=1e-10)


def test_tendency_of_a_closed_form():
    """u = cos kx: −u u_x − u_xx − u_xxxx = (k/2) sin 2kx + (k² − k⁴) cos kx."""
    system = KuramotoSivashinsky1D(ring(48))
    k = 2 * math.pi * 3 / 22.0
    x = system.grid.coordinates()[0]
    state = system.project(torch.cos(k * x))
    tendency = system.grid.inverse(system.tendency(state) + system.linear * state)
    expected = k / 2 * torch.sin(2 * k * x) + (k**2 - k**4) * torch.cos(k * x)
    torch.testing.assert_close(tendency, expected, atol=1e-12, rtol=0)


def test_energy_budget_of_a_chaotic_run_closes():
    """d/dt ½⟨u²⟩ = ⟨u_x²⟩ − ⟨u_xx²⟩, integrated over a run on the attractor; ⟨u⟩ stays."""
    system = KuramotoSivashinsky1D(ring(32))
    grid, k = system.grid, system.grid.wavenumbers()[0]
    state = advance(system, system.project(start(grid, 1)), 0.1, 400)
    scheme = IntegratingFactorRK4(system.linear, system.tendency, 0.01)

    def energy_and_rate(state):
        mean_square = [(grid.inverse((1j * k) ** p * state) ** 2).mean() for p in range(3)]
        return 0.5 * mean_square[0], mean_square[1] - mean_square[2]

    values = [energy_and_rate(state)]
    for _ in range(400):
        state = scheme.step(state)
        values.append(energy_and_rate(state))
    rates = torch.stack([rate for _, rate in values])
    simpson = 0.01 / 3 * (rates[0] + rates[-1] + 4 * rates[1:-1:2].sum() + 2 * rates[2:-1:2].sum())
    assert values[-1][0] > 0.1  # the growth has been tamed, not killed
    assert float(values[-1][0] - values[0][0]) == pytest.approx(float(simpson), abs=1e-6)
    assert abs(state[0]) < 1e-14


def test_time_scheme_is_of_fourth_order():
    # The order shows once Δt k⁴ < 1 for all modes: the integrating factor is exact for L alone.
    system = KuramotoSivashinsky1D(ring(24))
    state = system.project(start(system.grid, 2))
    reference = advance(system, state, 0.0025, 400)
    errors = [
        float((advance(system, state, dt, round(1 / dt)) - reference).abs().max())
        for dt in (0.02, 0.01)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.3)


def test_ensemble_members_do_not_see_each_other():
    system = KuramotoSivashinsky1D(ring(48), dealiasing="3/2")
    fields = torch.stack([start(system.grid, seed) for seed in (3, 4)])
    together = advance(system, system.project(fields), 0.1, 20)
    for member, field in zip(together, fields, strict=True):
        torch.testing.assert_close(advance(system, system.project(field), 0.1, 20), member)


def test_single_precision_agrees_with_double():
    states = []
    for dtype in (torch.float32, torch.float64):
        system = KuramotoSivashinsky1D(ring(48), dtype=dtype)
        states.append(advance(system, system.project(start(system.grid, 5).to(dtype)), 0.1, 20))
    assert states[0].dtype == torch.complex64
    assert (states[0] - states[1]).abs().max() < 1e-5 * states[1].abs().max()


@pytest.mark.parametrize("kernel", [gaussian_filter, box_filter, sharp_filter])
def test_filtered_dns_plus_subgrid_term_has_the_filtered_tendency(kernel):
    dns = KuramotoSivashinsky1D(ring(96, length=60.0))
    coarse = OneDimensionalCoarseGraining(dns, ring(24, length=60.0), kernel)
    state = dns.project(start(dns.grid, 6, modes=30))
    truth = coarse.filtered(dns.tendency(state) + dns.linear * state)
    filtered, subgrid = coarse.pair(state)
    les = coarse.les
    coarse_state = les.project(filtered)
    model = les.tendency(coarse_state) + les.linear * coarse_state + les.project(subgrid)
    assert les.project(subgrid).abs().max() > 0.1
    torch.testing.assert_close(model, truth, atol=1e-13 * float(truth.abs().max()), rtol=0)


def test_other_grids_are_refused():
    with pytest.raises(ValueError, match="one dimension"):
        KuramotoSivashinsky1D(Grid.square(16))
