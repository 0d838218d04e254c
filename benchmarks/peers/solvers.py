"""Every library as its documentation would have it used for speed: compiled loops, no output.

A solver is built for a flow and a time step; its loop stays in the library's own state.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Literal

import equinox
import exponax
import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax_cfd.base.grids import Grid as JaxCFDGrid
from jax_cfd.spectral import time_stepping
from jax_cfd.spectral.equations import NavierStokes2D as JaxCFDNavierStokes2D
from numpy.typing import NDArray
from torchfsm.integrator import SETDRKIntegrator
from torchfsm.mesh import FourierMesh
from torchfsm.pde import NavierStokesVorticity

from benchmarks.peers.flow import Flow
from spectune.systems import (
    ARS343,
    ETDRK4,
    AdamsBashforth2CrankNicolson,
    IntegratingFactorRK4,
    NavierStokes2D,
    SchemeFactory,
    Simulation,
    Snapshot,
)

Precision = Literal["float32", "float64"]
LENGTH = 2 * math.pi


@dataclass(frozen=True)
class Solver:
    """A flow ready to be stepped.

    Attributes:
        advance: takes this many steps from t = 0 and waits for the result.
        vorticity: ω(y, x) of what `advance` returned.
    """

    advance: Callable[[int], Any]
    vorticity: Callable[[Any], NDArray[np.float64]]


@dataclass(frozen=True)
class Candidate:
    """A library with one of its schemes in one precision."""

    library: str
    scheme: str
    precision: Precision
    build: Callable[[Flow, float], Solver]

    @property
    def version(self) -> str:
        """Version of the library and of what computes for it."""
        beneath = {"exponax": "jax", "jax-cfd": "jax"}.get(self.library, "torch")
        return f"{version(self.library)} ({beneath} {version(beneath)})"


def candidates() -> list[Candidate]:
    """Return the schemes of order 3 and above in both precisions.

    Second-order ones need ten times the steps here (158 instead of 15 at N = 256).
    """
    found = []
    precisions: tuple[Precision, ...] = ("float64", "float32")
    for precision in precisions:

        def add(
            library: str,
            scheme: str,
            build: Callable[..., Solver],
            precision: Precision = precision,
        ) -> None:
            found.append(Candidate(library, scheme, precision, partial(build, precision=precision)))

        for scheme in (IntegratingFactorRK4, ETDRK4, ARS343):
            add("spectune", scheme.name, partial(_spectune, scheme=scheme))
        for order in (3, 4):
            add("exponax", f"ETDRK{order}", partial(_exponax, order=order))
        for integrator in (SETDRKIntegrator.SETDRK3, SETDRKIntegrator.SETDRK4):
            add("torchfsm", integrator.name, partial(_torchfsm, integrator=integrator))
        for step in (
            time_stepping.crank_nicolson_rk3,
            time_stepping.crank_nicolson_rk4,
            time_stepping.imex_rk_sil3,
        ):
            add("jax-cfd", step.__name__, partial(_jax_cfd, scheme=step))
    authors = partial(_spectune, scheme=AdamsBashforth2CrankNicolson, dealiasing="none")
    add("spectune", "ab2cn, not dealiased", authors, "float64")
    return found


def _spectune(
    flow: Flow,
    dt: float,
    *,
    scheme: SchemeFactory,
    precision: Precision,
    dealiasing: Literal["2/3", "none"] = "2/3",
) -> Solver:
    grid, dtype = flow.system.grid, getattr(torch, precision)
    system = NavierStokes2D(grid, dealiasing=dealiasing, dtype=dtype, **flow.system.parameters)
    start = Snapshot(0, 0.0, flow.state.to(dtype.to_complex()))
    # Like the others, judged by the error alone and not refused by CFL number.
    simulation = Simulation(system, start, dt, scheme=scheme, courant_limit=math.inf)

    def advance(steps: int) -> torch.Tensor:
        simulation.last_good = start
        return next(simulation.snapshots(steps)).state

    return Solver(advance, lambda state: grid.inverse(state).double().numpy())


def _exponax(flow: Flow, dt: float, *, order: int, precision: Precision) -> Solver:
    n = flow.n
    with jax.enable_x64(precision == "float64"):
        stepper = exponax.stepper.NavierStokesVorticity(
            2,
            LENGTH,
            n,
            dt,
            diffusivity=flow.system.viscosity,
            order=order,
            # Its own 2/3 ends one mode below the last one that is free of aliasing.
            dealiasing_fraction=(flow.system.cutoff + 1.5) / (n // 2),
        )
        # Its Δ⁻¹ carries the other sign: its fields [x, y] mirror ours [y, x], as they are.
        start = jnp.asarray(flow.state.numpy() * n**2)[None]

        @equinox.filter_jit
        def loop(stepper: Any, state: jax.Array, steps: jax.Array) -> jax.Array:
            return jax.lax.fori_loop(0, steps, lambda _, state: stepper.step_fourier(state), state)

    def advance(steps: int) -> jax.Array:
        with jax.enable_x64(precision == "float64"):
            return loop(stepper, start, jnp.asarray(steps)).block_until_ready()

    return Solver(advance, lambda state: _field(state[0], n))


def _jax_cfd(flow: Flow, dt: float, *, scheme: Callable[..., Any], precision: Precision) -> Solver:
    n = flow.n
    with jax.enable_x64(precision == "float64"):
        grid = JaxCFDGrid((n, n), domain=((0, LENGTH), (0, LENGTH)))
        step = scheme(JaxCFDNavierStokes2D(flow.system.viscosity, grid), dt)
        start = jnp.fft.rfftn(jnp.asarray(flow.system.grid.inverse(flow.state).mT.numpy()))

        @jax.jit
        def loop(state: jax.Array, steps: jax.Array) -> jax.Array:
            return jax.lax.fori_loop(0, steps, lambda _, state: step(state), state)

    def advance(steps: int) -> jax.Array:
        with jax.enable_x64(precision == "float64"):
            return loop(start, jnp.asarray(steps)).block_until_ready()

    return Solver(advance, lambda state: _field(state, n).T)


def _torchfsm(
    flow: Flow,
    dt: float,
    *,
    integrator: SETDRKIntegrator,
    precision: Precision,
) -> Solver:
    dtype = getattr(torch, precision)
    operator = NavierStokesVorticity(1 / flow.system.viscosity)
    mesh = FourierMesh([(0.0, LENGTH, flow.n)] * 2, dtype=dtype)
    operator.register_mesh(mesh, n_channel=1)
    operator.set_integrator(integrator)
    field = flow.system.grid.inverse(flow.state).mT[None, None].contiguous().to(dtype)
    start = mesh.fft(field)

    def advance(steps: int) -> torch.Tensor:
        return operator.integrate(u_0_fft=start, dt=dt, step=steps, return_in_fourier=True)

    return Solver(advance, lambda state: mesh.ifft(state).real[0, 0].mT.double().numpy())


def _field(coefficients: jax.Array, n: int) -> NDArray[np.float64]:
    return np.fft.irfftn(np.asarray(coefficients, dtype=np.complex128), s=(n, n))
