"""Work space of one flow in a fused step: its buffers, its transforms and the order of its work."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pyfftw
from numpy.typing import NDArray

from spectune.systems.fused.kernels import (
    advance_modes,
    clear_columns,
    gather,
    raise_to_speed,
    scatter,
    square,
)
from spectune.systems.fused.plans import Transform, plan
from spectune.systems.fused.rendezvous import Rendezvous

__all__ = ["Lane", "Modes"]

STAGES = 4
# Bytes that a thread works on at a time, between two visits to main memory: about what the cache
# of a core holds beside the operators.
CACHED = 1 << 19


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


@dataclass(frozen=True)
class _Columns:
    """The lines ±k_x of some k_x, with their transforms along y in a buffer that fits the cache."""

    first: int
    plus: NDArray[Any]
    minus: NDArray[Any]
    to_modes: tuple[Transform, Transform]
    to_points: tuple[Transform, Transform]


@dataclass(frozen=True)
class _Rows:
    """Some rows y with their transforms along x."""

    reals: NDArray[Any]
    to_points: Transform
    to_modes: Transform


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
        self._modes = modes
        self._real = real = modes.inverse_k2.dtype
        dtype = np.result_type(real, np.complex64)
        self.state, self.forcing, total = np.zeros((3, *modes.shape), dtype)
        rotates = np.iscomplexobj(modes.decay)
        self._forced = np.zeros(k + 1, bool)
        self._arguments = (
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
        group = 128 // dtype.itemsize
        line = (-(-m // group) + 1) * group
        self._z = pyfftw.zeros_aligned((m, line), dtype=dtype)
        # The groups are the same for any number of threads: so are the bytes of the result.
        size = line * dtype.itemsize
        columns, rows = _groups(k + 1, 2 * size), _groups(m, size)
        self._columns = [self._column_groups(columns[i::threads]) for i in range(threads)]
        self._rows = [self._row_groups(rows[i::threads]) for i in range(threads)]
        self._scratch = [np.zeros((3, 2 * modes.shape[0]), real) for _ in range(threads)]
        self._rendezvous = Rendezvous(threads)

    def _column_groups(self, groups: list[range]) -> list[_Columns]:
        m = self._modes.points
        # One buffer for all groups of a thread, which so stays in its cache.
        both = pyfftw.zeros_aligned(
            (2, max(map(len, groups), default=0), self._z.shape[1]), dtype=self._z.dtype
        )
        made = []
        for lines in groups:
            plus, minus = both[:, : len(lines)]
            there, back = plan(plus[:, :m])
            # Along −k the modes come in the order of +k if the directions are exchanged.
            back_mirrored, there_mirrored = plan(minus[:, :m])
            made.append(
                _Columns(lines.start, plus, minus, (there, there_mirrored), (back, back_mirrored))
            )
        return made

    def _row_groups(self, groups: list[range]) -> list[_Rows]:
        m = self._modes.points
        made = []
        for lines in groups:
            rows = self._z[lines.start : lines.stop]
            to_modes, to_points = plan(rows[:, :m])
            made.append(_Rows(rows.view(self._real), to_points, to_modes))
        return made

    def advance(self, steps: int, team: Executor) -> None:
        """Take steps from `state` to `state`, with N = −Ĵ − `forcing`."""
        self._forced[:] = self.forcing.any(1)
        if len(self._rows) == 1:
            self._work(0, steps)
        else:
            for done in [team.submit(self._share, i, steps) for i in range(len(self._rows))]:
                done.result()

    def raise_to_speed(self, fastest_yet: NDArray[Any]) -> None:
        """Raise a number (1,) to max(|u| + |v|) of `state` over the points of the products."""
        for columns, scratch in zip(self._columns, self._scratch, strict=True):
            for group in columns:
                self._advance(group, -1, scratch)
                self._to_points(group)
        for block in chain.from_iterable(self._rows):
            self._velocity(block)
            raise_to_speed(block.reals, self._modes.points, fastest_yet)

    def _share(self, part: int, steps: int) -> None:
        try:
            self._work(part, steps)
        except BaseException:
            self._rendezvous.give_up()  # or the others would wait for ever
            raise

    def _work(self, part: int, steps: int) -> None:
        """Do the share of one thread."""
        columns, rows = self._columns[part], self._rows[part]
        scratch = self._scratch[part]
        stages = [stage for _ in range(steps) for stage in range(STAGES)]
        for group in columns:
            self._advance(group, -1, scratch)
            self._to_points(group)
        for count, stage in enumerate(stages, 1):
            self._rendezvous.wait(part)
            for block in rows:
                self._square(block)
            self._rendezvous.wait(part)
            for group in columns:
                gather(self._z, group.first, self._modes.points, group.plus, group.minus)
                for transform in group.to_modes:
                    transform.execute()
                self._advance(group, stage, scratch)
                if count < len(stages):
                    self._to_points(group)

    def _advance(self, group: _Columns, stage: int, scratch: NDArray[Any]) -> None:
        advance_modes(
            stage,
            group.first,
            self._modes.points,
            group.plus.view(self._real),
            group.minus.view(self._real),
            *self._arguments,
            scratch,
        )

    def _to_points(self, group: _Columns) -> None:
        for transform in group.to_points:
            transform.execute()
        scatter(group.plus, group.minus, group.first, self._modes.points, self._z)

    def _velocity(self, rows: _Rows) -> None:
        m, k = self._modes.points, self._modes.cutoff
        clear_columns(rows.reals, 2 * (k + 1), 2 * (m - k))
        rows.to_points.execute()

    def _square(self, rows: _Rows) -> None:
        self._velocity(rows)
        square(rows.reals, self._modes.points)
        rows.to_modes.execute()


def _groups(lines: int, size: int) -> list[range]:
    """Divide lines of a size in bytes into groups that fit the cache.

    Their number is a power of two, so that threads get equal shares.
    """
    fitting = max(1, CACHED // size)
    count = min(1 << (-(-lines // fitting) - 1).bit_length(), lines)
    edges = [i * lines // count for i in range(count + 1)]
    return [range(start, stop) for start, stop in pairwise(edges)]
