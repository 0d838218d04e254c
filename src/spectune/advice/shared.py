"""What several criteria need, computed once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

from spectune.advice.curvature import problem_curvatures
from spectune.advice.gradients import GradientMoments, gradient_moments
from spectune.advice.jacobian import jacobian_norms
from spectune.advice.problem import Problem
from spectune.landscape import LayerCurvature

__all__ = ["SharedPass"]

Value = TypeVar("Value")


class SharedPass:
    """The passes over the samples that criteria share, each run when it is first asked for.

    Args:
        problem: see `Problem`.
        seed: of everything random.

    Attributes:
        seconds: wall time of each pass that was run, by its name.
        used: names of the passes asked for since it was last cleared.
    """

    def __init__(self, problem: Problem, *, seed: int = 0) -> None:
        self.problem = problem
        self.seed = seed
        self.seconds: dict[str, float] = {}
        self.used: set[str] = set()
        self._values: dict[str, Any] = {}

    @property
    def gradients(self) -> GradientMoments:
        """Moments of the gradients of the target samples."""
        return self._once("gradients", lambda: gradient_moments(self.problem))

    @property
    def jacobian_norms(self) -> dict[str, float]:
        """Squared norm of the Jacobian of each layer over the target samples, by its name."""
        return self._once(
            "jacobian norms", lambda: jacobian_norms(self.problem, generator=self.generator())
        )

    @property
    def curvatures(self) -> list[LayerCurvature]:
        """Leading eigenpairs and trace of each layer on the samples to fit."""
        return self._once("curvatures", lambda: problem_curvatures(self.problem, self.generator()))

    def generator(self) -> torch.Generator:
        """Return a generator at its start: what a criterion draws does not depend on others."""
        return torch.Generator().manual_seed(self.seed)

    def _once(self, name: str, compute: Callable[[], Value]) -> Value:
        self.used.add(name)
        if name not in self._values:
            started = time.perf_counter()
            self._values[name] = compute()
            self.seconds[name] = time.perf_counter() - started
        return cast(Value, self._values[name])
