"""Gradient of a layer as a whole against its noise over the samples."""

from __future__ import annotations

from spectune.advice.problem import Problem
from spectune.advice.shared import SharedPass

__all__ = ["gradient_signal_over_noise"]


def gradient_signal_over_noise(problem: Problem, shared: SharedPass) -> dict[str, float]:
    """Return the inverse of the gradient noise scale of each layer, estimated without bias.

        1/B_l = |G_l|² / tr Σ_l,    |G_l|² ≈ ‖ḡ_l‖² − tr Σ_l / n,    tr Σ_l = Σ_i ‖g_i − ḡ‖²/(n − 1)

    B is the number of samples at which noise and signal of the gradient are equal. Auto-SNR
    averages the ratios of single weights, in which a few quiet weights decide; this is the ratio
    of the averages. It is below zero where there is no more than noise, and zero where there is no
    gradient.

    Args:
        problem: see `Problem`.
        shared: gradients.

    Source: McCandlish et al. 2018 (arXiv 1812.06162), section 2.2 and appendix A.1.
    """
    moments = shared.gradients
    scores = {}
    for layer in problem.layers:
        noise = moments.total_scatter(layer) / (moments.samples - 1)
        signal = moments.squared_mean(layer) - noise / moments.samples
        scores[layer.name] = signal / max(noise, 1e-30)
    return scores
