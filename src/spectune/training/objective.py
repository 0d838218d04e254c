"""What a training run minimises, as batches and a loss."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from spectune.training.symmetries import Symmetries

__all__ = ["Joined", "Objective", "Supervised"]


class Objective(Protocol):
    """A loss that is a mean over samples.

    Whatever is random is drawn in `draw`, for the whole batch, so that several processes can share
    a batch and see what one would.
    """

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return the tensors of a batch, each (len(rows), ...)."""
        ...

    def loss(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """Return the mean loss of a batch or a part of it, a scalar."""
        ...


class Supervised:
    """mean((f(x) − y)²) over samples, channels and points.

    Args:
        inputs: (n, c_in, *grid).
        targets: (n, c_out, *grid).
        symmetries: a random one is applied to each sample each time; None leaves them as they are.
    """

    def __init__(
        self, inputs: Tensor, targets: Tensor, symmetries: Symmetries | None = None
    ) -> None:
        self.inputs, self.targets, self.symmetries = inputs, targets, symmetries

    def __len__(self) -> int:
        return len(self.inputs)

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return inputs and targets."""
        x, y = self.inputs[rows], self.targets[rows]
        return (x, y) if self.symmetries is None else self.symmetries.draw(x, y, generator)

    def loss(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """Return the mean squared error."""
        x, y = batch
        return nn.functional.mse_loss(model(x).to(y.dtype), y)


class Joined:
    """Two objectives as one.

        L = L₁ + weight L₂

    A step sees a batch of the first and as many samples of the second, drawn with replacement.

    Args:
        first: its samples make the epochs.
        second: stands beside it, such as `Supervised` pairs beside trajectories.
        weight: of the second.
    """

    def __init__(self, first: Objective, second: Objective, weight: float) -> None:
        self.first, self.second, self.weight = first, second, weight
        # How many tensors of a batch are the first's.
        self._own = len(first.draw(torch.tensor([0]), torch.Generator()))

    def __len__(self) -> int:
        return len(self.first)

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return the tensors of the first and then those of the second."""
        batch = self.first.draw(rows, generator)
        beside = torch.randint(len(self.second), (len(rows),), generator=generator)
        return *batch, *self.second.draw(beside, generator)

    def loss(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """Return the weighted sum."""
        first = self.first.loss(model, *batch[: self._own])
        return first + self.weight * self.second.loss(model, *batch[self._own :])
