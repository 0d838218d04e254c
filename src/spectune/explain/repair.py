"""Which part of the error re-training removed at each wavenumber, and which one it could."""

from __future__ import annotations

import copy

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from spectune.advice.attainable import attainable_decrease, unchanged
from spectune.advice.problem import Problem
from spectune.data import Normalization, Pairs
from spectune.models import predict
from spectune.spectra import cross_spectrum, mean_spectrum, relative_mse

__all__ = ["describe_repair"]


def describe_repair(
    before: nn.Module, after: nn.Module, target: Pairs, normalization: Normalization, layer: str
) -> xr.Dataset:
    """Return spectra of the error, coherence of prediction and truth, before and after.

        corrected(k) = 1 − E[error after](k) / E[error before](k)
        correctable(k) = the same with one layer moved by Gauss–Newton (`attainable_decrease`)

    The first is what re-training did on all samples, the second what the layer alone could do,
    fitted to one half of the samples and judged on the other. Sums run over the target channels,
    in standardised units; `coherence` is by channel.

    Args:
        before: the base network (bare).
        after: the re-trained network.
        target: target sample.
        normalization: of the networks.
        layer: of the correctable spectrum.
    """
    inputs, truth = normalization.inputs(target.inputs), normalization.targets(target.targets)
    predictions = [predict(model, inputs) for model in (before, after)]
    errors = [mean_spectrum((p - truth).double(), target.grid) for p in predictions]
    wavenumber = errors[0].wavenumber
    power = torch.stack([error.power.sum(0) for error in errors])
    truth_power = mean_spectrum(truth.double(), target.grid).power.sum(0)
    shared = [cross_spectrum(p, truth, target.grid).coherence for p in predictions]
    return xr.Dataset(
        {
            "error_spectrum": (("stage", "wavenumber"), power.numpy()),
            "truth_spectrum": ("wavenumber", truth_power.numpy()),
            "corrected": ("wavenumber", _share(power[1], power[0])),
            "correctable": (
                "wavenumber",
                _correctable(before, target, normalization, layer, wavenumber),
            ),
            "coherence": (("stage", "target", "wavenumber"), torch.stack(shared).numpy()),
            "relative_mse": ("stage", [relative_mse(p, truth) for p in predictions]),
        },
        coords={
            "stage": ["before", "after"],
            "target": list(target.target_names),
            "wavenumber": wavenumber.numpy(),
        },
    )


def _share(left: Tensor, error: Tensor) -> np.ndarray:
    """Return 1 − left/error, NaN where there was no error to remove."""
    known = error > 1e-12 * error.sum()
    return torch.where(known, 1 - left / error.masked_fill(~known, 1.0), torch.nan).numpy()


def _correctable(
    before: nn.Module, target: Pairs, normalization: Normalization, layer: str, k: Tensor
) -> np.ndarray:
    if len(target) < 4:  # two to fit and two to judge, or it is a guess
        return np.full(len(k), np.nan)
    # A copy that may move: the user's weights may be frozen.
    model = copy.deepcopy(before).requires_grad_(True)
    problem = Problem.split(model, target, normalization)
    wanted = {one.name: one for one in problem.layers}
    if layer not in wanted:  # its weights are computed from others, which are not its own
        return np.full(len(k), np.nan)
    forecast = attainable_decrease(problem, [wanted[layer]])
    return _share(
        forecast.error_spectrum.double(), unchanged(problem, layer).error_spectrum.double()
    )
