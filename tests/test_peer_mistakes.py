"""Mistakes that other solvers shipped: each has a test that would have caught it.

Transposed x and y in files is tested where files are read (`test_data_readers.py`).
"""

import math
import subprocess
import sys

import pytest
import torch

from spectune.grid import Grid
from spectune.systems import IntegratingFactorRK4, NavierStokes2D, RingForcing, random_vorticity

LOGGERS = ["wandb", "mlflow", "comet_ml", "neptune", "clearml", "tensorboard", "tensorboardX"]


def advance(system, state, dt=0.01, steps=20):
    scheme = IntegratingFactorRK4(system.linear, system.tendency, dt)
    for _ in range(steps):
        state = scheme.step(state)
    return state


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2", "none"])
def test_dealiasing_drops_a_mode_that_is_too_high_in_one_direction(dealiasing):
    """With AND in place of OR, only modes too high in both directions would go."""
    system = NavierStokes2D(Grid.square(32), reynolds=100.0, dealiasing=dealiasing)
    kept = (2 * system.cutoff + 1) * (system.cutoff + 1)  # |k_y| ≤ c, 0 ≤ k_x ≤ c
    assert int(system.mask.sum()) == kept
    y, x = torch.meshgrid(*system.grid.coordinates(), indexing="ij")
    beyond = system.cutoff + 1
    for field in (torch.sin(beyond * x + y), torch.sin(x + beyond * y)):
        assert system.project(field).abs().max() < 1e-14
    # Products of evolved modes put nothing there either.
    state = system.project(random_vorticity(system.grid, generator=torch.manual_seed(0)))
    assert (advance(system, state)[system.mask == 0] == 0).all()


@pytest.mark.parametrize("n", [32, 48, 65])
@pytest.mark.parametrize(("k", "amplitude"), [(4, 1.0), (10, 0.3)])
def test_forcing_has_its_amplitude_in_the_spectrum(n, k, amplitude):
    """Mean(f²) = (χk_f)² is in four modes, |f̂| = χk_f/2 each, on every grid."""
    system = NavierStokes2D(
        Grid.square(n), reynolds=1.0, forcing_wavenumber=k, forcing_amplitude=amplitude
    )
    power = torch.fft.fft2(system.grid.inverse(system.forcing), norm="forward").abs() ** 2
    for mode in ((0, k), (0, -k), (k, 0), (-k, 0)):
        assert power[mode] ** 0.5 == pytest.approx(amplitude * k / 2, rel=1e-13)
    assert float(power.sum()) == pytest.approx((amplitude * k) ** 2, rel=1e-13)


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2", "none"])
def test_no_energy_is_imaginary(dealiasing):
    """All that the coefficients hold is a real field: nothing sits at Nyquist or is not Hermitian.

    The inverse transform is blind to both, so that such energy grows unseen.
    """
    system = NavierStokes2D(
        Grid.square(32), reynolds=1e3, forcing_wavenumber=4, beta=2.0, dealiasing=dealiasing
    )
    noise = torch.randn(2, 32, 32, dtype=torch.float64, generator=torch.manual_seed(1))
    ring = RingForcing(
        wavenumber=5.0, half_width=4.0, rate=1.0, seed=0, cutoff=system.cutoff,
        dtype=system.dtype, device="cpu",
    )  # fmt: skip
    state = ring.kick(advance(system, system.project(noise), dt=0.005, steps=60), 0.1, step=0)
    seen = system.grid.transform(system.grid.inverse(state))
    torch.testing.assert_close(state, seen, atol=1e-13 * float(seen.abs().max()), rtol=0)
    assert state[..., 16, :].abs().max() == 0
    assert state[..., :, 16].abs().max() == 0


def test_the_energy_budget_of_a_state_has_its_forcing():
    """⟨ψ ∂ω/∂t⟩ = ⟨u·F⟩ − ν⟨ω²⟩ − r⟨u²⟩ to round-off, F = (χ sin k_f y, −χ sin k_f x).

    The power of the forcing is taken from body force and velocity, so that neither its sign nor
    its factor can be wrong on both sides.
    """
    nu, drag, k, chi = 0.02, 0.3, 5, 0.7
    system = NavierStokes2D(
        Grid.square(48),
        reynolds=1 / nu,
        drag=drag,
        forcing_wavenumber=k,
        forcing_amplitude=chi,
    )
    grid = system.grid
    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    state = system.project(random_vorticity(grid, peak=5, generator=torch.manual_seed(2)))
    u, v = system.velocity(state)
    given = chi * (u * torch.sin(k * y) - v * torch.sin(k * x)).mean()
    lost = nu * (grid.inverse(state) ** 2).mean() + drag * (u**2 + v**2).mean()
    rate = grid.inverse(system.tendency(state) + system.linear * state)
    change = (grid.inverse(system.stream_function(state)) * rate).mean()
    assert float(change) == pytest.approx(float(given - lost), rel=1e-12)
    assert abs(given) > 1e-3 * lost


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_divides_by_the_wavenumber_zero(dtype):
    """A mean vorticity has no stream function: it gives none, and neither NaN nor velocity."""
    system = NavierStokes2D(
        Grid.square(16),
        reynolds=10.0,
        beta=1.0,
        hyperviscosity=1e-4,
        hypoviscosity=1.0,
        hypoviscosity_power=8,
        dealiasing="3/2",
        dtype=dtype,
    )
    assert torch.isfinite(torch.view_as_real(system.linear)).all()
    mean = system.project(torch.full(system.grid.shape, 3.0, dtype=dtype))
    assert float(mean[0, 0].real) == pytest.approx(3.0)
    for field in (system.stream_function(mean), system.velocity(mean), system.tendency(mean)):
        assert field.abs().max() == 0
    state = mean + system.project(
        random_vorticity(system.grid, peak=3, generator=torch.manual_seed(3)).to(dtype)
    )
    assert torch.isfinite(advance(system, state).abs()).all()
    assert math.isfinite(system.courant_rate(state))


def test_no_logger_is_needed_or_touched_to_import_anything():
    """Every module imports where no logging service is installed, and leaves logging alone."""
    code = f"""
import importlib, logging, pkgutil, sys
for name in {LOGGERS}:
    sys.modules[name] = None
import spectune
for module in pkgutil.walk_packages(spectune.__path__, "spectune."):
    importlib.import_module(module.name)
assert not logging.root.handlers and logging.root.level == logging.WARNING
assert not [n for n in logging.root.manager.loggerDict if n.startswith("spectune")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
