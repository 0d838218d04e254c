"""Work space of one flow in a fused step: its buffers, its transforms and the order of its work."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyfftw
from numpy.typing import NDArray

from spectune.systems.fused.kernels import raise_to_speed, take_steps, to_points
from spectune.systems.fused.native import YIELD
from spectune.systems.fused.plans import Transform, execute_address, plan

__all__ = ["Lane", "Modes"]

STAGES = 4
# Bytes that a thread works on at a time, between two visits to main memory: about what the cache
# of a core holds beside the operators.
CACHED = 1 << 19
# Steps of a single thread between two moments at which Python can be interrupted.
AT_ONCE = 8
# Bytes of two lines of the cache, which are often fetched together. What one thread writes and what
# another reads or writes all the time do not share them.
LINE = 128
# More often than threads meet.
ENOUGH = 1 << 62


@dataclass(frozen=True)
class Modes:
    """The evolved modes |k_x|, |k_y| ≤ K and what a step does to them.

    Arrays over modes have K + 1 lines (k_x = 0 … K) of 2K + 1 values (k_y = 0 … K, −K … −1).

    Attributes:
        points: M, points of the grid of the products in each direction.
        cutoff: K.
        decay: exp(L Δt/2), real or complex.
        inverse_k2: 1/k², 0 at k = 0.
        dt: Δt.
    """

    points: int
    cutoff: int
    decay: NDArray[Any]
    inverse_k2: NDArray[Any]
    dt: float

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of an array over modes."""
        return self.cutoff + 1, 2 * self.cutoff + 1


class Lane:
    """Advances one flow at a time; flows that run side by side each need a lane.

    With the complex velocity w = u + iv, whose coefficients are ŵ = (k_x + i k_y) ω̂/k², both
    products that Basdevant's form of J needs are in w² = u² − v² + 2iuv:

        J = (∂xx − ∂yy)(uv) + ∂xy(v² − u²) = ½ Im[(∂x − i∂y)² w²],

    so that a stage takes one complex transform each way instead of two real ones. It passes twice
    over the points: row by row, transforming to w, squaring and transforming back; and then by
    groups of columns, transforming to Ŝ, adding the stage to each mode and transforming the next ŵ
    back. The columns are copied out and in for that, only those with |k_x| ≤ K (the others are
    zero), because transforms of scattered values cost more than the copies.

    Args:
        modes: the evolved modes.
        threads: threads that share the work.

    Source: Basdevant 1983 (J. Comput. Phys. 50) for the form of J.
    """

    def __init__(self, modes: Modes, threads: int) -> None:
        m, k = modes.points, modes.cutoff
        self._length, self._threads = m, threads
        real = modes.inverse_k2.dtype
        dtype = np.result_type(real, np.complex64)
        self.state, self.forcing, total = np.zeros((3, *modes.shape), dtype)
        rotates = np.iscomplexobj(modes.decay)
        self._forced = np.zeros(k + 1, bool)
        arguments = (
            self.state.view(real),
            total.view(real),
            self.forcing.view(real),
            self._forced,
            rotates,
            modes.decay.view(real) if rotates else np.repeat(modes.decay, 2, axis=1),
            modes.inverse_k2,
            np.concatenate((np.arange(k + 1), np.arange(-k, 0))).astype(real),
            np.array([modes.dt, modes.dt / 2, modes.dt / 3, modes.dt / 6], real),
            real.type(1 / (4 * m**2)),
        )
        # Whole cache lines, and one more: rows of a power of two in length would all compete for
        # the same places in the cache.
        group = LINE // dtype.itemsize
        line = (-(-m // group) + 1) * group
        self._z = pyfftw.zeros_aligned((m, line), dtype=dtype)
        self._reals = self._z.view(real)
        self._plans: list[Transform] = []
        # The groups are the same for any number of threads: so are the bytes of the result.
        size = line * dtype.itemsize
        columns, rows = _groups(k + 1, 2 * size), _groups(m, size)
        execute = execute_address(dtype)
        self._places, self._rows = [], []
        for part in range(threads):
            mine = columns[part::threads]
            # One buffer for all groups of a thread, which so stays in its cache.
            both = pyfftw.zeros_aligned((2, max(map(len, mine), default=0), line), dtype=dtype)
            table = np.array([self._column_plans(lines, both) for lines in mine], np.int64)
            scratch = pyfftw.zeros_aligned((3, 2 * (k // group + 1) * group), dtype=real)
            buffers = self._z, both, both.view(real), scratch
            self._places.append((table.reshape(-1, 6), *buffers, execute, m, arguments))
            table = np.array([self._row_plans(lines) for lines in rows[part::threads]], np.int64)
            self._rows.append(table.reshape(-1, 4))
        self._counters = pyfftw.zeros_aligned((threads, LINE // 8), dtype=np.int64)
        self._arrived = self._counters.ctypes.data + LINE * np.arange(threads)

    def _column_plans(self, lines: range, both: NDArray[Any]) -> tuple[int, ...]:
        plus, minus = both[:, : len(lines), : self._length]
        there, back = plan(plus)
        # Along −k the modes come in the order of +k if the directions are exchanged.
        back_mirrored, there_mirrored = plan(minus)
        return lines.start, len(lines), *self._kept(there, there_mirrored, back, back_mirrored)

    def _row_plans(self, lines: range) -> tuple[int, ...]:
        to_modes, to_points = plan(self._z[lines.start : lines.stop, : self._length])
        return lines.start, lines.stop, *self._kept(to_points, to_modes)

    def _kept(self, *plans: Transform) -> tuple[int, ...]:
        self._plans += plans
        return tuple(transform.address for transform in plans)

    def advance(self, steps: int, team: Executor) -> None:
        """Take steps from `state` to `state`, with N = −Ĵ − `forcing`."""
        self._forced[:] = self.forcing.any(1)
        if self._threads == 1:
            for done in range(0, steps, AT_ONCE):
                self._take(0, min(AT_ONCE, steps - done))
            return
        others: list[Future[None]] = []
        try:
            others.extend(team.submit(self._take, i, steps) for i in range(1, self._threads))
            self._take(0, steps)
        except BaseException:  # an interrupt, before this thread has begun or after it has ended
            self._counters[0] = ENOUGH  # or the others would wait for it for ever
            raise
        finally:
            for other in others:
                other.result()
            self._counters[:] = 0

    def raise_to_speed(self, fastest_yet: NDArray[Any]) -> None:
        """Raise a number (1,) to max(|u| + |v|) of `state` over the points of the products."""
        for place in self._places:
            to_points(*place)
        for place, rows in zip(self._places, self._rows, strict=True):
            raise_to_speed(rows, self._reals, place, fastest_yet)

    def transform(self) -> None:
        """Do the transforms of a step, and nothing else."""
        for _ in range(STAGES):
            for transform in self._plans:
                transform.execute()

    def _take(self, part: int, steps: int) -> None:
        """Do the share of one thread."""
        rows, place = self._rows[part], self._places[part]
        take_steps(steps, part, self._arrived, YIELD, rows, self._reals, place)


def _groups(lines: int, size: int) -> list[range]:
    """Divide lines of a size in bytes into groups that fit the cache.

    Their number is a power of two, so that threads get equal shares.
    """
    fitting = max(1, CACHED // size)
    count = min(1 << (-(-lines // fitting) - 1).bit_length(), lines)
    edges = [i * lines // count for i in range(count + 1)]
    return [range(start, stop) for start, stop in pairwise(edges)]
