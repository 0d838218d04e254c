"""Re-training of chosen layers on target data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spectune.models import predict
from spectune.training.fit import FitSettings, History, fit
from spectune.training.layers import match_layers, trainable_layers
from spectune.training.prefix import split_model

__all__ = ["transfer"]


def transfer(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    layers: Sequence[str],
    settings: FitSettings,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
    state_path: Path | None = None,
    progress: Callable[[int], Any] | None = None,
) -> tuple[nn.Module, History]:
    """Return a copy of a model in which the chosen layers are re-trained, all others frozen.

    What runs before the first chosen layer is computed once (see `split_model`). Normalisation
    layers that are not chosen keep their statistics.

    Args:
        model: the base network; it is not changed.
        inputs: (n, c_in, *grid), standardised as the network expects.
        targets: (n, c_out, *grid), standardised.
        layers: names or patterns (see `match_layers`).
        settings: as for `fit`.
        held_out: as for `fit`.
        state_path: as for `fit`.
        progress: as for `fit`.

    Returns:
        The re-trained model in evaluation mode, and its history.

    Raises:
        LayerError: a pattern matches no layer.
        StabilityError: the loss is no longer finite.
    """
    chosen = match_layers(trainable_layers(model), layers)
    moving = {name for layer in chosen for name in layer.parameters}
    tuned = copy.deepcopy(model).eval()
    for name, parameter in tuned.named_parameters():
        parameter.requires_grad_(name in moving)
    prefix, suffix = split_model(tuned, sorted(moving))
    history = fit(
        suffix,
        predict(prefix, inputs),
        targets,
        settings,
        held_out=held_out and (predict(prefix, held_out[0]), held_out[1]),
        state_path=state_path,
        progress=progress,
    )
    for parameter in tuned.parameters():
        parameter.requires_grad_(True)
    return tuned.eval(), history
