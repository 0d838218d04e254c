"""The numbers that are committed, and the table made from them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.a_posteriori.bursts import BURSTS, DT, SNAPSHOTS, STEPS
from benchmarks.a_posteriori.folders import RESULTS
from benchmarks.a_posteriori.memory import PATH as MEMORY
from benchmarks.a_posteriori.retraining import (
    BASE,
    BATCH,
    LAYER,
    LEARNING_RATE,
    SEEDS,
    Retraining,
)
from benchmarks.a_posteriori.scores import (
    FORECASTS,
    LES_STARTS,
    LES_TIME,
    LOST,
    REFERENCES,
    SCORES,
    finished,
    spectrum_distance,
    true_spectra,
)
from spectune.atomic import write_text
from spectune.provenance import machine, versions

RECORD = RESULTS / "a_posteriori.json"


def write_record() -> None:
    """Gather what is finished into one file, and the table from it."""
    wavenumber, energy, first, second = true_spectra()
    record = {
        "what": __doc__,
        "command": "python -m benchmarks.a_posteriori",
        "versions": versions(),
        "machine": machine(),
        "case": {
            "base": BASE,
            "target": "forced",
            "layer": LAYER,
            "bursts": BURSTS,
            "snapshots": SNAPSHOTS,
            "steps": STEPS,
            "dt": DT,
            "batch": BATCH,
            "learning_rate": LEARNING_RATE,
            "forecasts": FORECASTS,
            "lost_below": LOST,
            "les_starts": LES_STARTS,
            "les_time": LES_TIME,
        },
        "truth": {
            "wavenumber": wavenumber.tolist(),
            "spectrum": _rounded(energy.tolist()),
            "error_of_its_halves": _rounded([spectrum_distance(half) for half in (first, second)]),
        },
        "memory": _rounded(json.loads(MEMORY.read_text())),
        "rows": [_row(seed, way) for seed, way in _closures()],
    }
    write_text(RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    write_text(RESULTS / "a_posteriori.md", table(record))


def _closures() -> list[tuple[int | None, str]]:
    references: list[tuple[int | None, str]] = [(None, way) for way in REFERENCES]
    return references + [(seed, way) for seed, ways in SEEDS.items() for way in ways]


def _row(seed: int | None, way: str) -> dict[str, Any]:
    number = min(SEEDS) if seed is None else seed
    row: dict[str, Any] = {"closure": way, "seed": seed}
    if seed is not None and finished(number, way, "offline"):
        row["cost"] = _rounded(Retraining(seed, way).cost())
    for what in SCORES:
        row[what] = _rounded(finished(number, way, what))
    return row


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def table(record: dict[str, Any]) -> str:
    """Return the table in Markdown, with what it says about the question."""
    case, memory = record["case"], record["memory"]
    columns = (
        "closure",
        "seed",
        "steps",
        "CPU s",
        "error of Π",
        "error of ω̄ at 0.15",
        "at 1.05",
        "at 3",
        "follows DNS for",
        "LES: error of E(k)",
        "of each",
        "stable",
    )
    lines = [
        "# Re-training through the solver",
        "",
        f"`{record['command']}`; numbers in `a_posteriori.json`. {case['layer']} of networks for "
        f"k_f = 25 (8 layers, 16 channels), re-trained for k_f = 4 (Re = 1000, 64² from 256²). "
        f"The data are {case['bursts']} bursts of filtered DNS, a start and {case['snapshots']} "
        f"snapshots that follow it within {case['steps']} LES steps of Δt = {case['dt']:g}. "
        f"Adam, batches of {case['batch']}, learning rate {case['learning_rate']:g} along half a "
        "cosine. A step through the solver goes through all LES steps of a burst.",
        "",
        "- offline: 300 steps on the pairs (ψ̄, ω̄) → Π of the starts;",
        "- offline, equal steps: from there 100 steps on the pairs of all 250 snapshots;",
        "- offline, then solver: from there 100 steps through the solver;",
        "- offline, equal CPU: from the base network, on the pairs of all snapshots, as many CPU "
        "seconds as *offline, then solver*;",
        "- equal CPU, then offline: from there as many CPU seconds on pairs as 100 steps through "
        "the solver take;",
        "- equal CPU, then solver: from there 100 steps through the solver;",
        "- solver: from the base network, 300 steps through the solver.",
        "",
        "Errors are mean squared error over variance, on a later part of the flow: of Π on 62 "
        f"samples, of ω̄ in {case['forecasts']} forecasts. A forecast follows the DNS until its "
        f"correlation falls below {case['lost_below']:g} (mean ± standard deviation over "
        f"forecasts). LES: {case['les_starts']} initial states, {case['les_time']:g} time units; "
        "mean over 0 < k < 32 of |E − E_true|/E_true, of the mean of all three and of each. The "
        "halves of the truth, 91 time units each, are "
        f"{' and '.join(f'{e:.2f}' for e in record['truth']['error_of_its_halves'])} from the "
        "whole.",
        "",
        "| " + " | ".join(columns) + " |",
        "| --- " * 2 + "| ---: " * (len(columns) - 2) + "|",
        *(_line(row) for row in record["rows"] if row["forecast"]),
        "",
        f"One gradient ({case['batch']} trajectories), beyond what a forward pass without gradient "
        "needs:",
        "",
        "| LES steps | checkpoints | memory, MiB | CPU s |",
        "| ---: | --- | ---: | ---: |",
        *(
            f"| {row['steps']} | {'one a step' if row['checkpointing'] else 'none'} | "
            f"{row['extra_mib']:.0f} | {row['seconds']:.2f} |"
            for row in memory
        ),
    ]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    cost, forecast, les = row.get("cost"), row["forecast"], row["les"] or {}
    horizons = forecast["horizons"]
    at = {
        round(time, 2): error
        for time, error in zip(forecast["time"], forecast["error"], strict=True)
    }
    stable = les.get("stable_until")
    cells = [
        row["closure"],
        str(row["seed"] or ""),
        f"{cost['steps']}" if cost else "",
        f"{cost['seconds']:.0f}" if cost else "",
        f"{row['offline']['error']:.3f}",
        f"{at[0.15]:.5f}",
        f"{at[1.05]:.4f}",
        f"{at[3.0]:.3f}",
        f"{np.mean(horizons):.2f} ± {np.std(horizons):.2f}",
        f"{les['error']:.2f}" if "error" in les else "—",
        " ".join(f"{error:.2f}" for error in les.get("errors", [])),
        "" if stable is None else f"{sum(t is None for t in stable)} of {len(stable)}",
    ]
    return "| " + " | ".join(cells) + " |"
