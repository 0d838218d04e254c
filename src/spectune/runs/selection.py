"""Which snapshots of a run, and in which order: member by member, each in the order of time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from spectune.errors import CaseError
from spectune.runs.stepper import divided
from spectune.runs.store import RunStore

__all__ = ["Selection", "select"]

# Times are multiples of an interval, up to the rounding of what the user types.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Selection:
    """Snapshots of a run, in one row.

    Attributes:
        first: position of the first one along the time axis of the run.
        every: distance between two along this axis.
        counts: how many of each member; those of a member are the earliest.
    """

    first: int
    every: int
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return sum(self.counts)

    def portions(self, begin: int, end: int, size: int) -> Iterator[tuple[int, slice]]:
        """Yield the rows from `begin` to `end` as members and slices of their time axes.

        A portion is of one member and of at most `size` snapshots.
        """
        ends = list(accumulate(self.counts))
        while begin < end:
            member = bisect_right(ends, begin)
            stop = min(end, ends[member], begin + size)
            offset = ends[member] - self.counts[member]
            place = [self.first + (row - offset) * self.every for row in (begin, stop - 1)]
            yield member, slice(place[0], place[1] + 1, self.every)
            begin = stop


def select(store: RunStore, *, start: float | None, end: float | None, every: int) -> Selection:
    """Return the snapshots between two times that every member has by now.

    Args:
        store: of the run.
        start: time of the first one; None for that of the run.
        end: time of the last one; None for that of the run.
        every: take every so-many-th.

    Raises:
        CaseError: no time can lie between, or `every` is less than one.
        DataError: the state of a group is damaged.
    """
    if every < 1:
        raise CaseError(f"every = {every}: take every so-many-th snapshot, 1 for all of them")
    if start is not None and end is not None and start > end:
        raise CaseError(f"start = {start:g} is after end = {end:g}; expected it before")
    settings = store.settings
    begin = settings.spinup_intervals
    first, last = 0, None
    if start is not None:
        first = max(0, math.ceil(start / settings.every - _ROUNDING) - begin)
    if end is not None:
        last = math.floor(end / settings.every + _ROUNDING) - begin + 1
    # How a forcing is held and stepped does not depend on the member.
    steps = math.prod(divided(store.setup(range(1)).redraw, settings))
    counts = []
    for members in settings.groups:
        recorded = _recorded(store, members, steps)
        reached = recorded if last is None else max(0, min(recorded, last))
        counts += len(members) * [len(range(first, reached, every))]
    return Selection(first, every, tuple(counts))


def _recorded(store: RunStore, members: range, steps: int) -> int:
    """Return how many snapshots, so many steps apart, readers see of a group."""
    snapshot = store.restart(members)
    if snapshot is None:
        return 0
    recorded = snapshot.step // steps - store.settings.spinup_intervals + 1
    return max(0, min(store.visible, recorded))
