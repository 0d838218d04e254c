"""Navier–Stokes against other libraries: same state, equation, truncation and time step, float64.

The flow is the one that all have built in, Kolmogorov's with drag: f = k_f cos(k_f x), r = 0.1.
They write the same equation, but their fields are [x, y], ours are [y, x].
"""

import math

import exponax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax_cfd.base.forcings import kolmogorov_forcing
from jax_cfd.base.grids import Grid as JaxCFDGrid
from jax_cfd.spectral.equations import NavierStokes2D as JaxCFDNavierStokes2D
from torchfsm.field import kolm_force
from torchfsm.integrator import SETDRKIntegrator
from torchfsm.mesh import FourierMesh
from torchfsm.pde import NavierStokesVorticity

from spectune.grid import Grid
from spectune.systems import (
    ETDRK4,
    IntegratingFactorRK4,
    NavierStokes2D,
    Simulation,
    Snapshot,
    random_vorticity,
)

jax.config.update("jax_enable_x64", True)

N, REYNOLDS, FORCED, DRAG = 64, 100.0, 4, 0.1
GRID = Grid.square(N)


def flow(direction="x"):
    return NavierStokes2D(
        GRID,
        reynolds=REYNOLDS,
        forcing_wavenumber=FORCED,
        forcing_directions=direction,
        drag=DRAG,
    )


def start(system, largest_mode=None):
    """ω̂ with a spectrum that is full up to the truncation, or up to a given mode."""
    field = random_vorticity(GRID, generator=torch.manual_seed(0))
    ky, kx = GRID.wavenumbers()
    largest = system.cutoff if largest_mode is None else largest_mode
    return system.project(field) * ((kx.abs() <= largest) & (ky.abs() <= largest))


def run(system, state, dt, steps, scheme):
    simulation = Simulation(system, Snapshot(0, 0.0, state), dt, scheme=scheme)
    return next(simulation.snapshots(steps)).state


def relative(found, expected):
    return float(np.abs(np.asarray(found - expected)).max() / np.abs(np.asarray(expected)).max())


def exponax_flow(dt, cutoff):
    """Exponax's u = ∂Δ⁻¹ω/∂y turns against ω, as fields [x, y] mirror ours: they pass unchanged.

    Its mask at the default fraction of 2/3 ends one mode below ours; the fraction is set such that
    it keeps |k_i| ≤ cutoff.
    """
    return exponax.stepper.KolmogorovFlowVorticity(
        2,
        2 * math.pi,
        N,
        dt,
        diffusivity=1 / REYNOLDS,
        drag=-DRAG,
        injection_mode=FORCED,
        order=4,
        dealiasing_fraction=(cutoff + 1.5) / (N // 2),
    )


def torchfsm_flow():
    """Torchfsm masks what goes into a product but not what comes out: read modes ≤ cutoff only."""
    x = GRID.coordinates()[0][:, None].expand(N, N)
    force = kolm_force(x[None, None], drag_coef=-DRAG, k=float(FORCED))
    operator = NavierStokesVorticity(REYNOLDS, force=force)
    mesh = FourierMesh([(0.0, 2 * math.pi, N)] * 2, dtype=torch.float64)
    operator.register_mesh(mesh, n_channel=1)
    return operator


def transposed(field):
    return field.mT[None, None].contiguous()


def test_tendency_is_exponax_s():
    """Round-off apart, mode by mode, forcing and truncation included."""
    system = flow()
    state = start(system)
    peer = exponax_flow(1e-3, system.cutoff)._integrator._nonlinear_fun
    found = np.asarray(peer(jnp.asarray(state.numpy() * N**2)[None]))[0] / N**2
    assert relative(found, system.tendency(state).numpy()) < 1e-13


@pytest.mark.parametrize(
    ("scheme", "dt", "steps", "tolerance"),
    [
        (ETDRK4, 5e-3, 100, 1e-11),  # their scheme: the same numbers at any step
        (IntegratingFactorRK4, 1e-3, 500, 1e-8),  # another scheme: as the steps become small
    ],
)
def test_run_agrees_with_exponax(scheme, dt, steps, tolerance):
    system = flow()
    state = start(system)
    ours = GRID.inverse(run(system, state, dt, steps, scheme))
    field = jnp.asarray(GRID.inverse(state).numpy())[None]
    theirs = exponax.repeat(exponax_flow(dt, system.cutoff), steps)(field)[0]
    assert relative(ours.numpy(), np.asarray(theirs)) < tolerance
    assert relative(GRID.inverse(state), ours) > 0.1, "the flow has to evolve"


def test_tendency_is_torchfsm_s():
    system = flow()
    state = start(system)
    found = torchfsm_flow()(transposed(GRID.inverse(state)))[0, 0].mT
    expected = system.tendency(state) + system.linear * state
    assert relative(system.project(found), expected) < 1e-13


def test_run_agrees_with_torchfsm():
    system, dt, steps = flow(), 5e-3, 100
    state = start(system)
    peer = torchfsm_flow()
    peer.set_integrator(SETDRKIntegrator.SETDRK4)
    theirs = peer.integrate(transposed(GRID.inverse(state)), dt=dt, step=steps)[0, 0].mT
    ours = run(system, state, dt, steps, ETDRK4)
    assert relative(ours, system.project(theirs)) < 1e-11


def test_tendency_is_jax_cfd_s():
    """Of a state whose products stay below every truncation: jax-cfd keeps −N/3 but not +N/3.

    Its forcing is sin(k_f y) in the x direction, whose curl varies along y.
    """
    system = flow("y")
    state = start(system, largest_mode=10)
    peer = JaxCFDNavierStokes2D(
        1 / REYNOLDS,
        JaxCFDGrid((N, N), domain=((0, 2 * math.pi),) * 2),
        drag=DRAG,
        forcing_fn=lambda grid: kolmogorov_forcing(grid, k=FORCED, offsets=((0, 0), (0, 0))),
    )
    theirs = jnp.fft.rfftn(jnp.asarray(GRID.inverse(state).numpy().T))
    found = np.asarray(jnp.fft.irfftn(peer.explicit_terms(theirs) + peer.implicit_terms(theirs))).T
    expected = GRID.inverse(system.tendency(state) + system.linear * state).numpy()
    assert relative(found, expected) < 1e-13
