"""The check of the advice: re-train every layer and compare."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import save
from torch import Tensor, nn

from spectune.advice.problem import target_variance
from spectune.atomic import write_bytes, write_text
from spectune.data import Normalization, Pairs
from spectune.models import contiguous_weights, load_weights, predict
from spectune.spectra import correlation, spectrum_error
from spectune.training.fit import FitSettings
from spectune.training.layers import trainable_layers
from spectune.training.transfer import transfer

__all__ = ["ALL_LAYERS", "Retrained", "Sweep", "compare", "load_retrained", "verify"]

ALL_LAYERS = "all layers"


@dataclass(frozen=True)
class Retrained:
    """A network after re-training one layer (or all), scored on held-out target samples.

    Attributes:
        name: the layer.
        error: mean squared error over the variance of the truth.
        correlation: pattern correlation, averaged over samples.
        spectrum_error: mean over wavenumbers of |E_pred − E_true|/E_true.
        seconds: wall time of the re-training.
    """

    name: str
    error: float
    correlation: float
    spectrum_error: float
    seconds: float


@dataclass(frozen=True)
class Sweep:
    """Every layer re-trained alone, and all together.

    Attributes:
        bnn_error: held-out target error of the base network.
        layers: in the order of the model.
        all_layers: all layers re-trained with the same samples and epochs.
    """

    bnn_error: float
    layers: tuple[Retrained, ...]
    all_layers: Retrained

    @property
    def seconds(self) -> float:
        """Wall time of all single-layer re-trainings."""
        return sum(layer.seconds for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "bnn_error": self.bnn_error,
            "layers": [asdict(layer) for layer in self.layers],
            "all_layers": asdict(self.all_layers),
            "seconds": self.seconds,
        }


def verify(
    model: nn.Module,
    training: Pairs,
    held_out: Pairs,
    normalization: Normalization,
    settings: FitSettings,
    folder: Path,
    progress: Callable[[int, int], Any],
) -> Sweep:
    """Re-train each layer alone and all together; score each on held-out samples.

    Each result is kept in `folder` as soon as it is there (``NAME.json`` and
    ``NAME.safetensors``); a killed sweep goes on with the next layer.

    Args:
        model: the bare base network.
        training: target samples to train on.
        held_out: target samples to score on.
        normalization: of the base network.
        settings: the same for every layer.
        folder: see above.
        progress: called with the re-trainings done and in all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layers = trainable_layers(model)
    results = []
    inputs, targets = normalization.inputs(training.inputs), normalization.targets(training.targets)
    judge_inputs = normalization.inputs(held_out.inputs)
    judge_targets = normalization.targets(held_out.targets)
    for done, (name, patterns) in enumerate(
        [*((layer.name, [layer.name]) for layer in layers), (ALL_LAYERS, ["*"])]
    ):
        progress(done, len(layers) + 1)
        path = folder / f"{name}.json"
        if not path.exists():
            started = time.perf_counter()
            tuned, _ = transfer(model, inputs, targets, patterns, settings)
            seconds = time.perf_counter() - started
            outputs = predict(tuned, judge_inputs)
            prediction = normalization.physical(outputs)
            result = Retrained(
                name=name,
                error=_relative_error(outputs, judge_targets),
                correlation=correlation(prediction, held_out.targets),
                spectrum_error=spectrum_error(prediction, held_out.targets, held_out.grid).value,
                seconds=seconds,
            )
            write_bytes(path.with_suffix(".safetensors"), save(contiguous_weights(tuned)))
            write_text(path, json.dumps(asdict(result)))
        results.append(Retrained(**json.loads(path.read_text())))
    progress(len(layers) + 1, len(layers) + 1)
    bnn_error = _relative_error(predict(model, judge_inputs), judge_targets)
    return Sweep(bnn_error, tuple(results[:-1]), results[-1])


def _relative_error(outputs: Tensor, targets: Tensor) -> float:
    return float(nn.functional.mse_loss(outputs, targets)) / target_variance(targets)


def compare(
    rankings: Mapping[str, Sequence[str]], criteria: Sequence[str], sweep: Sweep
) -> dict[str, dict[str, Any]]:
    """Score every criterion against the sweep.

        regret = (error of the choice − lowest error)/(BNN error − lowest error)

    (None where no re-training beats the base network) and Spearman's rank correlation between the
    order of the criterion and that of the errors (None for an order that claims none). The entry
    "random" is what a layer drawn at random costs on average.

    Args:
        rankings: layer names by each criterion, best first.
        criteria: names of the rankings that claim an order of all layers.
        sweep: the truth.
    """
    errors = {layer.name: layer.error for layer in sweep.layers}
    order = sorted(errors, key=lambda name: errors[name])
    lowest = errors[order[0]]
    gain = sweep.bnn_error - lowest
    table: dict[str, dict[str, Any]] = {}
    for criterion, ranking in rankings.items():
        table[criterion] = {
            "choice": ranking[0],
            "rank_of_choice": order.index(ranking[0]) + 1,
            "regret": (errors[ranking[0]] - lowest) / gain if gain > 0 else None,
            "spearman": _spearman(ranking, errors) if criterion in criteria else None,
        }
    table["random"] = {
        "choice": "any layer",
        "rank_of_choice": (len(order) + 1) / 2,
        "regret": (sum(errors.values()) / len(errors) - lowest) / gain if gain > 0 else None,
        "spearman": None,
    }
    return table


def _spearman(ranking: Sequence[str], errors: Mapping[str, float]) -> float:
    position = pd.Series({name: float(i) for i, name in enumerate(ranking)})
    return float(position.corr(pd.Series(errors).reindex(position.index).rank()))


def load_retrained(model: nn.Module, folder: Path, name: str) -> None:
    """Load the weights of one re-training of a sweep into a model, in place."""
    load_weights(model, folder / f"{name}.safetensors")
