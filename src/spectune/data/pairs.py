"""Pairs of inputs and targets on one grid: what every analysis is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.grid import Grid

__all__ = ["Pairs"]


@dataclass(frozen=True)
class Pairs:
    """Samples of (inputs → targets) on a grid, in physical units.

    Attributes:
        inputs: (n, c_in, *grid.shape), float32.
        targets: (n, c_out, *grid.shape), float32.
        grid: the grid that both share.
        input_names: name of each input channel.
        target_names: name of each target channel.
        units: unit of each named variable.
        time: (n,) time of each sample, float64, or None where samples have no order in time.
        provenance: how the data came to be (system, parameters, versions, seed, file).
        member: (n,) ensemble member that each sample is of, int64, or None where there is only one.
            Neighbours in time of one member resemble each other, so that parts of whole members
            (``pairs.subset(pairs.member != 0)``) are the ones that share nothing.
    """

    inputs: Tensor
    targets: Tensor
    grid: Grid
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)
    time: Tensor | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    member: Tensor | None = None

    def __post_init__(self) -> None:
        for kind, values, names in (
            ("inputs", self.inputs, self.input_names),
            ("targets", self.targets, self.target_names),
        ):
            expected = (len(self.inputs), len(names), *self.grid.shape)
            if tuple(values.shape) != expected:
                raise DataError(
                    f"{kind} {list(names)}: found shape {tuple(values.shape)}, expected {expected} "
                    f"(sample, channel, {', '.join(self.grid.dims)})"
                )

    def __len__(self) -> int:
        return len(self.inputs)

    def subset(self, index: slice | Sequence[int] | Tensor) -> Pairs:
        """Return the samples of a slice, a list of positions or a mask (n,)."""
        if not isinstance(index, slice):
            index = torch.as_tensor(index)
        return replace(
            self,
            inputs=self.inputs[index],
            targets=self.targets[index],
            time=None if self.time is None else self.time[index],
            member=None if self.member is None else self.member[index],
        )

    def spread(self, count: int) -> Pairs:
        """Return so many samples, spread evenly from the first to the last; all where fewer."""
        if count >= len(self):
            return self
        return self.subset(torch.linspace(0, len(self) - 1, count).round().long())
