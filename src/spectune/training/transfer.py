"""Re-training of chosen layers on target data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.training.fit import FitSettings, fit, minimise
from spectune.training.gauss_newton import GaussNewtonSettings, gauss_newton
from spectune.training.history import History
from spectune.training.kinds import Kind, free, merge
from spectune.training.layers import Layer, match_layers, trainable_layers
from spectune.training.objective import Objective
from spectune.training.prefix import PrefixCache, split_model
from spectune.training.symmetries import Symmetries

__all__ = ["Recommendation", "TransferData", "freed", "patterns", "retrain", "sweep", "transfer"]


class Recommendation(Protocol):
    """What names the layers to re-train, such as `spectune.advice.Advice`."""

    @property
    def best(self) -> Sequence[str]:
        """Names of the layers."""
        ...


@dataclass
class TransferData:
    """The data of several re-trainings of one model, with what its frozen layers make of them.

    Attributes:
        inputs: (n, c_in, *grid), standardised as the network expects.
        targets: (n, c_out, *grid), standardised.
        held_out: inputs and targets on which errors are reported, or None.
    """

    inputs: Tensor
    targets: Tensor
    held_out: tuple[Tensor, Tensor] | None = None
    _caches: list[PrefixCache] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        inputs = [self.inputs, *([] if self.held_out is None else [self.held_out[0]])]
        self._caches = [PrefixCache(values) for values in inputs]

    def behind(self, prefix: nn.Module) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
        """Return inputs, targets and held-out pairs as the layers behind a prefix see them."""
        outputs = [cache(prefix) for cache in self._caches]
        held_out = None if self.held_out is None else (outputs[1], self.held_out[1])
        return outputs[0], self.targets, held_out


def transfer(
    model: nn.Module,
    inputs: Tensor | None,
    targets: Tensor | None,
    layers: str | Sequence[str] | Recommendation,
    settings: FitSettings | GaussNewtonSettings,
    *,
    objective: Objective | None = None,
    kind: Kind = "full",
    rank: int = 4,
    held_out: tuple[Tensor, Tensor] | None = None,
    grid: Grid | None = None,
    symmetries: Symmetries | None = None,
    state_path: Path | None = None,
    log_path: Path | None = None,
    progress: Callable[[int], Any] | None = None,
) -> tuple[nn.Module, History]:
    """Return a copy of a model in which the chosen layers are re-trained, all others frozen.

    What runs before the first chosen layer is computed once (see `split_model`). Normalisation
    layers that are not chosen keep their statistics. The result has the modules and the names of
    the base network, whatever the kind.

    Args:
        model: the base network; it is not changed.
        inputs: (n, c_in, *grid), standardised as the network expects; None with an objective.
        targets: (n, c_out, *grid), standardised; None with an objective.
        layers: names or patterns (see `match_layers`), or an advice.
        settings: of Adam, as for `fit`, or of a Gauss–Newton fit.
        objective: what is minimised instead of the mean squared error of the targets, such as the
            error of a large-eddy simulation (`spectune.online.ThroughSolver`), alone or `Joined`
            with that of pairs. It is given the whole network, of which every layer runs each time.
        kind: what of the layers moves (see `Kind`).
        rank: of the kind ``"low-rank"``.
        held_out: as for `fit`.
        grid: as for `fit`.
        symmetries: as for `fit`. The frozen layers then see other samples each time, and run.
        state_path: as for `fit`.
        log_path: as for `fit`.
        progress: as for `fit`.

    Returns:
        The re-trained model in evaluation mode, and its history.

    Raises:
        LayerError: a pattern matches no layer, or a layer has nothing of this kind.
        StabilityError: the loss is no longer finite.
        DataError: a Gauss–Newton fit is asked for what only `fit` does; or there are both pairs and
            an objective, or neither.
    """
    if objective is not None:
        if inputs is not None or targets is not None or symmetries is not None:
            raise DataError(
                "found inputs, targets or symmetries beside an objective, which has its own "
                "samples; pass None for them, or give "
                "Joined(objective, Supervised(inputs, targets, symmetries), weight)"
            )
        if isinstance(settings, GaussNewtonSettings):
            raise DataError(
                "a Gauss–Newton fit is one of pairs and takes no objective; use FitSettings"
            )
        # Not split in front of the chosen layers: what an objective gives the network may change
        # with the weights, as the states of a simulation do.
        with freed(model, layers, kind, rank, settings.seed) as (tuned, _, _):
            history = minimise(
                tuned,
                objective,
                settings,
                held_out=held_out,
                grid=grid,
                state_path=state_path,
                log_path=log_path,
                progress=progress,
            )
        return tuned, history
    if inputs is None or targets is None:
        raise DataError("found no inputs or no targets, expected both, or an objective")
    return retrain(
        model,
        TransferData(inputs, targets, held_out),
        layers,
        settings,
        kind=kind,
        rank=rank,
        grid=grid,
        symmetries=symmetries,
        state_path=state_path,
        log_path=log_path,
        progress=progress,
    )


def retrain(
    model: nn.Module,
    data: TransferData,
    layers: str | Sequence[str] | Recommendation,
    settings: FitSettings | GaussNewtonSettings,
    *,
    kind: Kind = "full",
    rank: int = 4,
    grid: Grid | None = None,
    symmetries: Symmetries | None = None,
    state_path: Path | None = None,
    log_path: Path | None = None,
    progress: Callable[[int], Any] | None = None,
) -> tuple[nn.Module, History]:
    """Do what `transfer` does with data that several re-trainings share.

    Re-trained one after another in the order of the model, the layers of a sequence pay for each
    frozen layer once.
    """
    with freed(model, layers, kind, rank, settings.seed) as (tuned, chosen, moving):
        if symmetries is None:
            # The frozen part of the model itself, whose modules are the same in every re-training.
            prefix, _ = split_model(model, [name for layer in chosen for name in layer.parameters])
            _, suffix = split_model(tuned, moving)
            x, y, held_out = data.behind(prefix)
        else:
            suffix, x, y, held_out = tuned, data.inputs, data.targets, data.held_out
        if isinstance(settings, GaussNewtonSettings):
            asked: dict[str, object] = {
                "grid": grid,
                "symmetries": symmetries,
                "state_path": state_path,
                "log_path": log_path,
                "progress": progress,
            }
            if found := [name for name, value in asked.items() if value is not None]:
                raise DataError(f"a Gauss–Newton fit has no {', '.join(found)}; leave it out")
            history = gauss_newton(suffix, x, y, settings, held_out=held_out)
        else:
            history = fit(
                suffix,
                x,
                y,
                settings,
                held_out=held_out,
                grid=grid,
                symmetries=symmetries,
                state_path=state_path,
                log_path=log_path,
                progress=progress,
            )
    return tuned, history


def sweep(
    model: nn.Module,
    data: TransferData,
    settings: FitSettings | GaussNewtonSettings,
    *,
    layers: Sequence[str] = ("*",),
    kind: Kind = "full",
    rank: int = 4,
) -> Iterator[tuple[str, nn.Module, History]]:
    """Re-train each layer alone, in the order of the model, and yield name, network and history.

    Args:
        model: the base network; it is not changed.
        data: what every re-training is given.
        settings: the same for every layer.
        layers: names or patterns; all layers by default.
        kind: as for `transfer`.
        rank: as for `transfer`.

    Raises:
        LayerError, StabilityError: as for `transfer`.
    """
    for layer in match_layers(trainable_layers(model), layers):
        yield layer.name, *retrain(model, data, [layer.name], settings, kind=kind, rank=rank)


@contextmanager
def freed(
    model: nn.Module,
    layers: str | Sequence[str] | Recommendation,
    kind: Kind,
    rank: int,
    seed: int,
) -> Iterator[tuple[nn.Module, list[Layer], list[str]]]:
    """Give a copy of a model to train, of which only chosen layers move, and make it whole again.

    Yields the copy, the layers, and the names of the parameters that move. Afterwards the copy has
    the modules and names of the model, and is in evaluation mode.
    """
    chosen = match_layers(trainable_layers(model), patterns(layers))
    tuned = copy.deepcopy(model).eval()
    yield tuned, chosen, free(tuned, chosen, kind, rank=rank, seed=seed)
    merge(tuned)
    tuned.eval()


def patterns(layers: str | Sequence[str] | Recommendation) -> Sequence[str]:
    """Return the names that a choice of layers consists of."""
    if isinstance(layers, str):
        return [layers]
    return layers if isinstance(layers, Sequence) else layers.best
