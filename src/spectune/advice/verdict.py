"""What the advice amounts to, beyond the ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from spectune.advice.intervals import mean_interval

__all__ = ["FORECAST_ERROR", "Evidence", "Verdict", "VerdictName", "rivals_of", "verdicts"]

VerdictName = Literal[
    "no re-training needed",
    "no layer helps",
    "a rescaling of the output would do",
    "this sample is too small to tell layers apart",
]

# The target error may exceed the base error by this factor before re-training is called for.
AS_GOOD = 1.1

# A gain below this share of the error is none.
SLIGHT = 0.01

# This share of the gain of the best layer is "most" of it.
MOST = 0.8

# Forecasts that differ by less than this share of the present error do not tell layers apart: so
# far they are from what re-training reaches (results/advice/summary.md).
FORECAST_ERROR = 0.05

# All of n samples agree by chance with probability 2⁻ⁿ: so many are needed for 5 %.
FEWEST = 5


@dataclass(frozen=True)
class Verdict:
    """A finding that the user should act on before the ranking.

    Attributes:
        name: one of `VerdictName`.
        because: the numbers behind it, in a sentence.
    """

    name: VerdictName
    because: str


@dataclass(frozen=True)
class Evidence:
    """What verdicts rest on. Errors are relative to the variance of the target.

    Attributes:
        bnn: (n,) error of the base network on each judge sample.
        base_error: its error on base data, or None.
        layers: (n,) error of each judge sample after re-training each layer, by name.
        idle: names of the layers that cannot change the output.
        rescaled: (n,) error after a rescaling of the output.
    """

    bnn: Tensor
    base_error: float | None
    layers: dict[str, Tensor]
    idle: frozenset[str]
    rescaled: Tensor

    @property
    def best(self) -> str:
        """The layer with the lowest forecast."""
        return min(self.layers, key=lambda name: float(self.layers[name].mean()))


def rivals_of(evidence: Evidence, generator: torch.Generator) -> tuple[str, ...]:
    """Return the layers that the sample cannot tell from the best, in the order given.

    A rival's errors minus those of the best, sample by sample, have a bootstrap interval
    (`mean_interval`) that reaches down to what forecasts are wrong by, 5 % of the present error.
    With fewer samples than could show a difference at
    5 % every layer is one.
    """
    best = evidence.layers[evidence.best]
    alike = FORECAST_ERROR * float(evidence.bnn.mean())
    return tuple(
        name
        for name, errors in evidence.layers.items()
        if name != evidence.best
        and (len(best) < FEWEST or mean_interval(errors - best, generator)[0] <= alike)
    )


def verdicts(
    evidence: Evidence, rivals: tuple[str, ...], generator: torch.Generator
) -> tuple[Verdict, ...]:
    """Return what holds of the four, most decisive first.

    - *no re-training needed*: the error on the target is at most 1.1 times that on base data, and
      that is below 1.
    - *no layer helps*: the interval of the gain of the best layer reaches zero, or the gain is
      below 1 % of the error.
    - *a rescaling of the output would do*: amplitude and offset of each output channel give at
      least 80 % of the gain of the best layer, and their own gain has an interval above zero.
    - *this sample is too small to tell layers apart*: fewer than 5 samples judge, or more than half
      of the other layers that can help cannot be told from the best. Not said where no layer helps.

    Args:
        evidence: see `Evidence`.
        rivals: see `rivals_of`.
        generator: of the bootstrap.
    """
    found: list[Verdict] = []
    bnn, best = float(evidence.bnn.mean()), evidence.layers[evidence.best]
    base = evidence.base_error
    if base is not None and base < 1 and bnn <= AS_GOOD * base:
        found.append(
            Verdict(
                "no re-training needed",
                f"the network does as well on the target (error {bnn:.2f}) as on its own system "
                f"({base:.2f})",
            )
        )
    gain = evidence.bnn - best
    low, high = mean_interval(gain, generator)
    if low <= 0 or float(gain.mean()) < SLIGHT * bnn:
        found.append(
            Verdict(
                "no layer helps",
                f"the gain of the best layer, {evidence.best}, is {float(gain.mean()):.3f} of an "
                f"error of {bnn:.2f} (interval {low:.3f} to {high:.3f})",
            )
        )
        return tuple(found)
    rescaling = evidence.bnn - evidence.rescaled
    share = float(rescaling.mean() / gain.mean())
    if share >= MOST and mean_interval(rescaling, generator)[0] > 0:
        found.append(
            Verdict(
                "a rescaling of the output would do",
                f"a factor and an offset of each output channel bring the error to "
                f"{float(evidence.rescaled.mean()):.2f}, {100 * share:.0f} % of what re-training "
                f"{evidence.best} gains",
            )
        )
    others = [name for name in evidence.layers if name not in evidence.idle | {evidence.best}]
    close = [name for name in others if name in rivals]
    if others and (len(best) < FEWEST or 2 * len(close) > len(others)):
        found.append(
            Verdict(
                "this sample is too small to tell layers apart",
                f"only {len(best)} samples judge, and {FEWEST} are the fewest that can show a "
                "difference"
                if len(best) < FEWEST
                else f"{len(close)} of {len(others)} other layers cannot be told from "
                f"{evidence.best} by {len(best)} samples",
            )
        )
    return tuple(found)
