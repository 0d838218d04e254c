"""Signal-to-noise ratio of the gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from spectune.training.layers import Layer

__all__ = ["gradient_signal_to_noise"]


def gradient_signal_to_noise(layer: Layer, gradients: Mapping[str, Tensor]) -> float:
    """Return Auto-SNR = mean over weights of (mean_i g_i)² / var_i g_i; higher: re-train first.

    Args:
        layer: the layer.
        gradients: of each sample i; see `spectune.advice.gradients.sample_gradients`.

    Source: Lee et al. 2023, Surgical fine-tuning (ICLR), section 4.
    """
    ratios = []
    for name in layer.parameters:
        g = gradients[name].double()
        variance = g.var(0)
        ratio = g.mean(0).square() / variance
        ratios.append(ratio[variance > 0])
    values = torch.cat(ratios)
    return float(values.mean()) if len(values) else 0.0
