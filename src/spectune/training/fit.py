"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spectune.errors import DataError, LayerError, StabilityError
from spectune.grid import Grid
from spectune.models import fast_circular, predict
from spectune.spectra import spectrum_error
from spectune.training.history import History
from spectune.training.log import EpochLog
from spectune.training.objective import Objective, Supervised
from spectune.training.processes import is_first, share_of, sum_over_processes
from spectune.training.rectifiers import lean_rectifiers
from spectune.training.resume import TrainingState
from spectune.training.symmetries import Symmetries

__all__ = ["FitSettings", "fit", "mean_squared_error", "minimise"]


@dataclass(frozen=True)
class FitSettings:
    """Settings of a training run.

    Attributes:
        epochs: passes over the samples.
        batch: samples of a step, of all processes together.
        learning_rate: of Adam, at the start; it falls to zero along half a cosine.
        seed: of the order of the samples.
        precision: of the network's arithmetic. ``"bfloat16"`` has 8 bits of mantissa; weights,
            loss and optimizer keep theirs.
        patience: epochs without a better held-out score (see `History.score`) after which the run
            ends. The weights are then those of the best epoch. None trains all epochs.
    """

    epochs: int
    batch: int = 16
    learning_rate: float = 1e-3
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    patience: int | None = None


def fit(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    settings: FitSettings,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
    grid: Grid | None = None,
    symmetries: Symmetries | None = None,
    state_path: Path | None = None,
    log_path: Path | None = None,
    progress: Callable[[int], Any] | None = None,
) -> History:
    """Minimise the mean squared error over the parameters that require gradients, in place.

        θ ← argmin_θ mean((f(x; θ) − y)²)       by Adam, learning rate ½ lr (1 + cos(π t/T))

    Under ``python -m torch.distributed.run`` with an initialised process group each process
    computes its part of every batch, and all have the same weights throughout.

    Args:
        model: from (b, c_in, *grid) to (b, c_out, *grid); left in evaluation mode.
        inputs: (n, c_in, *grid), standardised.
        targets: (n, c_out, *grid), standardised.
        settings: see `FitSettings`.
        held_out: inputs and targets on which the error is reported after each epoch.
        grid: with it, so is the error of the spectrum.
        symmetries: applied to the samples at random (see `Symmetries`); none by default.
        state_path: file in which the state is kept after every epoch; a run that finds it goes on
            from there and gives the same weights as one that was not interrupted.
        log_path: where the errors are written by epoch: a CSV file, whole at any moment, or a
            folder for TensorBoard (see `EpochLog`).
        progress: called with the number of epochs done.

    Returns:
        The errors by epoch.

    Raises:
        StabilityError: the loss is no longer finite.
        DataError: patience without held-out samples; a log for TensorBoard, which is not installed.
        LayerError: no parameter requires gradients, or none that does takes part in the loss.
    """
    return minimise(
        model,
        Supervised(inputs, targets, symmetries),
        settings,
        held_out=held_out,
        grid=grid,
        state_path=state_path,
        log_path=log_path,
        progress=progress,
    )


def minimise(
    model: nn.Module,
    objective: Objective,
    settings: FitSettings,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
    grid: Grid | None = None,
    state_path: Path | None = None,
    log_path: Path | None = None,
    progress: Callable[[int], Any] | None = None,
) -> History:
    """Minimise any `Objective`, in place; all else as `fit`."""
    if settings.patience is not None and held_out is None:
        raise DataError(
            f"patience {settings.patience}: found no held-out samples, expected some to judge by"
        )
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise LayerError("found no parameter that requires gradients, expected some to train")
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, foreach=True)
    steps = settings.epochs * math.ceil(len(objective) / settings.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))
    )
    generator = torch.Generator().manual_seed(settings.seed)
    history = History()
    state = TrainingState(
        state_path, model, optimizer, schedule, generator, history, settings.patience is not None
    )
    start = state.restore()
    log = EpochLog(log_path if is_first() else None, start)
    for epoch in range(start, settings.epochs):
        if _is_spent(history, settings.patience):
            break
        _enter_training_mode(model)
        with fast_circular(model), lean_rectifiers(model):
            total = _epoch(model, objective, settings, optimizer, schedule, generator)
        if not math.isfinite(total):
            raise StabilityError(
                f"the loss is not finite in epoch {epoch + 1} of {settings.epochs}; "
                f"lower the learning rate (now {settings.learning_rate:g})"
            )
        model.eval()
        history.train.append(total / len(objective))
        if held_out is not None:
            _judge(model, held_out, grid, history)
        state.save(epoch + 1)
        log.write(history)
        if progress is not None:
            progress(epoch + 1)
    state.restore_best()
    model.eval()
    return history


def _epoch(
    model: nn.Module,
    objective: Objective,
    settings: FitSettings,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
) -> float:
    """Take the steps of an epoch and return the sum of the loss over the samples."""
    device = next(model.parameters()).device.type
    low = settings.precision == "bfloat16"
    nothing = torch.zeros((), device=device, requires_grad=True)  # of a process without samples
    total = 0.0
    for rows in torch.split(torch.randperm(len(objective), generator=generator), settings.batch):
        optimizer.zero_grad(set_to_none=True)
        batch = share_of(objective.draw(rows, generator))
        share = len(batch[0]) / len(rows)
        with torch.autocast(device, torch.bfloat16, enabled=low):
            loss = objective.loss(model, *batch) * share if share else nothing
        if not loss.requires_grad:
            raise _idle(model)
        loss.backward()  # type: ignore[no-untyped-call]
        value = sum_over_processes(loss.detach(), optimizer)
        optimizer.step()
        schedule.step()
        total += float(value) * len(rows)
    return total


def _idle(model: nn.Module) -> LayerError:
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
    return LayerError(
        f"found no gradient for {shown}: the forward pass of {type(model).__name__} runs none of "
        "the layers that are to be trained; choose others"
    )


def _judge(
    model: nn.Module, held_out: tuple[Tensor, Tensor], grid: Grid | None, history: History
) -> None:
    inputs, targets = held_out
    with fast_circular(model):
        outputs = predict(model, inputs)
    history.held_out.append(float(nn.functional.mse_loss(outputs, targets)))
    if grid is not None:
        history.spectrum.append(spectrum_error(outputs, targets, grid).value)


def _is_spent(history: History, patience: int | None) -> bool:
    """Return whether the last `patience` epochs brought no better score."""
    return patience is not None and len(history.train) >= history.best_epoch + patience


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
