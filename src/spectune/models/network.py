"""A network together with the normalisation it was trained with."""

from __future__ import annotations

from torch import Tensor, nn

from spectune.data.normalization import Normalization

__all__ = ["Network"]


class Network(nn.Module):
    """From physical inputs to physical outputs: y = σ_y f((x − μ_x)/σ_x) + μ_y.

    Analyses of layers act on `module`, f, in standardised units; everything that meets physics
    (scores, large-eddy simulation, export) calls the network itself.

    Args:
        module: f, any module from (n, c_in, *grid) to (n, c_out, *grid).
        normalization: the statistics of the base training set.
    """

    def __init__(self, module: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.module = module
        self.normalization = normalization

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs (n, c_out, *grid) in physical units."""
        outputs: Tensor = self.module(self.normalization.inputs(inputs))
        return self.normalization.physical(outputs)
