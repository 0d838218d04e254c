"""Steps on a GPU without the cost of launching each of their operations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spectune.systems.burgers import Burgers1D
from spectune.systems.kuramoto_sivashinsky import KuramotoSivashinsky1D
from spectune.systems.lorenz96 import Lorenz96
from spectune.systems.navier_stokes import NavierStokes2D
from spectune.systems.quasi_geostrophic import TwoLayerQG
from spectune.systems.stepping import ARS343, ETDRK4, IntegratingFactorRK4, SchemeFactory
from spectune.systems.system import System

__all__ = ["GraphedSteps", "graphed_steps", "record"]

# The devices whose work can be recorded.
DEVICE = "cuda"
SYSTEMS = (NavierStokes2D, TwoLayerQG, Burgers1D, KuramotoSivashinsky1D, Lorenz96)
SCHEMES = (IntegratingFactorRK4, ETDRK4, ARS343)


def graphed_steps(system: System, scheme: SchemeFactory, dt: float) -> GraphedSteps | None:
    """Return a stepper that does what the scheme would do with the system, if there is one.

    There is for the systems and one-step schemes of this package on a CUDA device. Not for their
    subclasses or for others: what Python does in a tendency, like counting the time, is not done
    again when a recording is replayed.
    """
    if type(system) not in SYSTEMS or scheme not in SCHEMES or system.linear.device.type != DEVICE:
        return None
    return GraphedSteps(system, scheme, dt)


class GraphedSteps:
    """The steps of a one-step scheme as a CUDA graph.

    A step is a hundred operations, and on a GPU each may be done sooner than Python asks for the
    next. They are recorded once; from then on a step is a single request. Its kernels are those of
    the plain scheme, and so are its bytes.

    A graph reads and writes where it did when it was recorded. A step is recorded anew when a
    tensor of the system has moved (a forcing that was replaced) or the state has another shape.

    Args:
        system: the equations, on a CUDA device.
        scheme: a one-step scheme.
        dt: Δt.

    Source: PyTorch documentation, CUDA semantics, "CUDA Graphs".
    """

    def __init__(self, system: System, scheme: SchemeFactory, dt: float) -> None:
        self._system = system
        self._scheme = scheme(system.linear, self._tendency, dt)
        self._places: object = None
        self._state: Tensor
        self._held: Tensor | None = None
        self._step: Callable[[], None]

    def advance(self, state: Tensor, steps: int, held: Tensor | None = None) -> Tensor:
        """Return the state (..., *half_shape) some steps later.

        Args:
            state: x̂.
            steps: number of steps.
            held: a part of the tendency that stays as it is meanwhile, like x̂.
        """
        places = self._places_of(state, held)
        if self._places != places:
            self._prepare(state, held)
            self._places = places
        self._state.copy_(state)
        if self._held is not None and held is not None:
            self._held.copy_(held)
        for _ in range(steps):
            self._step()
        return self._state.clone()

    def _places_of(self, state: Tensor, held: Tensor | None) -> object:
        tensors = (value for value in vars(self._system).values() if isinstance(value, Tensor))
        return state.shape, held is None, [tensor.data_ptr() for tensor in tensors]

    def _prepare(self, state: Tensor, held: Tensor | None) -> None:
        self._state = state.clone()
        self._held = None if held is None else held.clone()
        with torch.cuda.device(state.device):
            self._step = record(self._step_in_place)

    def _step_in_place(self) -> None:
        self._state.copy_(self._scheme.step(self._state))

    def _tendency(self, state: Tensor) -> Tensor:
        tendency = self._system.tendency(state)
        return tendency if self._held is None else tendency + self._held


def record(work: Callable[[], None]) -> Callable[[], None]:
    """Return a call that does the same work on the same tensors of the current CUDA device."""
    # Once before, aside: what is made at a first use, like plans of transforms, is no part of it.
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay
