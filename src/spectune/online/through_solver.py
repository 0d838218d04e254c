"""The error of large-eddy simulations as what re-training minimises."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from spectune.closures import NetworkClosure
from spectune.data import Normalization
from spectune.errors import CaseError, DataError, StabilityError
from spectune.online.coupling import Coupling, LESSystem
from spectune.systems.stepping import IntegratingFactorRK4

__all__ = ["ThroughSolver"]


class ThroughSolver:
    """How far a large-eddy simulation leaves the trajectory of filtered DNS, as an `Objective`.

        L(θ) = 1/m Σ_j ⟨(x̄_θ(t₀ + j s Δt) − x̄_DNS(t₀ + j s Δt))²⟩/σ²,    x̄_θ(t₀) = x̄_DNS(t₀)

    The network is in the simulation, called once a step, and its weights are moved by the gradient
    through all m s steps (a-posteriori training). A step is that of `run_les`, to round-off.
    Offline training knows the error of Π at one time only; this loss also knows how errors add up,
    move and feed back within the trajectory. Let m s Δt be short against the time in which the flow
    multiplies its disturbances: beyond, the gradient is that of chaos.

    Give it to `spectune.transfer` as ``objective``, alone or with the offline loss beside it
    (`spectune.training.Joined`).

    Args:
        system: the flow on the LES grid (see `CoarseGraining.les`), without noise. Its precision is
            that of the steps.
        trajectories: filtered DNS (n, 1 + m, *state), the start first: ω̄ (ny, nx), q̄ (2, ny, nx),
            ū (nx,) or X (K,), in physical units.
        dt: Δt of the LES.
        every: s, steps between two snapshots of a trajectory.
        normalization: of the network; None for a `Network`, which has its own, and for a module in
            physical units.
        checkpointing: keep the states between the steps only, and compute each step again in the
            backward pass: memory for the activations of one step instead of m s, for a third more
            time.

    Attributes:
        variance: σ² (c_out,), of each channel of the trajectories after their start.

    Raises:
        CaseError: a system that no closure can be coupled to, or with noise; no step.
        DataError: trajectories of another shape, too short, not finite or constant.

    Source: Frezat et al. 2022 (J. Adv. Model. Earth Syst. 14) and List, Chen & Thuerey 2022 (J.
    Fluid Mech. 949) for closures; Chen et al. 2016 (arXiv 1604.06174) for checkpoints.
    """

    def __init__(
        self,
        system: LESSystem,
        trajectories: Tensor,
        *,
        dt: float,
        every: int,
        normalization: Normalization | None = None,
        checkpointing: bool = True,
    ) -> None:
        self._coupling = Coupling(system)
        if getattr(system, "noise", None) is not None:
            raise CaseError(
                "the flow is forced by noise, of which no trajectory keeps the realisation: a "
                "simulation could not follow it; re-train on pairs instead"
            )
        if every < 1 or not dt > 0:
            raise CaseError(f"found {every} steps of Δt = {dt:g}, expected at least one, of Δt > 0")
        self._start, self._later = _split(self._coupling, trajectories)
        self._dt, self._every = dt, every
        self._normalization, self._checkpointing = normalization, checkpointing
        over = (0, 1, *range(3, self._later.ndim))
        self.variance = self._later.double().var(over, correction=0)
        if not bool((self.variance > 0).all()):
            raise DataError(
                f"trajectories: found variances {self.variance.tolist()} of the channels, expected "
                "none to be zero"
            )

    def __len__(self) -> int:
        return len(self._start)

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Return numbers, starts and what follows of trajectories."""
        return rows, self._start[rows], self._later[rows]

    def loss(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """Return the mean squared error of the trajectories over their variance.

        Raises:
            StabilityError: a simulation blows up.
            ModelError: the network is not one of this system.
        """
        numbers, start, later = batch
        closure = NetworkClosure(model, self._normalization)
        state, past = self._coupling.start(start), None
        total = state.real.new_zeros(())
        for index in range(later.shape[1]):
            for step in range(index * self._every, (index + 1) * self._every):
                if self._checkpointing:
                    state, past = checkpoint(self._step, closure, state, past, use_reentrant=False)
                else:
                    state, past = self._step(closure, state, past)
                self._check(state, numbers, step + 1)
            difference = self._coupling.fields(state) - later[:, index].to(total)
            by_channel = difference.square().mean((0, *range(2, difference.ndim)))
            total = total + (by_channel / self.variance.to(total)).mean()
        return total / later.shape[1]

    def _step(
        self, closure: NetworkClosure, state: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the next state and Π̂ at this one; `Simulation` says how Π̂ is extrapolated."""
        system = self._coupling.system
        subgrid = self._coupling.subgrid(closure, state)
        held = 1.5 * subgrid - 0.5 * (subgrid if past is None else past)
        scheme = IntegratingFactorRK4(system.linear, lambda x: system.tendency(x) + held, self._dt)
        return scheme.step(state), subgrid

    def _check(self, state: Tensor, numbers: Tensor, step: int) -> None:
        """Refuse what `Simulation` refuses."""
        found, state = "the state is no longer finite", state.detach()
        bad = ~torch.isfinite(state).flatten(1).all(1)
        if not bad.any() and step % self._every == 0:
            rate = torch.tensor([self._coupling.system.courant_rate(one) for one in state])
            bad = rate * self._dt > IntegratingFactorRK4.courant_limit
            found = f"its CFL number is {float(rate.max()) * self._dt:.3g}"
        if bad.any():
            raise StabilityError(
                f"trajectory {int(numbers[bad][0])}: {found} after step {step} of the simulation "
                f"(time {step * self._dt:g} after its start, Δt = {self._dt:g}); lower the "
                "learning rate, start from weights that were re-trained offline, or lower Δt"
            )


def _split(coupling: Coupling, trajectories: Tensor) -> tuple[Tensor, Tensor]:
    """Return starts (n, *state) and what follows (n, m, c_out, *grid)."""
    grid = coupling.system.grid
    state = (2, *grid.shape) if coupling.channels == 2 else grid.shape
    if trajectories.shape[2:] != state or trajectories.shape[1] < 2:
        raise DataError(
            f"trajectories: found shape {tuple(trajectories.shape)}, expected (n, 1 + m, "
            f"{', '.join(map(str, state))}) with a start and at least one snapshot after it"
        )
    if not bool(torch.isfinite(trajectories).all()):
        raise DataError("trajectories: found NaN or Inf, expected filtered DNS without gaps")
    later = trajectories[:, 1:]
    return trajectories[:, 0], later.reshape(*later.shape[:2], coupling.channels, *grid.shape)
