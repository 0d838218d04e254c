"""Two-layer quasi-geostrophic flow against pyqg-jax, from the same state in float64.

What differs between the two, and how each difference is kept out of the comparison:

- products: theirs alias, ours do not. States have few modes, so that no product aliases (tendency),
  or little reaches the modes that do in the length of the run;
- small scales: they multiply by a filter after each step, we dissipate at the rate of that filter;
  over a step of the filter's interval, exp(LΔt) is their filter;
- time scheme: theirs is Adams–Bashforth of order 3, started by orders 1 and 2. `adams_bashforth_3`
  steps our tendency so;
- transforms: theirs carry a factor of N². Layout, signs and units are the same.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from pyqg_jax.qg_model import QGModel
from pyqg_jax.state import Precision
from pyqg_jax.steppers import AB3Stepper, SteppedModel

from spectune.grid import Grid
from spectune.systems import EDDY, JET, TwoLayerQG

jax.config.update("jax_enable_x64", True)

N, BOX, STEP = 64, 1e6, 3600.0
GRID = Grid.square(N, BOX)
REGIMES = pytest.mark.parametrize("regime", [EDDY, JET], ids=["eddy", "jet"])


def eddies(largest_mode, rms=1e-6):
    """A random q (1/s) in both layers with modes up to `largest_mode`."""
    noise = torch.randn((2, N, N), dtype=torch.float64, generator=torch.manual_seed(0))
    ky, kx = GRID.wavenumbers()
    largest = (largest_mode + 0.5) * 2 * math.pi / BOX
    modes = GRID.transform(noise) * ((kx.abs() <= largest) & (ky.abs() <= largest))
    modes[:, 0, 0] = 0.0
    q = GRID.inverse(modes)
    return q * rms / q.std()


def pyqg(regime, q):
    """Return their model and its state."""
    model = QGModel(nx=N, L=BOX, precision=Precision.DOUBLE, **regime)
    empty = model.create_initial_state(jax.random.key(0))
    return model, empty.update(q=jnp.asarray(q.numpy()))


def adams_bashforth_3(system, state, steps):
    """Our equation by their scheme: the tendency by AB1, AB2, AB3, …, then the filter."""
    weights = [(1.0,), (1.5, -0.5), (23 / 12, -16 / 12, 5 / 12)]
    tendencies, keep = [], torch.exp(system.linear * STEP)
    for _ in range(steps):
        tendencies = [system.tendency(state), *tendencies[:2]]
        increment = sum(
            weight * tendency
            for weight, tendency in zip(weights[len(tendencies) - 1], tendencies, strict=True)
        )
        state = keep * (state + STEP * increment)
    return state


def relative(found, expected):
    """Largest difference of either layer over that layer's largest value."""
    axes = (-2, -1)
    return float((np.abs(found - expected).max(axes) / np.abs(expected).max(axes)).max())


@REGIMES
def test_tendency_is_pyqg_jax_s(regime):
    """To round-off, for modes up to N/4 − 1, whose products stay below Nyquist."""
    q = eddies(N // 4 - 1)
    system = TwoLayerQG(GRID, **regime)
    model, state = pyqg(regime, q)
    found = np.asarray(model.get_updates(state).qh) / N**2
    assert relative(found, system.tendency(system.project(q)).numpy()) < 1e-13


@REGIMES
def test_dissipation_over_their_step_is_their_filter(regime):
    model, _ = pyqg(regime, eddies(3))
    system = TwoLayerQG(GRID, filter_interval=STEP, **regime)
    ours = torch.exp(system.linear * STEP) * system.mask
    # Their filter also covers the Nyquist modes, which we do not evolve.
    theirs = np.asarray(model.filtr) * system.mask.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@REGIMES
def test_run_agrees_with_pyqg_jax(regime):
    q, steps = eddies(3), 150
    system = TwoLayerQG(GRID, filter_interval=STEP, **regime)
    ours = GRID.inverse(adams_bashforth_3(system, system.project(q), steps)).numpy()
    model, state = pyqg(regime, q)
    stepped = SteppedModel(model, AB3Stepper(dt=STEP))

    @jax.jit
    def advance(state):
        return jax.lax.scan(
            lambda carry, _: (stepped.step_model(carry), None), state, length=steps
        )[0]

    theirs = np.asarray(advance(stepped.initialize_stepper_state(state)).state.q)
    assert relative(ours, theirs) < 1e-10
    assert relative(q.numpy(), theirs) > 0.5, "the flow has to evolve"
