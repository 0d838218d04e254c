"""What every closure offers, and sums of closures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor

__all__ = ["SubgridModel", "WeightedSum"]


class SubgridModel(ABC):
    """A closure: from what the large-eddy simulation resolves to Π, in physical units.

        Π = a(x̄) + w b(x̄)        is        a + w * b

    Physics and networks alike are added, subtracted and multiplied by numbers. A
    `spectune.online.run_les` takes any callable; this class adds what can be asked of a closure.

    Attributes:
        name: to show.
        parameters: the numbers that define it, by name.
    """

    name: str
    parameters: Mapping[str, float]

    @abstractmethod
    def __call__(self, inputs: Tensor) -> Tensor:
        """Return Π (n, c_out, *grid).

        Args:
            inputs: (n, c_in, *grid) with what is diagnosed first and the state last, one channel
                for each of Π: (ψ̄, ω̄) of 2D Navier–Stokes (see `spectune.online.Coupling`).
        """

    def reset(self) -> None:  # noqa: B027 (most closures count nothing)
        """Forget what was counted; a simulation does so at its start."""

    def report(self) -> Mapping[str, float]:
        """Return what limiters removed since the last `reset`, by name; empty without limiters."""
        return {}

    @property
    def terms(self) -> tuple[tuple[float, SubgridModel], ...]:
        """The closures that are summed, each with its weight."""
        return ((1.0, self),)

    def __add__(self, other: SubgridModel) -> WeightedSum:
        """Return the closure with Π = Π_a + Π_b."""
        if not isinstance(other, SubgridModel):
            return NotImplemented
        return WeightedSum((*self.terms, *other.terms))

    def __sub__(self, other: SubgridModel) -> WeightedSum:
        """Return the closure with Π = Π_a − Π_b."""
        if not isinstance(other, SubgridModel):
            return NotImplemented
        return self + -1.0 * other

    def __mul__(self, weight: float) -> WeightedSum:
        """Return the closure with Π = w Π_a."""
        if not isinstance(weight, int | float):
            return NotImplemented
        return WeightedSum([(weight * own, model) for own, model in self.terms])

    __rmul__ = __mul__


class WeightedSum(SubgridModel):
    """Closures added together.

        Π = Σ_i w_i Π_i

    Args:
        terms: (w_i, closure) pairs.
    """

    def __init__(self, terms: Sequence[tuple[float, SubgridModel]]) -> None:
        self._terms = tuple(terms)
        self.name = " + ".join(
            model.name if weight == 1 else f"{weight:g} × {model.name}"
            for weight, model in self._terms
        )
        self.parameters = {
            f"{model.name}: {name}": value
            for weight, model in self._terms
            for name, value in {"weight": weight, **model.parameters}.items()
        }

    @property
    def terms(self) -> tuple[tuple[float, SubgridModel], ...]:
        """The closures that are summed, each with its weight."""
        return self._terms

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return Π (n, c_out, *grid)."""
        (weight, model), *others = self._terms
        total = weight * model(inputs)
        for weight, model in others:
            total = total + weight * model(inputs)
        return total

    def reset(self) -> None:
        """Forget what the terms counted."""
        for _, model in self._terms:
            model.reset()

    def report(self) -> Mapping[str, float]:
        """Return what the limiters of the terms removed, by name."""
        return {name: value for _, model in self._terms for name, value in model.report().items()}
