"""Criteria against the truth: one row for each criterion and sweep, and the tables made of them.

Where the best layer lowers the error by less than `NOTHING` of it, there is no layer to find, and
regret would divide by almost nothing. Such sweeps are listed apart, with what the advice said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from benchmarks.transfers.advice import FORECASTS
from benchmarks.transfers.folders import RESULTS
from benchmarks.transfers.record import read_truth
from spectune.advice import ALL_LAYERS, Retrained, Sweep, compare
from spectune.atomic import write_text

HALVES = ("choose", "report")
TITLES = ("Transfers on which defaults were chosen", "Transfers that judge them")
NOTHING = 0.05


def judged() -> pd.DataFrame:
    """Return regret, rank correlation, hits and cost of every criterion in every sweep."""
    forecasts = json.loads(FORECASTS.read_text(encoding="utf-8"))["transfers"]
    rows: list[dict[str, Any]] = []
    for transfer, sweep, found in _asked(forecasts):
        if not has_best_layer(sweep):
            continue
        truth = _sweep(sweep)
        rankings = {name: entry["ranking"] for name, entry in found["criteria"].items()}
        comparison = compare(rankings, tuple(rankings), truth)
        for criterion, entry in found["criteria"].items():
            one = comparison[criterion]
            rows.append(
                {
                    "transfer": transfer["name"],
                    "half": transfer["half"],
                    "seed": sweep["seed"],
                    "samples": sweep["samples"],
                    "criterion": criterion,
                    "choice": one["choice"],
                    "best": min(truth.layers, key=lambda layer: layer.error).name,
                    "regret": one["regret"],
                    "spearman": one["spearman"],
                    "top1": one["rank_of_choice"] == 1,
                    "top3": one["rank_of_choice"] <= 3,
                    "cost": entry["seconds"] / truth.seconds,
                }
            )
    return pd.DataFrame(rows)


def _sweep(sweep: dict[str, Any]) -> Sweep:
    """Return a sweep of the record as `spectune.verify_advice` has it."""
    retrained = sweep["retrained"]
    return Sweep(
        retrained["none"]["error"],
        tuple(Retrained(name, **retrained[name]) for name in layer_errors(sweep).index),
        Retrained(ALL_LAYERS, **retrained["all"]),
    )


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


def pairs_judged() -> pd.DataFrame:
    """Return the advised set beside the best layer and the best pair, where pairs were re-trained.

    The regret is that among all layers and pairs; so are the choices of one layer alone.
    """
    forecasts = json.loads(FORECASTS.read_text(encoding="utf-8"))["transfers"]
    rows = []
    for transfer, sweep, foreseen in _asked(forecasts):
        errors = {name: found["error"] for name, found in sweep["retrained"].items()}
        pairs = {name: error for name, error in errors.items() if "+" in name}
        if len(pairs) < math.comb(len(layer_errors(sweep)), 2):
            continue
        lowest = min(min(pairs.values()), layer_errors(sweep).min())
        names = set(foreseen["sets"]["best"])
        advised = next(name for name in errors if set(name.split("+")) == names)
        single = foreseen["criteria"]["advice"]["ranking"][0]
        gain = errors["none"] - lowest
        rows.append(
            {
                "transfer": transfer["name"],
                "seed": sweep["seed"],
                "best layer": layer_errors(sweep).idxmin(),
                "its error": layer_errors(sweep).min(),
                "best pair": min(pairs, key=lambda name: pairs[name]),
                "error": min(pairs.values()),
                "advised": advised,
                "advised error": errors[advised],
                "regret": (errors[advised] - lowest) / gain,
                "regret of the layer": (errors[single] - lowest) / gain,
                "all layers": errors["all"],
                "of the sweep of pairs": foreseen["sets"]["seconds"]
                / sum(sweep["retrained"][name]["seconds"] for name in pairs),
            }
        )
    return pd.DataFrame(rows).set_index("transfer")


def everything() -> pd.DataFrame:
    """Return what was foreseen for all layers together beside the truth, means over seeds."""
    forecasts = json.loads(FORECASTS.read_text(encoding="utf-8"))["transfers"]
    rows = []
    for transfer, sweep, foreseen in _asked(forecasts):
        if not has_best_layer(sweep):
            continue
        truth, errors = sweep["retrained"]["all"]["error"], foreseen["sets"]["errors"]
        single = foreseen["criteria"]["advice"]["ranking"][0]
        better = truth < layer_errors(sweep)[single]
        rows.append(
            {
                "transfer": transfer["name"],
                "samples": sweep["samples"],
                "base network": sweep["retrained"]["none"]["error"],
                "all layers foreseen": errors["all layers"],
                "all layers": truth,
                "advised layer foreseen": errors[single],
                "advised layer": layer_errors(sweep)[single],
                "which is better was foreseen": float(
                    (errors["all layers"] < errors[single]) == better
                ),
            }
        )
    return pd.DataFrame(rows).groupby(["transfer", "samples"], sort=False).mean()


def _asked(forecasts: dict[str, Any]) -> Iterator[tuple[dict[str, Any], ...]]:
    """Yield transfer, sweep and forecasts of every sweep that was asked about."""
    for transfer in read_truth()["transfers"]:
        for sweep in transfer["sweeps"]:
            found = forecasts.get(transfer["name"], {}).get(f"{sweep['seed']}-{sweep['samples']}")
            if found:
                yield transfer, sweep, found


def without_best_layer() -> pd.DataFrame:
    """Return the sweeps in which there is no layer to find, and what the advice said there."""
    forecasts = json.loads(FORECASTS.read_text(encoding="utf-8"))["transfers"]
    rows = [
        {
            "transfer": transfer["name"],
            "seed": sweep["seed"],
            "samples": sweep["samples"],
            "base network": sweep["retrained"]["none"]["error"],
            "best layer": layer_errors(sweep).min(),
            "verdicts": "; ".join(found["forecast"]["verdicts"]) or "none",
        }
        for transfer, sweep, found in _asked(forecasts)
        if not has_best_layer(sweep)
    ]
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
    parts += ["## Pairs of layers, 50 samples", "", markdown(pairs_judged()), ""]
    parts += ["## All layers together, foreseen and true", "", markdown(everything()), ""]
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
