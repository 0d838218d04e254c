"""One layer, a set, or everything: what re-training on more or fewer samples would reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from spectune.advice.attainable import attainable_by_samples
from spectune.advice.problem import Problem
from spectune.advice.sweep import ALL_LAYERS
from spectune.training.scores import target_variance

__all__ = ["Outlook", "look_ahead"]

# Numbers of samples, in those that re-training will have.
LADDER = (0.2, 0.5, 1, 2, 5, 10)


@dataclass(frozen=True)
class Outlook:
    """Forecast errors over the number of samples to train on.

    Attributes:
        training: the number of target samples that there are.
        samples: numbers of target samples, ascending, `training` among them.
        errors: mean squared error over the variance of the target for each of them, by what is
            re-trained: the best layer, the sets that were grown, and all layers.
    """

    training: int
    samples: tuple[int, ...]
    errors: Mapping[str, tuple[float, ...]]


def look_ahead(problem: Problem, choices: Sequence[tuple[str, ...]]) -> Outlook:
    """Forecast the error of each choice, and of all layers, for several numbers of samples.

        E(N) = ½(E_fit + E_judge) + (n/N) ½(E_judge − E_fit),       extrapolated

    (`attainable_decrease`). Only the second term knows N: a choice with many weights starts higher
    and falls further. The error of all layers together is forecast less well than that of one: four
    iterations do not show how a long re-training of everything overfits a small sample
    (`results/advice/summary.md` has forecast and truth side by side).

    Args:
        problem: see `Problem`; its `training_samples` and multiples of them are looked at.
        choices: names of the layers that are re-trained together.
    """
    seen = len(problem.fit_inputs)
    wanted = {max(seen, round(factor * problem.training_samples)) for factor in LADDER}
    samples = tuple(sorted(wanted))
    variance = target_variance(torch.cat((problem.fit_targets, problem.judge_targets)))
    by_name = {layer.name: layer for layer in problem.layers}
    groups = {" + ".join(names): [by_name[name] for name in names] for names in choices}
    groups[ALL_LAYERS] = list(problem.layers)
    return Outlook(
        problem.training_samples,
        samples,
        {
            name: tuple(
                forecast.error / variance
                for forecast in attainable_by_samples(problem, layers, samples)
            )
            for name, layers in groups.items()
        },
    )
