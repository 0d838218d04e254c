"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spectune.errors import StabilityError
from spectune.training.resume import TrainingState

__all__ = ["FitSettings", "History", "fit", "mean_squared_error"]


@dataclass(frozen=True)
class FitSettings:
    """Settings of a training run.

    Attributes:
        epochs: passes over the samples.
        batch: samples of a step.
        learning_rate: of Adam, at the start; it falls to zero along half a cosine.
        seed: of the order of the samples.
    """

    epochs: int
    batch: int = 16
    learning_rate: float = 1e-3
    seed: int = 0


@dataclass
class History:
    """Mean squared error by epoch, in standardised units."""

    train: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)


def fit(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    settings: FitSettings,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
    state_path: Path | None = None,
    progress: Callable[[int], Any] | None = None,
) -> History:
    """Minimise the mean squared error over the parameters that require gradients, in place.

        θ ← argmin_θ mean((f(x; θ) − y)²)       by Adam, learning rate ½ lr (1 + cos(π t/T))

    Args:
        model: from (b, c_in, *grid) to (b, c_out, *grid); left in evaluation mode.
        inputs: (n, c_in, *grid), standardised.
        targets: (n, c_out, *grid), standardised.
        settings: see `FitSettings`.
        held_out: inputs and targets on which the error is reported after each epoch.
        state_path: file in which the state is kept after every epoch; a run that finds it goes on
            from there and gives the same weights as one that was not interrupted.
        progress: called with the number of epochs done.

    Returns:
        The errors by epoch.

    Raises:
        StabilityError: the loss is no longer finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, foreach=True)
    steps = settings.epochs * math.ceil(len(inputs) / settings.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))
    )
    generator = torch.Generator().manual_seed(settings.seed)
    history = History()
    state = TrainingState(state_path, model, optimizer, schedule, generator, history)
    for epoch in range(state.restore(), settings.epochs):
        _enter_training_mode(model)
        total = 0.0
        for rows in torch.split(torch.randperm(len(inputs), generator=generator), settings.batch):
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.mse_loss(model(inputs[rows]), targets[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        if not math.isfinite(total):
            raise StabilityError(
                f"the loss is not finite in epoch {epoch + 1} of {settings.epochs}; "
                f"lower the learning rate (now {settings.learning_rate:g})"
            )
        model.eval()
        history.train.append(total / len(inputs))
        if held_out is not None:
            history.held_out.append(mean_squared_error(model, *held_out))
        state.save(epoch + 1)
        if progress is not None:
            progress(epoch + 1)
    model.eval()
    return history


def _enter_training_mode(model: nn.Module) -> None:
    """Set training mode, but keep the running statistics of frozen normalisation layers."""
    model.train()
    if all(p.requires_grad for p in model.parameters()):
        return
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        statistics = list(module.buffers(recurse=False))
        if statistics and not any(p.requires_grad for p in own):
            module.training = False


def mean_squared_error(model: nn.Module, inputs: Tensor, targets: Tensor, batch: int = 16) -> float:
    """Return mean((f(x) − y)²) over all samples, channels and points."""
    total = 0.0
    with torch.no_grad():
        for x, y in zip(torch.split(inputs, batch), torch.split(targets, batch), strict=True):
            total += float(nn.functional.mse_loss(model(x), y)) * len(x)
    return total / len(inputs)
