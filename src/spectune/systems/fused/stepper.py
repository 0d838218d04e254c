"""Runge–Kutta steps of two-dimensional Navier–Stokes flow at the speed of their transforms."""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectune.systems.fused.lane import Lane, Modes
from spectune.systems.navier_stokes import NavierStokes2D
from spectune.systems.stepping import IntegratingFactorRK4

__all__ = ["FusedRK4"]

# Threads share one flow only from here on: below, what one has written reaches the other no sooner
# than it could do the work itself.
SHARED = 512
# Two flows, each waiting for threads that the other has, would wait for ever.
_SHARING = Lock()
# More than there are compiled functions.
KERNELS = 30


class FusedRK4:
    """`IntegratingFactorRK4` of a `NavierStokes2D` on a CPU, to round-off, several times as fast.

    Only the evolved modes are kept between the stages, in buffers that are made once; what is done
    at each mode or point is one loop. Ensemble members are shared out to the threads of torch
    (`torch.get_num_threads`); a single flow is, from 512 points on. The bytes of the result depend
    neither on the number of threads nor on the other members.

    Args:
        system: the equations, on the CPU, with products that are free of aliasing.
        scheme: the plain scheme of the system.
    """

    def __init__(self, system: NavierStokes2D, scheme: IntegratingFactorRK4) -> None:
        _compile(system.dtype)
        self._system = system
        self._modes = Modes(
            points=system.product_grid.shape[0],
            cutoff=system.cutoff,
            decay=self._compact(scheme.half),
            inverse_k2=self._compact(system.inverse_k2),
            dt=scheme.dt,
        )
        self._lanes: list[Lane] = []
        self._shape = (0, 0)

    def advance(self, state: Tensor, steps: int, held: Tensor | None = None) -> Tensor:
        """Return the state (..., *half_shape) some steps later.

        Args:
            state: ω̂.
            steps: number of steps.
            held: a part of the tendency that stays as it is meanwhile, like ω̂.
        """
        members = state.reshape(-1, *state.shape[-2:])
        forcing = self._system.forcing if held is None else self._system.forcing - held
        forcing = forcing.expand(state.shape).reshape(members.shape)
        out = torch.zeros_like(members)
        threads = torch.get_num_threads()
        team = _team(threads)
        lanes = self._lanes_for(len(members), threads)
        free: SimpleQueue[Lane] = SimpleQueue()
        for lane in lanes:
            free.put(lane)

        def run(i: int) -> None:
            lane = free.get()
            self._run(lane, members[i], forcing[i], out[i], steps, team)
            free.put(lane)

        if len(members) > 1:
            list(team.map(run, range(len(members))))
        elif self._shape[1] > 1:
            with _SHARING:
                run(0)
        else:
            run(0)
        return out.reshape(state.shape)

    def courant_rate(self, state: Tensor) -> float:
        """Return `NavierStokes2D.courant_rate` of the state, to round-off.

        In the buffers of the steps, so that looking at a run needs no memory of its own.
        """
        members = state.reshape(-1, *state.shape[-2:])
        lane = self._lanes_for(len(members), torch.get_num_threads())[0]
        fastest = np.zeros(1, lane.state.real.dtype)
        for member in members:
            lane.state[:] = self._compact(member)
            lane.raise_to_speed(fastest)
        return float(fastest[0]) * self._system.cutoff

    def _run(
        self, lane: Lane, state: Tensor, forcing: Tensor, out: Tensor, steps: int, team: Executor
    ) -> None:
        lane.state[:] = self._compact(state)
        lane.forcing[:] = self._compact(forcing)
        lane.advance(steps, team)
        k = self._modes.cutoff
        values = torch.from_numpy(lane.state).T
        out[: k + 1, : k + 1] = values[: k + 1]
        out[-k:, : k + 1] = values[k + 1 :]

    def _lanes_for(self, members: int, threads: int) -> list[Lane]:
        """Return lanes for so many members, those of the last call if they are as many."""
        if members > 1:
            shape = min(threads, members), 1
        else:
            shape = 1, threads if self._modes.points >= SHARED else 1
        if self._shape != shape:
            self._lanes = [Lane(self._modes, shape[1]) for _ in range(shape[0])]
            self._shape = shape
        return self._lanes

    def _compact(self, coefficients: Tensor) -> NDArray[Any]:
        """Return the evolved modes, lines of constant k_x with k_y = 0 … K, −K … −1."""
        k = self._system.cutoff
        kept = coefficients[:, : k + 1]
        return torch.cat((kept[: k + 1], kept[-k:])).T.contiguous().numpy()


@cache
def _compile(dtype: torch.dtype) -> None:
    """Compile the kernels, so that no step does."""
    ones = torch.ones(3, 5, dtype=dtype).numpy()
    lane = Lane(Modes(points=8, cutoff=2, decay=ones, inverse_k2=ones, dt=0.0), threads=1)
    # Where the disk is full, Numba raises after it has compiled a kernel and cannot keep it. The
    # next call uses what was compiled; there are fewer kernels than calls here.
    for _ in range(KERNELS):
        try:
            lane.advance(1, _team(1))
            lane.raise_to_speed(np.zeros(1, ones.dtype))
        except OSError:
            continue
        return


@cache
def _team(threads: int) -> Executor:
    return ThreadPoolExecutor(threads, thread_name_prefix="spectune")


# A forked process has the executor, but none of its threads.
os.register_at_fork(after_in_child=_team.cache_clear)
