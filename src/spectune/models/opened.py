"""A user's network together with a user's data, checked to fit each other."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from torch import nn

from spectune.data.checks import check_apart, check_same_grid
from spectune.data.normalization import Normalization
from spectune.data.pairs import Pairs
from spectune.data.readers import open_pairs
from spectune.models.standardized import check_shapes, standardized

__all__ = ["Opened", "open_with_data"]

Data = Pairs | xr.Dataset | str | Path


@dataclass(frozen=True)
class Opened:
    """What an analysis or a re-training works on.

    Attributes:
        module: a copy of the bare network, in evaluation mode, whose weights can all move; the
            user's may be in training mode, and have frozen weights.
        normalization: between physical fields and what the module sees.
        target: target samples.
        held_out: target samples to score on, on the same grid, or None.
        base: base samples, or None.
    """

    module: nn.Module
    normalization: Normalization
    target: Pairs
    held_out: Pairs | None
    base: Pairs | None


def open_with_data(
    model: nn.Module,
    target: Data,
    *,
    held_out: Data | None = None,
    base: Data | None = None,
    standardize: bool = False,
    inputs: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    sample_dim: str | None = None,
    periodic: bool | None = None,
) -> Opened:
    """Open data for a network.

    Args:
        model: the network (see `standardized`); it is not changed.
        target: pairs, a dataset, or a file that xarray opens; likewise the others.
        held_out: see `Opened`.
        base: see `Opened`.
        standardize: see `standardized`.
        inputs: see `open_pairs`, and so the following, for all data alike.
        targets: see there.
        sample_dim: see there.
        periodic: see there.

    Raises:
        DataError: data that cannot be used, or that does not fit the network; held-out samples
            that are target samples too.
    """

    def opened(data: Data) -> Pairs:
        return open_pairs(
            data, inputs=inputs, targets=targets, sample_dim=sample_dim, periodic=periodic
        )

    pairs = opened(target)
    judging = None if held_out is None else opened(held_out)
    if judging is not None:
        check_same_grid(pairs, judging)
        check_apart(pairs, judging)
    home = None if base is None else opened(base)
    module, normalization = standardized(model, pairs, home, standardize)
    module = copy.deepcopy(module).eval().requires_grad_(True)
    check_shapes(module, pairs, normalization)
    return Opened(module, normalization, pairs, judging, home)
