"""How good a network is on held-out samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from spectune.data import Normalization, Pairs
from spectune.models import predict
from spectune.spectra import correlation, spectrum_error

__all__ = ["Scores", "score", "target_variance"]


def target_variance(targets: Tensor) -> float:
    """Return the variance of targets (n, c, *grid) over samples and grid, averaged over channels.

    It is the mean squared error of the best constant prediction, and the unit of all errors here.
    """
    return float(targets.double().var((0, *range(2, targets.ndim)), correction=0).mean())


@dataclass(frozen=True)
class Scores:
    """A network on held-out samples.

    Attributes:
        error: mean squared error over the variance of the truth.
        correlation: pattern correlation, averaged over samples.
        spectrum_error: mean over wavenumbers of |E_pred − E_true|/E_true.
    """

    error: float
    correlation: float
    spectrum_error: float


def score(module: nn.Module, normalization: Normalization, held_out: Pairs) -> Scores:
    """Score a bare network.

    Args:
        module: from standardised inputs to standardised outputs.
        normalization: of the network. Errors are standardised, so that channels count alike;
            correlation and spectra are of physical fields.
        held_out: samples that it was not trained on.
    """
    outputs = predict(module, normalization.inputs(held_out.inputs))
    truth = normalization.targets(held_out.targets)
    prediction = normalization.physical(outputs)
    return Scores(
        error=float(nn.functional.mse_loss(outputs, truth)) / target_variance(truth),
        correlation=correlation(prediction, held_out.targets),
        spectrum_error=spectrum_error(prediction, held_out.targets, held_out.grid).value,
    )
