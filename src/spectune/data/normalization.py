"""Standardisation of channels with the statistics of one training set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spectune.data.pairs import Pairs
from spectune.errors import DataError

__all__ = ["Normalization"]


@dataclass(frozen=True)
class Normalization:
    """Channel-wise z-scores x_n = (x − μ)/σ, with μ and σ over samples and space.

    The statistics are those of the *base* training set: standardising the target with its own
    would hide a part of the shift between the two systems (SCIENCE: protocol).

    Attributes:
        input_mean, input_std: (c_in,), float32, in the units of the inputs.
        target_mean, target_std: (c_out,), float32, in the units of the targets.
        source: which data the statistics are from.
    """

    input_mean: Tensor
    input_std: Tensor
    target_mean: Tensor
    target_std: Tensor
    source: str

    @classmethod
    def of(cls, pairs: Pairs, source: str) -> Normalization:
        """Compute the statistics of a training set; refuse a channel without variance."""
        statistics = []
        for names, values in (
            (pairs.input_names, pairs.inputs),
            (pairs.target_names, pairs.targets),
        ):
            over = (0, *range(2, values.ndim))
            mean = values.double().mean(over)
            std = values.double().std(over, correction=0)
            for name, m, s in zip(names, mean.tolist(), std.tolist(), strict=True):
                if s <= 1e-12 * abs(m):  # relative: SI units of a slow flow reach 1e-13
                    raise DataError(
                        f"variable '{name}' of {source} has no variance (every value is {m:.6g}): "
                        "it cannot be standardised; leave this channel out"
                    )
            statistics += [mean.float(), std.float()]
        input_mean, input_std, target_mean, target_std = statistics
        return cls(input_mean, input_std, target_mean, target_std, source)

    @classmethod
    def identity(cls, n_inputs: int, n_targets: int) -> Normalization:
        """Return the statistics that change nothing, for networks that take data as it is."""
        zero, one = torch.zeros, torch.ones
        return cls(zero(n_inputs), one(n_inputs), zero(n_targets), one(n_targets), source="none")

    def inputs(self, values: Tensor) -> Tensor:
        """Standardise inputs (n, c_in, *grid)."""
        return (values - _column(self.input_mean, values)) / _column(self.input_std, values)

    def targets(self, values: Tensor) -> Tensor:
        """Standardise targets (n, c_out, *grid)."""
        return (values - _column(self.target_mean, values)) / _column(self.target_std, values)

    def physical(self, values: Tensor) -> Tensor:
        """Return standardised outputs (n, c_out, *grid) to physical units."""
        return values * _column(self.target_std, values) + _column(self.target_mean, values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "input_mean": self.input_mean.tolist(),
            "input_std": self.input_std.tolist(),
            "target_mean": self.target_mean.tolist(),
            "target_std": self.target_std.tolist(),
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Normalization:
        """Rebuild from `to_dict`."""
        return cls(
            torch.tensor(values["input_mean"]),
            torch.tensor(values["input_std"]),
            torch.tensor(values["target_mean"]),
            torch.tensor(values["target_std"]),
            values["source"],
        )


def _column(statistic: Tensor, values: Tensor) -> Tensor:
    return statistic.to(values).reshape(1, -1, *[1] * (values.ndim - 2))
