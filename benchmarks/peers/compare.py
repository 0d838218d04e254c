"""The longest step that is accurate, for each candidate, and the wall time at that step."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.peers.flow import Flow, developed_flow
from benchmarks.peers.solvers import Candidate, Solver, candidates
from benchmarks.timing import interleaved
from spectune.errors import StabilityError

TOLERANCE = 1e-4
# A scheme that needs more steps than this multiple of the advective frequency is out of the race.
STEPS_PER_RATE = 20
# More steps do not help where they leave this much of an error that is within this multiple of the
# tolerance: it is round-off, or the grid's. Larger ones are of steps that are far too long.
STAGNANT, NEAR = 0.95, 10.0
# Who is slower than the fastest of all by this factor does not go on to the next size.
HOPELESS = 8.0


@dataclass(frozen=True)
class Size:
    """How thoroughly one grid is treated: runs cost 8 times more from each size to the next.

    Attributes:
        n: points in each direction.
        bracket: factor between trial numbers of steps until the fewest is bracketed.
        resolution: the steps found are fewer than (1 + resolution) times the fewest.
        repeats: of the timing.
    """

    n: int
    bracket: float
    resolution: float
    repeats: int


SIZES = (
    Size(256, bracket=1.5, resolution=0.04, repeats=5),
    Size(512, bracket=1.15, resolution=0.06, repeats=5),
    Size(1024, bracket=1.12, resolution=0.12, repeats=3),
)


@dataclass(frozen=True)
class Entry:
    """A candidate at its longest accurate step."""

    candidate: Candidate
    solver: Solver
    steps: int
    error: float
    build_seconds: float


def run(sizes: tuple[Size, ...] = SIZES) -> list[dict[str, object]]:
    """Return one row for each size and candidate that is accurate there with any step."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    rows: list[dict[str, object]] = []
    # By CFL number 2 first; then where the same candidate ended on the size before.
    courant = dict.fromkeys(candidates(), 2.0)
    for size in sizes:
        flow = developed_flow(size.n)
        entries = []
        for candidate, number in courant.items():
            guess = max(1, round(flow.rate / number))
            entry = longest_step(candidate, flow, guess, size)
            if entry is not None:
                entries.append(entry)
        found = _timed(entries, flow, size.repeats)
        rows += found
        courant = _fastest(entries, found, flow)
    return rows


def longest_step(candidate: Candidate, flow: Flow, guess: int, size: Size) -> Entry | None:
    """Return the candidate at the fewest steps with an error within the tolerance, if any."""
    entries: dict[int, Entry] = {}

    def error(steps: int) -> float:
        entries[steps] = _measured(candidate, flow, steps)
        return entries[steps].error

    steps = fewest(error, guess, math.ceil(STEPS_PER_RATE * flow.rate), size)
    return None if steps is None else entries[steps]


def fewest(error: Callable[[int], float], guess: int, limit: int, size: Size) -> int | None:
    """Return the fewest steps, to within the resolution, that are accurate; None beyond limit.

    Where the error stops falling before it is accurate, the number of steps at which it does.
    """
    too_few, enough, before = 0, guess, math.inf
    while (found := error(enough)) > TOLERANCE:
        if STAGNANT * before < found <= NEAR * TOLERANCE:
            return too_few
        too_few, enough, before = enough, math.ceil(enough * size.bracket), found
        if enough > limit:
            return None
    while not too_few:
        trial = math.floor(enough / size.bracket)
        if trial > 0 and error(trial) <= TOLERANCE:
            enough = trial
        else:
            too_few = trial or 1
    while enough - too_few > max(1.0, size.resolution * too_few):
        middle = round(math.sqrt(enough * too_few))
        if error(middle) <= TOLERANCE:
            enough = middle
        else:
            too_few = middle
    return enough


def _measured(candidate: Candidate, flow: Flow, steps: int) -> Entry:
    started = time.perf_counter()
    solver = candidate.build(flow, 1 / steps)
    error = math.inf
    try:
        solver.advance(1)
        build_seconds = time.perf_counter() - started
        found = solver.vorticity(solver.advance(steps))
    except StabilityError:
        build_seconds = math.nan
    else:
        if np.isfinite(found).all():
            error = flow.error(found)
    return Entry(candidate, solver, steps, error, build_seconds)


def _timed(entries: list[Entry], flow: Flow, repeats: int) -> list[dict[str, object]]:
    # Some 30 steps at every N are enough: the loops are uniform.
    part = min(1.0, (256 / flow.n) ** 1.5)
    counts = {str(i): max(1, round(entry.steps * part)) for i, entry in enumerate(entries)}
    calls = {
        key: lambda entry=entry, key=key: entry.solver.advance(counts[key])
        for key, entry in zip(counts, entries, strict=True)
    }
    seconds = interleaved(calls, repeats)
    per_unit = [
        seconds[key] * entry.steps / counts[key] for key, entry in zip(counts, entries, strict=True)
    ]
    ours = min(
        value
        for value, entry in zip(per_unit, entries, strict=True)
        if entry.candidate.library == "spectune"
    )
    return [
        {
            "n": flow.n,
            "library": entry.candidate.library,
            "version": entry.candidate.version,
            "scheme": entry.candidate.scheme,
            "precision": entry.candidate.precision,
            "dt": 1 / entry.steps,
            "error": entry.error,
            "step_ms": value / entry.steps * 1e3,
            "seconds_per_unit": value,
            "ratio": value / ours,
            "build_seconds": entry.build_seconds,
            "decades": flow.decades,
        }
        for value, entry in zip(per_unit, entries, strict=True)
    ]


def _fastest(
    entries: list[Entry], rows: list[dict[str, object]], flow: Flow
) -> dict[Candidate, float]:
    """Return each library's fastest scheme in each precision, with the CFL number of its step.

    In both precisions: on fine grids a library can lose too many digits in float32.
    """
    ranked = sorted(zip(rows, entries, strict=True), key=lambda pair: pair[0]["seconds_per_unit"])
    fastest: dict[tuple[str, str], Entry] = {}
    for row, entry in ranked:
        if row["seconds_per_unit"] <= HOPELESS * ranked[0][0]["seconds_per_unit"]:
            fastest.setdefault((entry.candidate.library, entry.candidate.precision), entry)
    return {entry.candidate: flow.rate / entry.steps for entry in fastest.values()}
