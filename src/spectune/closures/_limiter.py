"""What limiters share: a closure inside, and a count of what they took from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from spectune.closures.model import SubgridModel

__all__ = ["Counts", "Limiter"]

Counts = dict[str, tuple[Tensor, Tensor]]
"""By name: how much was removed, and of how much."""


class Limiter(SubgridModel):
    """A closure whose Π is limited, and that says by how much.

    Args:
        model: the closure to limit.
        limit: name of the limiter.
        parameters: of the limiter.
    """

    def __init__(self, model: SubgridModel, limit: str, parameters: Mapping[str, float]) -> None:
        self.model, self.limit = model, limit
        self.name = f"{model.name}, {limit}"
        self.parameters = {
            **model.parameters,
            **{f"{limit}: {name}": value for name, value in parameters.items()},
        }
        self._sums: Counts = {}

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the limited Π (n, c_out, *grid)."""
        limited, counts = self._limited(inputs, self.model(inputs))
        zero = torch.zeros((), dtype=torch.float64, device=inputs.device)
        for name, (removed, whole) in counts.items():
            before = self._sums.get(name, (zero, zero))
            self._sums[name] = before[0] + removed.double(), before[1] + whole.double()
        return limited

    @abstractmethod
    def _limited(self, inputs: Tensor, pi: Tensor) -> tuple[Tensor, Counts]:
        """Return the limited Π and, by name, what was removed and of how much."""

    def reset(self) -> None:
        """Forget what was removed."""
        self._sums.clear()
        self.model.reset()

    def report(self) -> Mapping[str, float]:
        """Return the share that was removed since the last `reset`, over all calls and members.

        The keys end in the name of the closure inside, so that those of a sum stay apart.
        """
        own = {
            f"{self.limit} of {self.model.name}: {name}": float(removed / whole) if whole else 0.0
            for name, (removed, whole) in self._sums.items()
        }
        return {**self.model.report(), **own}
