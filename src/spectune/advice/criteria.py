"""The criteria that rank layers, by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from spectune.advice.auto_rgn import relative_gradient_norm
from spectune.advice.auto_snr import gradient_signal_to_noise
from spectune.advice.cka_drift import cka_drift
from spectune.advice.ends import first_layer, last_layer
from spectune.advice.fisher_trace import fisher_trace
from spectune.advice.gradient_noise import gradient_signal_over_noise
from spectune.advice.hessian_eigenvalue import hessian_eigenvalue
from spectune.advice.hessian_trace import hessian_trace
from spectune.advice.kfac_decrease import kfac_decrease
from spectune.advice.probes import short_retraining
from spectune.advice.problem import Problem
from spectune.advice.quadratic_decrease import quadratic_decrease
from spectune.advice.residual_alignment import residual_alignment
from spectune.advice.shared import SharedPass
from spectune.advice.spectrum_distance import spectrum_distance

__all__ = ["COSTLY", "CRITERIA", "TRIVIAL", "Criterion", "Scored", "ranking", "score_criteria"]

Criterion = Callable[[Problem, SharedPass], dict[str, float]]
"""From a problem and the passes that criteria share to a score of each layer, by its name.

Higher is to be re-trained first. A layer for which the criterion is not defined is left out; one
that needs base data where there is none returns nothing.
"""

CRITERIA: Final[dict[str, Criterion]] = {
    "Auto-RGN": relative_gradient_norm,
    "Auto-SNR": gradient_signal_to_noise,
    "gradient noise": gradient_signal_over_noise,
    "Fisher trace": fisher_trace,
    "Hessian trace": hessian_trace,
    "spectrum distance": spectrum_distance,
    "CKA drift": cka_drift,
    "first layer": first_layer,
    "last layer": last_layer,
}

COSTLY: Final[dict[str, Criterion]] = {
    "K-FAC decrease": kfac_decrease,
    "residual alignment": residual_alignment,
    "Hessian eigenvalue": hessian_eigenvalue,
    "quadratic decrease": quadratic_decrease,
    "short re-training": short_retraining,
}
"""Criteria that cost too much to stand beside every forecast: on request."""

TRIVIAL: Final = frozenset({"first layer", "last layer"})
"""Criteria that do not look at the data: to be beaten, not to be asked."""


@dataclass(frozen=True)
class Scored:
    """What the criteria give.

    Attributes:
        scores: of each layer, by criterion.
        seconds: wall time of each criterion as if it had been computed alone, that of the passes
            which it shares with others included.
    """

    scores: dict[str, dict[str, float]]
    seconds: dict[str, float]


def score_criteria(
    problem: Problem,
    *,
    criteria: Mapping[str, Criterion] = CRITERIA,
    seed: int = 0,
    shared: SharedPass | None = None,
) -> Scored:
    """Score every layer by every criterion that the data allows.

    Args:
        problem: see `Problem`; criteria that compare the systems need its base sample.
        criteria: by name.
        seed: of random probes.
        shared: passes over the same problem, where they are needed elsewhere as well.
    """
    shared = shared or SharedPass(problem, seed=seed)
    scores, seconds = {}, {}
    for name, criterion in criteria.items():
        before = sum(shared.seconds.values())
        shared.used.clear()
        started = time.perf_counter()
        by_layer = criterion(problem, shared)
        own = time.perf_counter() - started - (sum(shared.seconds.values()) - before)
        if by_layer:
            scores[name] = by_layer
            seconds[name] = own + sum(shared.seconds[used] for used in shared.used)
    return Scored(scores, seconds)


def ranking(names: Iterable[str], scores: Mapping[str, float]) -> tuple[str, ...]:
    """Return layer names, highest score first; those without one come last, as they are given."""
    return tuple(sorted(names, key=lambda name: -scores.get(name, float("-inf"))))
