"""Intervals for means over a few samples."""

from __future__ import annotations

import math

import torch
from scipy.stats import norm, t
from torch import Tensor

__all__ = ["LEVEL", "interval_level", "mean_interval"]

LEVEL = 0.90
DRAWS = 4000


def interval_level(samples: int) -> float:
    """Return the coverage that a bootstrap interval of so many samples can have.

        min(0.9, 1 − 2^(1 − n))

    All n samples lie on one side of their median with probability 2^(1 − n), and then so do all
    resamplings: below five samples no bootstrap interval covers 90 %.
    """
    return min(LEVEL, 1 - 2.0 ** (1 - samples))


def mean_interval(values: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """Return the 90 % bootstrap interval of a mean (see `interval_level` for few samples).

        quantiles α and 1 − α of the resampled means,      α = Φ(−√(n/(n − 1)) t_{0.95, n−1})

    With the plain α = 0.05 the interval of a few samples is too narrow: it lacks the factor
    √(n/(n − 1)) and the heavier tails of Student's t. Widened so, intervals of six normal values
    cover 88 to 91 %, of skewed ones a little less (`tests/test_advice_confidence.py`). Samples
    count as independent: those that follow each other closely in time make it too narrow.

    Args:
        values: (n,) one for each sample.
        generator: of the resamplings, on the CPU.

    Source: Hesterberg 2015 (Am. Stat. 69), section 4.3: expanded percentile interval.
    """
    n = len(values)
    if n == 1:
        return float(values[0]), float(values[0])
    alpha = norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf(0.5 + LEVEL / 2, n - 1))
    rows = torch.randint(0, n, (DRAWS, n), generator=generator)
    means = values.double().cpu()[rows].mean(1)
    low, high = torch.quantile(means, torch.tensor([alpha, 1 - alpha]).double())
    return float(low), float(high)
