"""Sets of layers, grown one by one."""

from __future__ import annotations

from collections.abc import Sequence

from spectune.advice.attainable import Attainable, attainable_decrease, unchanged
from spectune.advice.problem import Problem
from spectune.advice.verdict import SLIGHT

__all__ = ["grow_set"]


def grow_set(
    problem: Problem, singles: Sequence[Attainable], size: int
) -> list[tuple[tuple[str, ...], Attainable]]:
    """Return the best layer, the best pair with it, and so on, while the forecast falls.

        S₁ = argmin_l E({l}),        S_{i+1} = S_i ∪ argmin_l E(S_i ∪ {l}),

    E the forecast of re-training a set together (`attainable_decrease`). It rises again where the
    samples that re-training will have cannot settle the weights of the next layer, so that their
    number decides how many weights may move. A fall by less than 1 % of the present error is none.
    It may be less than forecasts of different layers are wrong by: those of a set and of its own
    members are wrong alike (`results/advice/summary.md` has pairs grown so beside the best ones).

    Args:
        problem: see `Problem`.
        singles: the forecast of each layer that can help.
        size: number of layers at most.

    Returns:
        The names of each set and its forecast, from one layer on.
    """
    slight = SLIGHT * unchanged(problem, "").error
    by_name = {layer.name: layer for layer in problem.layers}
    best = min(singles, key=lambda forecast: forecast.error)
    grown: list[tuple[tuple[str, ...], Attainable]] = [((best.layer,), best)]
    while len(grown) < size:
        names, present = grown[-1]
        rest = [single.layer for single in singles if single.layer not in names]
        sets = [(*names, name) for name in rest]
        found = [attainable_decrease(problem, [by_name[n] for n in each]) for each in sets]
        if not found:
            break
        forecast, chosen = min(zip(found, sets, strict=True), key=lambda pair: pair[0].error)
        if present.error - forecast.error < slight:
            break
        grown.append((chosen, forecast))
    return grown
