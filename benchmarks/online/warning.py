"""Whether the early warning tells what will blow up: thresholds from some flows, judged in others.

A run is a member of an ensemble. Closures in the flow `forced` choose the thresholds; they are
judged by closures in other flows and by networks from which a part of Smagorinsky is taken off. So
no closure is on both sides, and the indicator `growth`, which was thought of after blow-ups in
`forced` had been looked at, is judged by blow-ups that had not been made then.

`best` is the threshold of one indicator with the largest hit rate − false-alarm rate on the runs
that choose, in the middle of the gap, of equals the highest; `safe` lies above all of them that
lasted. What blew up within the part that is looked at needs no forecast and is counted apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from benchmarks.online.cases import plan
from benchmarks.online.closures import Spec, Undamped
from benchmarks.online.folders import RESULTS
from benchmarks.online.simulate import DT, EARLY_EVERY, EARLY_SNAPSHOTS, STARTS, Ensemble, truth
from spectune.atomic import write_text
from spectune.online.early_warning import INDICATORS, indicators, warning_before
from spectune.provenance import machine, versions

WARNING = RESULTS / "early_warning.json"
UNTIL = EARLY_SNAPSHOTS * EARLY_EVERY * DT
BEFORE = "backscatter before"
NAMES = (*INDICATORS, BEFORE)
SEEN = 10


@dataclass(frozen=True)
class Case:
    """One member: what was seen early, and how it ended.

    Attributes:
        of: its closure.
        member: its number.
        end: when it blew up, or None.
        indicators: of `spectune.online.early_warning`; empty where it blew up before.
    """

    of: Spec
    member: int
    end: float | None
    indicators: dict[str, float]


def write_warning() -> dict[str, Any]:
    """Judge the early warning, write it down, and return the record."""
    ensembles = [_cases(spec) for spec in plan() if Ensemble(spec).done]
    halves = {"choose": [], "judge": []}
    for cases in ensembles:
        chooses = cases[0].of.target == "forced" and not isinstance(cases[0].of, Undamped)
        halves["choose" if chooses else "judge"].extend(cases)
    choosing = halves["choose"]
    best = {name: _best(name, choosing) for name in NAMES}
    safe = {name: _safe(name, choosing) for name in INDICATORS}

    def any_safe(case: Case) -> bool:
        return any(_alarm(case, name, safe) for name in INDICATORS)

    def growth_or_before(case: Case) -> bool:
        return any(_alarm(case, name, best) for name in ("growth", BEFORE))

    rules = {name: partial(_alarm, name=name, limits=best) for name in NAMES} | {
        "growth or backscatter before": growth_or_before,
        "any, safe": any_safe,
    }
    record = {
        "what": __doc__,
        "command": "python -m benchmarks.online",
        "versions": versions(),
        "machine": machine(),
        "looked_at_until": UNTIL,
        "thresholds": {"best": best, "safe": safe},
        "halves": {name: _counts(half) for name, half in halves.items()},
        "judged": {
            name: {half: _rates(cases, rule) for half, cases in halves.items()}
            for name, rule in rules.items()
        },
        "runs": [_entry(case) for half in halves.values() for case in half],
    }
    write_text(WARNING, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def _name(spec: Spec) -> str:
    return f"{spec.target}: {spec.name}"


def _cases(spec: Spec) -> list[Case]:
    ensemble = Ensemble(spec)
    held_out = truth(spec.target)
    states = held_out.spread(SEEN)
    closure = spec.closure(held_out.grid)
    before = math.nan
    if closure is not None:
        pi = closure(states.inputs)[:, 0].detach()
        before = warning_before(states.inputs[:, 1], pi, held_out.grid).indicators["backscatter"]
    cases = []
    for member, (early, whole) in enumerate(zip(ensemble.early(), ensemble.whole(), strict=True)):
        found = {BEFORE: before}
        if early.stable_until is None:
            start = held_out.inputs[STARTS[member], 1]
            found |= indicators(early, start, held_out.grid, until=UNTIL)
        cases.append(Case(spec, member, whole.stable_until, found))
    return cases


def _foreseeable(cases: Iterable[Case]) -> list[Case]:
    """Return those that were still running at the end of the part that is looked at."""
    return [case for case in cases if case.end is None or case.end > UNTIL]


def _safe(name: str, cases: list[Case]) -> float:
    kept = [c for c in _foreseeable(cases) if math.isfinite(c.indicators[name])]
    highest = max(case.indicators[name] for case in kept if case.end is None)
    above = [case.indicators[name] for case in kept if case.indicators[name] > highest]
    return float(f"{0.5 * (highest + min(above, default=highest)):.4g}")


def _best(name: str, cases: list[Case]) -> float:
    kept = [c for c in _foreseeable(cases) if math.isfinite(c.indicators[name])]
    values = sorted({case.indicators[name] for case in kept})
    middles = [0.5 * (a + b) for a, b in pairwise(values)]

    def gain(limit: float) -> float:
        rates = _rates(kept, lambda case: case.indicators[name] > limit)
        hits, false = rates["hit_rate"], rates["false_alarm_rate"]
        return (hits or 0.0) - (false or 0.0)

    return float(f"{max(middles, key=lambda limit: (gain(limit), limit)):.4g}")


def _alarm(case: Case, name: str, limits: dict[str, float]) -> bool:
    return case.indicators[name] > limits[name]


def _rates(cases: Iterable[Case], alarm: Callable[[Case], bool]) -> dict[str, Any]:
    kept = _foreseeable(cases)
    blown = [alarm(case) for case in kept if case.end is not None]
    lasting = [alarm(case) for case in kept if case.end is None]
    return {
        "hits": sum(blown),
        "blow_ups": len(blown),
        "false_alarms": sum(lasting),
        "lasting": len(lasting),
        "hit_rate": round(sum(blown) / len(blown), 3) if blown else None,
        "false_alarm_rate": round(sum(lasting) / len(lasting), 3) if lasting else None,
    }


def _counts(cases: list[Case]) -> dict[str, int]:
    return {
        "closures": len({case.of for case in cases}),
        "runs": len(cases),
        "blew up within the part": len(cases) - len(_foreseeable(cases)),
        "blew up later": sum(case.end is not None for case in _foreseeable(cases)),
    }


def _entry(case: Case) -> dict[str, Any]:
    return {
        "closure": _name(case.of),
        "member": case.member,
        "blew_up_at": None if case.end is None else round(case.end, 4),
        "indicators": {
            name: float(f"{value:.4g}") if math.isfinite(value) else None
            for name, value in case.indicators.items()
        },
    }
