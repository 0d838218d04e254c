"""The finding in words: every clause is chosen by the numbers of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectune.report.findings import ClosureScore, Findings
from spectune.report.style import plain

__all__ = [
    "Tile",
    "all_layers_sentence",
    "check_sentence",
    "closure_name",
    "figure_of",
    "flow_names",
    "lead",
    "les_sentences",
    "ordinal",
    "span",
    "tiles",
]

_CLOSURES = {
    "TLNN": "the re-trained network",
    "BNN": "the base network",
    "no closure": "the simulation without closure",
}


@dataclass(frozen=True)
class Tile:
    """One number of the head of the page."""

    label: str
    value: str
    detail: str
    tone: str  # "good", "bad" or "plain"


def figure_of(value: float) -> str:
    """A score to read: two decimals, three digits above ten, — for none."""
    if not np.isfinite(value):
        return "—"
    return f"{value:.2f}".replace("-", "−") if abs(value) < 9.995 else plain(value)


def ordinal(place: int) -> str:
    """A place in a ranking: 1st, 2nd, 3rd, 4th."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(place % 10 if place % 100 not in (11, 12, 13) else 0)
    return f"{place}{suffix or 'th'}"


def span(seconds: float) -> str:
    """A time to read."""
    if not np.isfinite(seconds):
        return "—"
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def closure_name(name: str) -> str:
    """A closure inside a sentence."""
    return _CLOSURES.get(name, name)


def flow_names(case: Mapping[str, Any]) -> tuple[str, str]:
    """Base and target flow, each with what sets it apart from the other."""
    base, target = case.get("base", {}), case.get("target", {})
    named = []
    for flow, other, name in ((base, target, "base"), (target, base, "target")):
        marks = []
        if flow.get("forcing_wavenumber") != other.get("forcing_wavenumber"):
            k = flow.get("forcing_wavenumber")
            marks.append(f"forced at k = {plain(float(k))}" if k else "decaying")
        for key, sign in (("reynolds", "Re"), ("drag", "drag"), ("beta", "β")):
            if flow.get(key) != other.get(key) and flow.get(key) is not None:
                marks.append(f"{sign} = {flow[key]:,g}".replace(",", " "))
        named.append(f"the {name} flow" + (f" ({', '.join(marks)})" if marks else ""))
    return named[0], named[1]


def lead(found: Findings, case: Mapping[str, Any]) -> list[str]:
    """The finding in a few sentences, most important first."""
    base, target = flow_names(case)
    before, after = found.error["BNN on target"], found.error["TLNN on target"]
    if before > 1.02:
        verdict = ", worse than a constant guess"
    elif before > 0.95:
        verdict = ", no better than a constant guess"
    else:
        verdict = ""
    one = (
        f"A neural network learned the subgrid term of {base}. Its error there is "
        f"{figure_of(found.error['BNN on base'])} of the variance; on {target} it is "
        f"{figure_of(before)}{verdict}."
    )
    effect = "brings it down to" if after < before else "does not help: the error becomes"
    two = (
        f"Re-training only {found.advised}, the layer that Spectune advised from a few target "
        f"samples, {effect} {figure_of(after)}."
    )
    return [one, two, check_sentence(found), all_layers_sentence(found), *les_sentences(found)]


def check_sentence(found: Findings) -> str:
    """Whether the advice holds against the measured errors."""
    count = len(found.sweep)
    if not found.rank:
        return f"The sweep holds no result for {found.advised}, so the advice is unchecked."
    if min(found.sweep.values(), default=np.nan) >= found.bnn_error:
        return "Re-training a single layer lowers the error for none of the layers."
    if found.rank == 1:
        return (
            f"Re-training each of the {count} layers alone confirms "
            f"{found.advised} as the best choice."
        )
    return (
        f"{found.advised} is not the best choice: re-training each of the {count} layers alone "
        f"ranks it {ordinal(found.rank)}, behind {found.best} at "
        f"{figure_of(found.sweep[found.best])} "
        f"(regret {figure_of(found.regret)})."
    )


def all_layers_sentence(found: Findings) -> str:
    """All layers against the best single one."""
    every, best = found.all_layers, found.sweep[found.best]
    if not np.isfinite(every):
        return "Re-training all layers at once gave no finite error."
    if abs(every - best) <= 0.02 * best:
        how = "is about as good as the best single layer"
    elif every < best:
        how = "does better than the best single layer"
    else:
        how = "does worse than the best single layer"
    return (
        f"Re-training all layers on the same samples {how} "
        f"({figure_of(every)} against {figure_of(best)})."
    )


def les_sentences(found: Findings) -> list[str]:
    """What happened in the large-eddy simulation."""
    tlnn = found.closures.get("TLNN")
    if tlnn is None:
        return ["The re-trained network was not run inside a large-eddy simulation."]
    words = [_stability(found, tlnn)]
    others = [c for c in found.closures.values() if not c.stable and c.name != "TLNN"]
    if others:
        ends = [f"{closure_name(c.name)} at t = {plain(c.blew_up_at)}" for c in others]
        words.append(
            f"Blown up as well: {', '.join(ends)}."
            if not tlnn.stable
            else f"Blown up: {', '.join(ends)}."
        )
    if tlnn.stable and np.isfinite(tlnn.similarity):
        words.append(_similarity(found, tlnn))
    if np.isfinite(found.sampling).all():
        words.append(
            f"The two halves of the truth itself differ by {figure_of(found.sampling[0])} in the "
            f"spectrum and {plain(found.sampling[2])} in the distribution: "
            "differences of about that size are sampling noise."
        )
    return words


def _stability(found: Findings, tlnn: ClosureScore) -> str:
    if not tlnn.stable:
        return (
            f"Inside the large-eddy simulation it fails: the run with the re-trained network blew "
            f"up at t = {plain(tlnn.blew_up_at)} of {plain(found.online_time)}."
        )
    text = (
        "Inside the large-eddy simulation the re-trained network runs stably to the end "
        f"(t = {plain(found.online_time)})"
    )
    order = found.closest("energy")
    if tlnn not in order:
        return text + "."
    text += f" with an error of the energy spectrum of {figure_of(tlnn.energy)}"
    bnn = found.closures.get("BNN")
    if bnn is not None and bnn in order:
        text += f" ({figure_of(bnn.energy)} with the base network)"
    if order[0] is tlnn:
        return text + ", the lowest of all closures."
    first = order[0]
    return text + f"; {closure_name(first.name)} is closer ({figure_of(first.energy)})."


def _similarity(found: Findings, tlnn: ClosureScore) -> str:
    order = found.closest("similarity")
    start = (
        "By similarity, which joins the energy spectrum and the distribution of the vorticity, "
        f"it reaches {figure_of(tlnn.similarity)}"
    )
    if tlnn.similarity <= 0:
        start += ", no better than no closure at all"
    if order[0] is tlnn:
        return start + ", the highest of all closures."
    first = order[0]
    text = start + f" and {closure_name(first.name)} is ahead with {figure_of(first.similarity)}"
    if first.pdf < tlnn.pdf and tlnn.energy < first.energy:
        text += ", because its distribution is nearer to the truth although its spectrum is not"
    return text + "."


def tiles(found: Findings) -> list[Tile]:
    """The numbers at the head of the page."""
    before, after = found.error["BNN on target"], found.error["TLNN on target"]
    change = (
        f"correlation {figure_of(found.correlation['BNN on target'])} → "
        f"{figure_of(found.correlation['TLNN on target'])}"
    )
    count = len(found.sweep)
    rank = f"{ordinal(found.rank)} of {count} layers" if found.rank else "not in the sweep"
    regret = f"when each is re-trained; regret {figure_of(found.regret)}"
    dearer = found.speedup < 1
    cost = (
        f"{span(found.advice_seconds)} for the advice, "
        f"{span(found.sweep_seconds)} for re-training every layer"
    )
    return [
        Tile(
            "Error on the target flow",
            f"{figure_of(before)} → {figure_of(after)}",
            change,
            "good" if after < before else "bad",
        ),
        Tile(
            f"Advised layer: {found.advised}", rank, regret, "good" if found.rank == 1 else "plain"
        ),
        Tile(
            "Cost of the advice",
            f"{plain(float(f'{1 / found.speedup if dearer else found.speedup:.2g}'))}× "
            + ("dearer" if dearer else "cheaper"),
            cost,
            "plain",
        ),
        _les_tile(found),
    ]


def _les_tile(found: Findings) -> Tile:
    tlnn, bnn = found.closures.get("TLNN"), found.closures.get("BNN")
    if tlnn is None:
        return Tile("Large-eddy simulation", "—", "not run", "plain")
    if not tlnn.stable:
        return Tile(
            "Large-eddy simulation, re-trained",
            f"blew up at t = {plain(tlnn.blew_up_at)}",
            f"of {plain(found.online_time)}",
            "bad",
        )
    before = "—"
    if bnn is not None:
        before = figure_of(bnn.energy) if bnn.stable else "blew up"
    order, joint = found.closest("energy"), found.closest("similarity")
    leads = [bool(ranks) and ranks[0] is tlnn for ranks in (order, joint)]
    detail = f"stable to t = {plain(found.online_time)}"
    if tlnn in joint:
        place = ordinal(joint.index(tlnn) + 1)
        detail += (
            f"; similarity {figure_of(tlnn.similarity)}, {place} of {len(found.closures)} closures"
        )
    return Tile(
        "Spectrum error in the LES",
        f"{before} → {figure_of(tlnn.energy)}",
        detail,
        "good" if all(leads) else "plain",
    )
