"""The forecast for a block of several layers, by a short re-training."""

from __future__ import annotations

from spectune.advice.attainable import Attainable
from spectune.advice.candidates import owners_of
from spectune.advice.problem import Problem
from spectune.models import predict
from spectune.spectra import mean_spectrum
from spectune.training.fit import FitSettings
from spectune.training.layers import Layer
from spectune.training.transfer import transfer

__all__ = ["is_block", "retrained_block", "unchanged"]

# Steps enough for the error to settle to what tells blocks apart, not to the end of training.
STEPS, BATCH = 80, 4


def is_block(layer: Layer) -> bool:
    """Say whether the weights belong to several modules."""
    return len(owners_of(layer)) > 1


def retrained_block(problem: Problem, layer: Layer) -> Attainable:
    """Forecast the target error after re-training a block: Adam on the fit part.

    Args:
        problem: see `Problem`.
        layer: the block, whose name is a pattern (see `candidate_layers`).
    """
    epochs = max(1, STEPS * BATCH // len(problem.fit_inputs))
    tuned, _ = transfer(
        problem.model,
        problem.fit_inputs,
        problem.fit_targets,
        [layer.name],
        FitSettings(epochs, BATCH),
    )
    error = predict(tuned, problem.judge_inputs) - problem.judge_targets
    spectrum = mean_spectrum(error, problem.grid).power.sum(0)
    found = Attainable(layer.name, error.square().flatten(1).mean(1), spectrum, 1)
    return min(unchanged(problem, layer.name), found, key=lambda forecast: forecast.error)


def unchanged(problem: Problem, layer: str) -> Attainable:
    """Return the forecast for a layer whose re-training changes nothing."""
    error = predict(problem.model, problem.judge_inputs) - problem.judge_targets
    spectrum = mean_spectrum(error, problem.grid).power.sum(0)
    return Attainable(layer, error.square().flatten(1).mean(1), spectrum, 0)
