"""Relative gradient norm."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from spectune.training.layers import Layer

__all__ = ["relative_gradient_norm"]


def relative_gradient_norm(
    model: nn.Module, layer: Layer, gradients: Mapping[str, Tensor]
) -> float:
    """Return Auto-RGN = ‖g_l‖ / ‖θ_l‖, g the gradient of the target loss; higher: re-train first.

    Args:
        model: owner of the weights.
        layer: the layer.
        gradients: see `spectune.advice.gradients.sample_gradients`.

    Source: Lee et al. 2023, Surgical fine-tuning (ICLR), section 4.
    """
    parameters = dict(model.named_parameters())
    norm: float = sum(float(gradients[name].mean(0).square().sum()) for name in layer.parameters)
    weight: float = sum(
        float(parameters[name].detach().square().sum()) for name in layer.parameters
    )
    return float((norm / max(weight, 1e-30)) ** 0.5)
