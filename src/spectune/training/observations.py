"""Target data as they are measured: sparse, noisy, coarse, or of some channels only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.errors import DataError

__all__ = ["Observations", "block_means", "channels"]

Operator = Callable[[Tensor], Tensor]
"""H, from outputs (n, c_out, *grid) to what is observed of them (n, ...), differentiable."""


@dataclass(frozen=True)
class Observations:
    """Inputs and what is observed of the outputs: d = H y + noise.

        L = ⟨w (H f(x) − d)²⟩ / ⟨w⟩,   w = m / σ²

    with the means over all samples and points. Division by ⟨w⟩ keeps the unit of the mean squared
    error, so that only the relative sizes of σ² matter and weights of other terms keep their
    meaning.

    Attributes:
        inputs: (n, c_in, *grid), standardised.
        values: d (n, ...), of the shape of the operator's result, in units of the standardised
            outputs. NaN is allowed where the mask says that nothing was observed.
        mask: m, true where observed, broadcastable to `values`; None is everywhere.
        variance: σ² of the noise, broadcastable to `values`; None is the same everywhere.
        operator: H; None is the identity. H acts on standardised outputs: a linear H without
            offset (means, interpolation, choice of channels) commutes with standardising if it
            does not mix channels.
    """

    inputs: Tensor
    values: Tensor
    mask: Tensor | None = None
    variance: Tensor | None = None
    operator: Operator | None = None

    def __post_init__(self) -> None:
        if len(self.values) != len(self.inputs):
            raise DataError(
                f"observations: found {len(self.values)} values for {len(self.inputs)} inputs"
            )
        if self.variance is not None and not bool((self.variance > 0).all()):
            raise DataError(
                "observations: found a variance that is not positive; where a value is exact give "
                "a small one, where it is unknown mask it out"
            )
        weights = self.weights()
        if not bool(weights.any()):
            raise DataError("observations: the mask leaves nothing, expected some observed points")
        unusable = ~torch.isfinite(self.values) & (weights > 0)
        if bool(unusable.any()):
            raise DataError(
                f"observations: found {int(unusable.sum())} NaN or Inf among the values that the "
                "mask says are observed; mask them out"
            )

    def weights(self) -> Tensor:
        """Return w / ⟨w⟩ in the shape of the values."""
        weights = torch.ones_like(self.values)
        if self.variance is not None:
            weights = weights / self.variance
        if self.mask is not None:
            weights = weights * self.mask
        return weights / weights.mean().clamp(min=torch.finfo(weights.dtype).tiny)

    def observed(self, outputs: Tensor) -> Tensor:
        """Return H of outputs, checked against the shape of the values."""
        found = outputs if self.operator is None else self.operator(outputs)
        if found.shape[1:] != self.values.shape[1:]:
            raise DataError(
                f"observations: the operator gives {tuple(found.shape[1:])} for a sample, expected "
                f"the shape of the values, {tuple(self.values.shape[1:])}"
            )
        return found


def channels(indices: Sequence[int]) -> Operator:
    """Return H that observes some channels only."""
    index = list(indices)
    return lambda outputs: outputs[:, index]


def block_means(factor: int) -> Operator:
    """Return H that observes means over blocks of `factor` points in each dimension.

    This is what an instrument with larger cells sees, on any grid, periodic or not.
    """
    pools = {3: nn.functional.avg_pool1d, 4: nn.functional.avg_pool2d, 5: nn.functional.avg_pool3d}
    return lambda outputs: pools[outputs.dim()](outputs, factor)
