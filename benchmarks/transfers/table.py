"""Criteria against the truth: one row for each criterion and sweep, and the tables made of them.

Where the best layer lowers the error by less than `NOTHING` of it, there is no layer to find, and
regret would divide by almost nothing. Such sweeps are listed apart, with what the advice said.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from benchmarks.transfers.advice import FORECASTS
from benchmarks.transfers.folders import RESULTS
from benchmarks.transfers.record import read_truth
from spectune.atomic import write_text

HALVES = ("choose", "report")
TITLES = ("Transfers on which defaults were chosen", "Transfers that judge them")
NOTHING = 0.05


def judged() -> pd.DataFrame:
    """Return regret, rank correlation, hits and cost of every criterion in every sweep.

    regret = (error of the choice − lowest error)/(error of the base network − lowest error)
    """
    forecasts = json.loads(FORECASTS.read_text(encoding="utf-8"))["transfers"]
    rows: list[dict[str, Any]] = []
    for transfer in read_truth()["transfers"]:
        for sweep in transfer["sweeps"]:
            errors = layer_errors(sweep)
            if not has_best_layer(sweep):
                continue
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


def has_best_layer(sweep: dict[str, Any]) -> bool:
    """Say whether re-training the best layer lowers the error noticeably."""
    before: float = sweep["retrained"]["none"]["error"]
    return before - layer_errors(sweep).min() > NOTHING * before


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
        "regret": (errors[ranking[0]] - lowest) / (before - lowest),
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


def by_transfer(advised: pd.DataFrame) -> pd.DataFrame:
    """Return what the advice chose in each transfer, means over seeds."""
    groups = advised.groupby(["transfer", "samples"], sort=False)
    table = groups[["regret", "spearman", "cost"]].mean()
    for name in ("choice", "best"):
        table[name] = groups[name].agg(lambda layers: ", ".join(map(str, layers)))
    return table


def what_is_retrained() -> pd.DataFrame:
    """Return the errors of the base network, the best layer, the best pair and all layers."""
    rows = []
    for transfer in read_truth()["transfers"]:
        for sweep in transfer["sweeps"]:
            errors = {name: found["error"] for name, found in sweep["retrained"].items()}
            pairs = [error for name, error in errors.items() if "+" in name]
            if len(pairs) < math.comb(len(layer_errors(sweep)), 2):
                pairs = []
            rows.append(
                {
                    "transfer": transfer["name"],
                    "samples": sweep["samples"],
                    "base network at home": sweep["base_error"],
                    "on the target": errors["none"],
                    "best layer": layer_errors(sweep).min(),
                    "worst layer": layer_errors(sweep).max(),
                    "best pair": min(pairs, default=float("nan")),
                    "all layers": errors["all"],
                }
            )
    return pd.DataFrame(rows).groupby(["transfer", "samples"], sort=False).mean()


def without_best_layer() -> pd.DataFrame:
    """Return the sweeps in which there is no layer to find, and what the advice said there."""
    forecasts = json.loads(FORECASTS.read_text(encoding="utf-8"))["transfers"]
    rows = []
    for transfer in read_truth()["transfers"]:
        for sweep in transfer["sweeps"]:
            key = f"{sweep['seed']}-{sweep['samples']}"
            found = forecasts.get(transfer["name"], {}).get(key)
            if found and not has_best_layer(sweep):
                rows.append(
                    {
                        "transfer": transfer["name"],
                        "seed": sweep["seed"],
                        "samples": sweep["samples"],
                        "base network": sweep["retrained"]["none"]["error"],
                        "best layer": layer_errors(sweep).min(),
                        "verdicts": "; ".join(found["forecast"]["verdicts"]) or "none",
                    }
                )
    columns = ["transfer", "seed", "samples", "base network", "best layer", "verdicts"]
    return pd.DataFrame(rows, columns=columns).set_index("transfer")


def write_tables() -> None:
    """Write the tables as Markdown."""
    rows = judged()
    parts = [
        "# Advice against the truth",
        "",
        "`python -m benchmarks.transfers`; regret: 0 for the best layer, 1 for no gain; seeds: its",
        "standard deviation over seeds; cost: CPU time over that of re-training every layer.",
        "The formula of the forecast was chosen on two transfers of the first half, before the",
        "advice had been asked about any of the second.",
        "",
    ]
    for half, title in (*zip(HALVES, TITLES, strict=True), (None, "All")):
        chosen = rows if half is None else rows[rows["half"] == half]
        if len(chosen):
            parts += [f"## {title}", "", markdown(by_criterion(chosen)), ""]
    advised = rows[rows["criterion"] == "advice"]
    parts += ["## The advice by transfer", "", markdown(by_transfer(advised)), ""]
    parts += ["## What is re-trained", "", markdown(what_is_retrained()), ""]
    parts += ["## Sweeps without a best layer", "", markdown(without_best_layer()), ""]
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
