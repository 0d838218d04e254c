"""The first and the last layer: what any criterion must beat."""

from __future__ import annotations

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["first_layer", "last_layer"]


def first_layer(problem: Problem, _: SharedPass) -> dict[str, float]:
    """Return −l for layer number l: the first layer is re-trained first."""
    return {layer.name: -float(number) for number, layer in enumerate(problem.layers)}


def last_layer(problem: Problem, _: SharedPass) -> dict[str, float]:
    """Return l for layer number l: the last layer is re-trained first, as is the custom."""
    return {layer.name: float(number) for number, layer in enumerate(problem.layers)}
