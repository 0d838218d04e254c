"""Signal-to-noise ratio of the gradient."""

from __future__ import annotations

import torch

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["gradient_signal_to_noise"]


def gradient_signal_to_noise(problem: Problem, shared: SharedPass) -> dict[str, float]:
    """Return Auto-SNR = mean over the weights of a layer of (mean_i g_i)² / var_i g_i.

    Weights whose gradient does not vary over the samples i are left out.

    Args:
        problem: see `Problem`.
        shared: gradients.

    Source: Lee et al. 2023, Surgical fine-tuning (ICLR), section 4.
    """
    moments = shared.gradients
    scores = {}
    for layer in problem.layers:
        ratios = []
        for name in layer.parameters:
            variance = moments.scatter[name].double() / (moments.samples - 1)
            ratio = moments.mean[name].double().square() / variance
            ratios.append(ratio[variance > 0])
        values = torch.cat(ratios)
        scores[layer.name] = float(values.mean()) if len(values) else 0.0
    return scores
