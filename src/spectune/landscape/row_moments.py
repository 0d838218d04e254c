"""Second moments of what layers read, of as many layers at a time as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["RowMoments", "in_groups"]

# Numbers kept at a time: 64 MB in float32.
ROOM = 2**24

Item = TypeVar("Item")


class RowMoments:
    """Running mean and second moment of rows p of one width."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = torch.zeros(())
        self._outer = torch.zeros(())

    def add(self, rows: Tensor) -> None:
        """Add rows (n, width)."""
        self.count += len(rows)
        self._sum = self._sum.to(rows) + rows.sum(0)
        self._outer = self._outer.to(rows) + rows.T @ rows

    @property
    def second(self) -> Tensor:
        """⟨p pᵀ⟩, (width, width), float64."""
        return self._outer.double() / self.count

    @property
    def extended(self) -> Tensor:
        """⟨p pᵀ⟩ with a 1 appended to each p, for a bias; (width + 1, width + 1), float64."""
        mean = self._sum.double()[:, None] / self.count
        one = torch.ones(1, 1, dtype=mean.dtype, device=mean.device)
        return torch.cat((torch.cat((self.second, mean), 1), torch.cat((mean.T, one), 1)))

    @property
    def covariance(self) -> Tensor:
        """⟨p pᵀ⟩ − ⟨p⟩⟨p⟩ᵀ, (width, width), float64."""
        mean = self._sum.double() / self.count
        return self.second - torch.outer(mean, mean)


def in_groups(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield the items in order, as many together as keep no more numbers than there is room for.

    Args:
        items: whatever is to be watched during a pass over the samples.
        size: numbers that are kept for an item.
    """
    group: list[Item] = []
    kept = 0
    for item in items:
        if group and kept + size(item) > ROOM:
            yield group
            group, kept = [], 0
        group.append(item)
        kept += size(item)
    if group:
        yield group
