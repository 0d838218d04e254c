"""Criteria against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spectune.advice.sweep import Sweep

__all__ = ["compare"]


def compare(
    rankings: Mapping[str, Sequence[str]], criteria: Sequence[str], sweep: Sweep
) -> dict[str, dict[str, Any]]:
    """Score every criterion against the sweep.

        regret = (error of the choice − lowest error)/(BNN error − lowest error)

    (None where no re-training beats the base network) and Spearman's rank correlation between the
    order of the criterion and that of the errors (None for an order that claims none). The entry
    "random" is what a layer drawn at random costs on average.

    Args:
        rankings: layer names by each criterion, best first.
        criteria: names of the rankings that claim an order of all layers.
        sweep: the truth.
    """
    errors = {layer.name: layer.error for layer in sweep.layers}
    order = sorted(errors, key=lambda name: errors[name])
    lowest = errors[order[0]]
    gain = sweep.bnn_error - lowest
    table: dict[str, dict[str, Any]] = {}
    for criterion, ranking in rankings.items():
        table[criterion] = {
            "choice": ranking[0],
            "rank_of_choice": order.index(ranking[0]) + 1,
            "regret": (errors[ranking[0]] - lowest) / gain if gain > 0 else None,
            "spearman": _spearman(ranking, errors) if criterion in criteria else None,
        }
    table["random"] = {
        "choice": "any layer",
        "rank_of_choice": (len(order) + 1) / 2,
        "regret": (sum(errors.values()) / len(errors) - lowest) / gain if gain > 0 else None,
        "spearman": None,
    }
    return table


def _spearman(ranking: Sequence[str], errors: Mapping[str, float]) -> float:
    position = pd.Series({name: float(i) for i, name in enumerate(ranking)})
    return float(position.corr(pd.Series(errors).reindex(position.index).rank()))
