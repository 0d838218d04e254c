"""What a user's network is given: standardised channels of the shape that it takes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spectune.data.normalization import Normalization
from spectune.data.pairs import Pairs
from spectune.errors import DataError
from spectune.models.network import Network

__all__ = ["check_shapes", "standardized"]


def standardized(
    model: nn.Module, pairs: Pairs, home: Pairs | None, standardize: bool
) -> tuple[nn.Module, Normalization]:
    """Return the module that acts on standardised channels, and the statistics that make them so.

    Args:
        model: a `Network`, which brings both, or any other module.
        pairs: the data it will be given.
        home: base data.
        standardize: whether a module without statistics takes those of `home`; otherwise it is
            given the data as it is.

    Raises:
        DataError: `standardize` without base data.
    """
    if isinstance(model, Network):
        return model.module, model.normalization
    if not standardize:
        channels = len(pairs.input_names), len(pairs.target_names)
        return model, Normalization.identity(*channels)
    if home is None:
        raise DataError("standardize needs base data: the statistics are those of the base system")
    return model, Normalization.of(home, "base")


def check_shapes(module: nn.Module, pairs: Pairs, normalization: Normalization) -> None:
    """Check that a module takes the inputs and returns the shape of the targets.

    Raises:
        DataError: wrong channels, inputs that the module refuses, outputs of another shape or type,
            or not finite.
    """
    channels = len(normalization.input_mean), len(normalization.target_mean)
    found = len(pairs.input_names), len(pairs.target_names)
    if found != channels:
        raise DataError(
            f"the network was trained on {channels[0]} input and {channels[1]} target channels, "
            f"found {list(pairs.input_names)} and {list(pairs.target_names)}"
        )
    try:
        with torch.no_grad():
            output = module(normalization.inputs(pairs.inputs[:1]))
    except Exception as error:  # the user's code may raise anything
        raise DataError(
            f"the model cannot take inputs {list(pairs.input_names)} of shape "
            f"{tuple(pairs.inputs[:1].shape)}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(output, Tensor):
        raise DataError(f"the model returns {type(output).__name__}, expected one tensor")
    if output.shape != pairs.targets[:1].shape:
        raise DataError(
            f"the model returns shape {tuple(output.shape)} for one sample, but the targets "
            f"{list(pairs.target_names)} have shape {tuple(pairs.targets[:1].shape)}"
        )
    if not bool(torch.isfinite(output).all()):
        raise DataError(
            "the model returns NaN or Inf for the first target sample; check its weights and "
            "whether it expects standardised inputs"
        )
