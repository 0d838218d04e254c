"""How many samples reach a given error, read from a measured curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["samples_needed"]


def samples_needed(sizes: Sequence[int], errors: Sequence[float], level: float) -> float | None:
    """Return the number of samples from which on the curve has reached an error.

    The curve is the lowest error with that many samples or fewer, straight between measured points
    in log error over log number. So more data never counts as worse, and chance on one training
    does not put a number off.

    Args:
        sizes: increasing.
        errors: positive, one for each size.
        level: positive.

    Returns:
        The first size where that is enough ("no more than"), None where the largest is not.
    """
    before = math.inf
    for i, error in enumerate(errors):
        if error <= level:
            if i == 0:
                return float(sizes[0])
            share = math.log(before / level) / math.log(before / error)
            step = math.log(sizes[i] / sizes[i - 1])
            return float(sizes[i - 1] * math.exp(share * step))
        before = min(before, error)
    return None
