"""Every candidate re-trained and scored: the truth that advice is checked against."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from safetensors.torch import save
from torch import Tensor, nn

from spectune.data import Normalization, Pairs
from spectune.models import contiguous_weights, load_weights
from spectune.training.fit import FitSettings
from spectune.training.layers import match_layers, trainable_layers
from spectune.training.scores import Scores, score
from spectune.training.transfer import TransferData
from spectune.training.transfer import retrain as retrain_layers

__all__ = ["ALL_LAYERS", "Retrained", "Sweep", "SweepData", "load_retrained", "path_of", "retrain"]

ALL_LAYERS = "all layers"


@dataclass(frozen=True)
class Retrained:
    """A network after re-training one layer (or all), scored on held-out target samples.

    Attributes:
        name: the layer, the pattern of a block, or those of a set, joined by " + ".
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
    """Every candidate re-trained alone, sets of them, and all layers together.

    Attributes:
        bnn_error: held-out target error of the base network.
        layers: in the order of the candidates, which by default is that of the model.
        all_layers: all layers re-trained with the same samples and epochs.
        sets: the sets of candidates that were asked for, each re-trained together.
    """

    bnn_error: float
    layers: tuple[Retrained, ...]
    all_layers: Retrained
    sets: tuple[Retrained, ...] = ()

    @property
    def seconds(self) -> float:
        """Wall time of all re-trainings of candidates."""
        return sum(layer.seconds for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "bnn_error": self.bnn_error,
            "layers": [asdict(layer) for layer in self.layers],
            "all_layers": asdict(self.all_layers),
            "sets": [asdict(together) for together in self.sets],
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class SweepData:
    """What all re-trainings of a sweep share.

    Attributes:
        model: the bare base network.
        training: target samples to train on.
        held_out: target samples to score on.
        normalization: of the base network.
        settings: of every re-training.
    """

    model: nn.Module
    training: Pairs
    held_out: Pairs
    normalization: Normalization
    settings: FitSettings

    @cached_property
    def standardised(self) -> TransferData:
        """What the network is trained on, with what its frozen layers make of it.

        A process that re-trains layer after layer runs each frozen layer once.
        """
        return TransferData(
            self.normalization.inputs(self.training.inputs),
            self.normalization.targets(self.training.targets),
        )

    def score(self, model: nn.Module) -> Scores:
        """Score a network on the held-out samples."""
        return score(model, self.normalization, self.held_out)


def retrain(data: SweepData, name: str, patterns: Sequence[str]) -> tuple[Retrained, bytes]:
    """Re-train what some patterns match; return its scores and its weights as safetensors.

    A layer that is not used when the network runs stays as it is.
    """
    started = time.perf_counter()
    tuned = data.model
    if _is_used(data.model, patterns, data.standardised.inputs[:1]):
        tuned, _ = retrain_layers(data.model, data.standardised, patterns, data.settings)
    seconds = time.perf_counter() - started
    result = Retrained(name=name, seconds=seconds, **asdict(data.score(tuned)))
    return result, save(contiguous_weights(tuned))


def _is_used(model: nn.Module, patterns: Sequence[str], inputs: Tensor) -> bool:
    """Say whether the output depends on the parameters that some patterns match."""
    moving = {
        name
        for layer in match_layers(trainable_layers(model), patterns)
        for name in layer.parameters
    }
    trial = copy.deepcopy(model).eval()
    for name, parameter in trial.named_parameters():
        parameter.requires_grad_(name in moving)
    with torch.enable_grad():
        output: Tensor = trial(inputs)
    return output.requires_grad


def path_of(folder: Path, name: str) -> Path:
    """Return the file of a re-training in the folder of a sweep, without its suffix.

    Patterns hold characters that not every file system takes.
    """
    return folder / quote(name, safe=" ")


def load_retrained(model: nn.Module, folder: Path, name: str) -> None:
    """Load the weights of one re-training of a sweep into a model, in place."""
    load_weights(model, folder / f"{path_of(folder, name).name}.safetensors")
