"""The plain convolutional closure of Subel et al. 2023."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from torch import nn

from spectune.models.circular import CircularConv1d, CircularConv2d, CircularConv3d

__all__ = ["CNN"]

_CONVOLUTIONS = {1: CircularConv1d, 2: CircularConv2d, 3: CircularConv3d}


class CNN(nn.Sequential):
    """Convolutions of one size with ReLU between them and a linear output, no pooling.

        g₀ = x,   h_l = W_l ∗ g_{l−1} + b_l,   g_l = max(h_l, 0),   output h_depth

    The convolutions are called ``conv1`` … ``conv{depth}``. The paper's network is
    ``CNN(2, 1, width=64, depth=11, kernel=5)`` with 927,041 weights and zero padding; circular
    padding is right for a periodic box and the default here.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        width: channels of each hidden layer.
        depth: number of convolutions.
        kernel: points of the kernel in each dimension, odd.
        padding: ``"circular"`` or ``"zeros"``.
        ndim: number of dimensions of the grid.

    Source: Subel et al. 2023 (PNAS Nexus 2(3)), Materials and Methods.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: int = 64,
        depth: int = 11,
        kernel: int = 5,
        padding: Literal["circular", "zeros"] = "circular",
        ndim: int = 2,
    ) -> None:
        channels = [inputs, *[width] * (depth - 1), outputs]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(depth):
            layers[f"conv{i + 1}"] = _CONVOLUTIONS[ndim](
                channels[i], channels[i + 1], kernel, padding=kernel // 2, padding_mode=padding
            )
            if i + 1 < depth:
                layers[f"relu{i + 1}"] = nn.ReLU()
        super().__init__(layers)
