"""The tables of the report, as text ready to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectune.report.findings import Findings, number
from spectune.report.run_folder import RunFolder
from spectune.report.sentences import figure_of, span
from spectune.report.style import plain

__all__ = [
    "Table",
    "advice_table",
    "case_table",
    "closure_table",
    "criteria_table",
    "offline_table",
    "stage_table",
    "sweep_table",
]


@dataclass(frozen=True)
class Table:
    """Cells as text.

    Attributes:
        title: what the table holds.
        head: names of the columns.
        rows: cells.
        marked: rows to set apart.
        text: columns that hold words and not numbers.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: frozenset[int] = frozenset()
    text: frozenset[int] = frozenset({0})


_EXPERIMENTS = {
    "BNN on base": "base network, base flow",
    "BNN on target": "base network, target flow",
    "TLNN on target": "re-trained network, target flow",
}


def offline_table(found: Findings) -> Table:
    """Scores of the three experiments."""
    bands = list(next(iter(found.bands.values()), {}))
    rows = [
        [
            _EXPERIMENTS.get(name, name),
            figure_of(found.error[name]),
            figure_of(found.correlation[name]),
            figure_of(found.spectrum_error[name]),
            *(figure_of(found.bands[name][band]) for band in bands),
        ]
        for name in found.error
    ]
    head = ["", "error", "correlation", "spectrum error", *(f"… {b} scales" for b in bands)]
    return Table("Held-out scores of Π", head, rows)


def advice_table(run: RunFolder) -> Table:
    """The forecast for every layer, and how many of the other criteria agree."""
    layers = run.advice["layers"]
    voters = len(run.advice.get("voters", ()))
    rows = [
        [
            str(layer["name"]),
            f"{int(layer['weights']):,}".replace(",", " "),
            f"{100 * number(layer['share']):.1f} %",
            figure_of(number(layer["predicted_error"])),
            f"{figure_of(number(layer.get('low')))}–{figure_of(number(layer.get('high')))}",
            "cannot help" if layer.get("obstacle") else str(layer.get("band", "—")),
            f"{layer.get('votes', 0)} of {voters}" if voters else "—",
        ]
        for layer in layers
    ]
    head = ["layer", "weights", "share", "forecast error", "interval", "repairs most at", "agree"]
    marked = [i for i, layer in enumerate(layers) if layer["name"] == run.advised]
    return Table("The forecast, in network order", head, rows, frozenset(marked), frozenset({0, 5}))


def sweep_table(run: RunFolder, found: Findings) -> Table:
    """What re-training gave, layer by layer."""
    moved = {
        str(name): float(value)
        for name, value in zip(
            run.explanation["layer"].values, run.explanation["weight_change"].values, strict=True
        )
    }
    entries = [*run.sweep["layers"], {"name": "all layers"} | dict(run.sweep["all_layers"])]
    rows = [
        [
            str(entry["name"]),
            str(found.ranked.index(entry["name"]) + 1) if entry["name"] in found.sweep else "",
            figure_of(number(entry.get("error"))),
            figure_of(number(entry.get("correlation"))),
            figure_of(number(entry.get("spectrum_error"))),
            f"{100 * moved[entry['name']]:.0f} %"
            if np.isfinite(moved.get(entry["name"], np.nan))
            else "—",
            span(number(entry.get("seconds"))),
        ]
        for entry in entries
    ]
    head = ["re-trained", "rank", "error", "correlation", "spectrum error", "‖ΔW‖ ÷ ‖W‖", "time"]
    marked = [i for i, entry in enumerate(entries) if entry["name"] == found.advised]
    return Table("Measured on held-out target samples", head, rows, frozenset(marked))


def criteria_table(run: RunFolder) -> Table:
    """What each criterion would have chosen."""
    rows = [
        [
            str(name),
            str(entry.get("choice", "—")),
            str(entry.get("rank_of_choice", "—")),
            figure_of(number(entry.get("regret"))),
            figure_of(number(entry.get("spearman"))),
        ]
        for name, entry in sorted(
            run.sweep["comparison"].items(),
            key=lambda item: np.nan_to_num(number(item[1].get("regret")), nan=np.inf),
        )
    ]
    head = ["criterion", "choice", "rank of the choice", "regret", "rank correlation"]
    return Table("Criteria against the measured errors", head, rows, text=frozenset({0, 1}))


def closure_table(found: Findings) -> Table:
    """Scores of the closures inside the simulation."""
    rows = [
        [
            {"BNN": "base network", "TLNN": "re-trained network"}.get(c.name, c.name),
            "to the end" if c.stable else f"blew up at t = {plain(c.blew_up_at)}",
            figure_of(c.energy),
            figure_of(c.enstrophy),
            plain(c.pdf),
            figure_of(c.similarity),
            figure_of(c.backscatter),
        ]
        for c in found.closures.values()
    ]
    rows.append(
        [
            "truth, first half against second",
            "—",
            figure_of(found.sampling[0]),
            figure_of(found.sampling[1]),
            plain(found.sampling[2]),
            "—",
            "—",
        ]
    )
    head = ["closure", "ran", "energy spectrum error", "enstrophy spectrum error"]
    head += ["PDF distance", "similarity", "backscatter"]
    marked = [i for i, c in enumerate(found.closures.values()) if c.name == "TLNN"]
    return Table("Against filtered DNS", head, rows, frozenset(marked), frozenset({0, 1}))


def case_table(case: Mapping[str, Any]) -> list[Table]:
    """The whole case: the flows side by side, then every other section."""
    base, target = case.get("base", {}), case.get("target", {})
    keys = list(dict.fromkeys([*base, *target]))
    rows = [[_words(k), _cell(base.get(k)), _cell(target.get(k))] for k in keys]
    others = [
        [f"{section}: {_words(key)}", _cell(value)]
        for section, values in case.items()
        if section not in ("base", "target") and isinstance(values, Mapping)
        for key, value in values.items()
    ]
    return [
        Table("The flows", ["", "base", "target"], rows),
        Table("Grid, network and budgets", ["", "value"], others),
    ]


def stage_table(stages: Sequence[Mapping[str, Any]]) -> Table:
    """Wall time of every stage."""
    seconds = [number(stage.get("seconds")) for stage in stages]
    rows = [
        [str(stage.get("title", stage["name"])), span(spent)]
        for stage, spent in zip(stages, seconds, strict=True)
    ]
    rows.append(["in all", span(float(np.nansum(seconds)))])
    return Table("Wall time", ["stage", "time"], rows, frozenset({len(rows) - 1}))


_KEYS = {
    "reynolds": "Reynolds number",
    "dns": "points of the DNS",
    "les": "points of the LES",
    "dt": "time step",
    "beta": "β",
    "training": "training samples",
    "held_out": "held-out samples",
}


def _words(key: str) -> str:
    return _KEYS[key] if key in _KEYS else key.replace("_", " ")


def _cell(value: Any) -> str:
    if value is None:
        return "—"
    return f"{value:g}" if isinstance(value, float) else str(value)
