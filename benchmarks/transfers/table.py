"""Criteria against the truth: one row for each criterion and sweep, and the tables made of them."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from benchmarks.transfers.advice import FORECASTS
from benchmarks.transfers.folders import RESULTS
from benchmarks.transfers.record import read_truth
from spectune.atomic import write_text

HALVES = ("choose", "report")


def judged() -> pd.DataFrame:
    """Return regret, rank correlation, hits and cost of every criterion in every sweep.

    regret = (error of the choice − lowest error)/(error of the base network − lowest error)
    """
    forecasts = json.loads(FORECASTS.read_text(encoding="utf-8"))["transfers"]
    rows: list[dict[str, Any]] = []
    for transfer in read_truth()["transfers"]:
        for sweep in transfer["sweeps"]:
            errors = layer_errors(sweep)
            seconds = sum(sweep["retrained"][name]["seconds"] for name in errors.index)
            key = f"{sweep['seed']}-{sweep['samples']}"
            found = forecasts.get(transfer["name"], {}).get(key, {})
            for criterion, entry in found.get("criteria", {}).items():
                rows.append(
                    {
                        "transfer": transfer["name"],
                        "half": transfer["half"],
                        "seed": sweep["seed"],
                        "samples": sweep["samples"],
                        "criterion": criterion,
                        **_judged(entry["ranking"], errors, sweep["retrained"]["none"]["error"]),
                        "cost": entry["seconds"] / seconds,
                    }
                )
    return pd.DataFrame(rows)


def layer_errors(sweep: dict[str, Any]) -> pd.Series:
    """Return the error after re-training each single layer."""
    return pd.Series(
        {
            name: result["error"]
            for name, result in sweep["retrained"].items()
            if name not in ("none", "all") and "+" not in name
        }
    )


def _judged(ranking: list[str], errors: pd.Series, before: float) -> dict[str, Any]:
    order = list(errors.sort_values().index)
    lowest = errors[order[0]]
    position = pd.Series({name: float(i) for i, name in enumerate(ranking)})
    return {
        "choice": ranking[0],
        "best": order[0],
        "regret": (errors[ranking[0]] - lowest) / (before - lowest) if before > lowest else 0.0,
        "spearman": position.corr(errors.reindex(position.index).rank()),
        "top1": ranking[0] == order[0],
        "top3": ranking[0] in order[:3],
    }


def by_criterion(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row a criterion: means over all sweeps, the worst transfer, spread over seeds."""
    of_transfer = rows.groupby(["criterion", "transfer"])["regret"].mean()
    of_seed = rows.groupby(["criterion", "seed"])["regret"].mean()
    table = rows.groupby("criterion")[["regret", "spearman", "top1", "top3", "cost"]].mean()
    table.insert(1, "seeds", of_seed.groupby("criterion").std())
    table.insert(2, "worst transfer", of_transfer.groupby("criterion").max())
    return table.sort_values("regret")


def write_tables() -> None:
    """Write the tables as Markdown."""
    rows = judged()
    parts = ["# Advice against the truth", "", "`python -m benchmarks.transfers`", ""]
    for half in (*HALVES, None):
        chosen = rows if half is None else rows[rows["half"] == half]
        if len(chosen):
            parts += [f"## {half or 'all'}", "", markdown(by_criterion(chosen)), ""]
    write_text(RESULTS / "summary.md", "\n".join(parts))


def markdown(table: pd.DataFrame) -> str:
    """Return a table in Markdown, numbers with three decimals."""
    shown = table.reset_index()
    lines = [" | ".join(map(str, shown.columns)), " | ".join("---" for _ in shown.columns)]
    lines += [
        " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row)
        for row in shown.itertuples(index=False)
    ]
    return "\n".join(f"| {line} |" for line in lines)
