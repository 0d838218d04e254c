"""Record, table and figure in results/training/."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.data_needed.figure import write_figure
from benchmarks.data_needed.record import COMPARED, record
from benchmarks.data_needed.trainings import SIZES, WAYS
from benchmarks.transfers.folders import ROOT
from spectune.atomic import write_text

RESULTS = ROOT / "results" / "training"


def write_results() -> None:
    """Write data_needed.json, .md, .png and .pdf."""
    found = record()
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    write_text(RESULTS / "data_needed.json", text + "\n")
    write_text(RESULTS / "data_needed.md", "\n".join(_table(found)) + "\n")
    write_figure(found, RESULTS / "data_needed")


def _table(found: dict[str, Any]) -> list[str]:
    lines = [
        "# Target samples needed",
        "",
        "`python -m benchmarks.data_needed`; errors are mean squared error / variance of Π on 60",
        "held-out samples of the target: mean over seeds, lowest and highest. A fifth of the",
        "samples decides when training has been best, in all three ways. 100 % is 200 samples.",
        "",
    ]
    for case in found["cases"]:
        if not case["seeds"]:
            continue
        seeds = ", ".join(str(seed["seed"]) for seed in case["seeds"])
        before = _spread([seed["base_network"]["error"] for seed in case["seeds"]])
        lines += [
            f"## Case {case['paper_case']}: {case['name']}",
            "",
            f"Seeds {seeds}; base network on the target without re-training: {before}.",
            "",
            f"| samples | advised layer | {' | '.join(WAYS)} |",
            "| --- " * (len(WAYS) + 2) + "|",
        ]
        for i, size in enumerate(SIZES):
            layers = ["+".join(seed["curves"]["TLNN"][i]["layers"]) for seed in case["seeds"]]
            cells = [
                _spread([seed["curves"][way][i]["error"] for seed in case["seeds"]]) for way in WAYS
            ]
            lines.append(f"| {size} | {', '.join(layers)} | {' | '.join(cells)} |")
        lines += [
            "",
            "Samples needed to reach the error of the TLNN, by seed:",
            "",
            f"| samples of the TLNN | {' | '.join(WAYS[1:])} |",
            "| --- " * len(WAYS) + "|",
        ]
        for i, size in enumerate(COMPARED):
            needed = [
                ", ".join(_number(seed["needed"][way][i]) for seed in case["seeds"])
                for way in WAYS[1:]
            ]
            lines.append(f"| {size} | {' | '.join(needed)} |")
        lines.append("")
    return lines


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _number(needed: float | None) -> str:
    if needed is None:
        return f"> {SIZES[-1]}"
    return f"≤ {SIZES[0]}" if needed <= SIZES[0] else f"{needed:.3g}"
