"""What data must be before anything is computed from it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import Tensor

from spectune.data.fingerprint import fingerprint
from spectune.data.pairs import Pairs
from spectune.errors import DataError

__all__ = ["check_apart", "check_pairs", "check_same_grid"]


def check_pairs(pairs: Pairs, source: str) -> None:
    """Refuse pairs that no analysis can use: too few samples, NaN or Inf, a constant channel.

    Args:
        pairs: the data.
        source: file or name of the data, for messages.

    Raises:
        DataError: naming source and variable.
    """
    if len(pairs) < 2:
        raise DataError(
            f"{source} has {len(pairs)} samples, expected at least 2: one part of the samples is "
            "fitted and another judges"
        )
    for name, values in _channels(pairs):
        check_finite(values, name, source)
        lowest, highest = values.min().item(), values.max().item()
        if lowest == highest:
            raise DataError(
                f"{source}: variable '{name}' has no variance (every value is {lowest:.6g}), "
                "expected a field that changes: it cannot be standardised; leave it out"
            )


def check_finite(values: Tensor, name: str, source: str) -> None:
    """Refuse NaN and Inf in one channel (n, *grid).

    Raises:
        DataError: with the count and the first sample.
    """
    bad = ~torch.isfinite(values)
    total = int(bad.sum())
    if total:
        first = int(bad.flatten(1).any(1).nonzero()[0])
        nan = int(values.isnan().sum())
        raise DataError(
            f"{source}: variable '{name}' has {total} values that are not finite ({nan} NaN, "
            f"{total - nan} Inf) of {values.numel()}, the first in sample {first}; expected none. "
            "Data with masks or gaps must be filled or cut to a region without gaps first; it is "
            "never filled silently"
        )


def check_same_grid(base: Pairs, target: Pairs) -> None:
    """Refuse a target whose samples a network of the base cannot mean the same way.

    A kernel weights neighbours at fixed distances, so both grids need the same dimensions in the
    same order, the same spacing (to 1e-6, relative), the same orientation and the same boundaries,
    and the channels must be the same variables in the same units. The number of points may differ:
    a convolution does not see the size of the box.

    Raises:
        DataError: naming what differs.
    """
    a, b = base.grid, target.grid
    here, there = _file(target, "target"), _file(base, "base")

    def same(what: str, expected: object, found: object, advice: str) -> None:
        if expected != found:
            raise DataError(
                f"{here} differs from {there} in {what}: found {found}, expected {expected} as in "
                f"the base; {advice}"
            )

    same("grid dimensions", a.dims, b.dims, "rename or transpose the dimensions of the target")
    same("input variables", base.input_names, target.input_names, "name the same, in this order")
    same("target variables", base.target_names, target.target_names, "name the same, in this order")
    for dim, expected, found in zip(a.dims, a.spacing, b.spacing, strict=True):
        if abs(found - expected) > 1e-6 * expected:
            raise DataError(
                f"{here}: grid spacing along '{dim}' is {found:.9g}, expected "
                f"{expected:.9g} as in {there}: a kernel means something only at its own "
                "spacing; interpolate or coarse-grain the target to that spacing"
            )
    if "1" not in (a.unit, b.unit):
        same("unit of length", a.unit, b.unit, "convert the coordinates")
    same(
        "periodic",
        a.periodic,
        b.periodic,
        "the boundaries decide padding and transform; pass periodic= when opening the data",
    )
    same(
        "descending coordinates",
        base.provenance.get("descending", []),
        target.provenance.get("descending", []),
        "reverse the dimension in one of them with dataset.isel(dim=slice(None, None, -1))",
    )
    for name in (*base.input_names, *base.target_names):
        units = (base.units.get(name, ""), target.units.get(name, ""))
        if all(units) and _spelling(units[0]) != _spelling(units[1]):
            raise DataError(
                f"{here}: variable '{name}' is in '{units[1]}', expected '{units[0]}' as "
                f"in {there}; convert it, or correct its units attribute"
            )


def check_apart(target: Pairs, held_out: Pairs) -> None:
    """Refuse held-out samples that are among those to train on, to the last bit.

    Raises:
        DataError: with the count and the first of them.
    """
    seen = set(_samples(target))
    common = [i for i, sample in enumerate(_samples(held_out)) if sample in seen]
    if common:
        raise DataError(
            f"{_file(held_out, 'held-out')}: {len(common)} of {len(held_out)} held-out samples are "
            f"samples of {_file(target, 'target')} too, the first is sample {common[0]}; expected "
            "none: an error on samples that were trained on says nothing about others. Leave them "
            "out of one of the two, best with some time between both"
        )


def _samples(pairs: Pairs) -> Iterator[str]:
    for inputs, targets in zip(pairs.inputs, pairs.targets, strict=True):
        yield fingerprint([("inputs", inputs), ("targets", targets)])


def _file(pairs: Pairs, role: str) -> str:
    return str(pairs.provenance.get("file", f"the {role} data"))


def _channels(pairs: Pairs) -> Iterator[tuple[str, Tensor]]:
    for names, values in (
        (pairs.input_names, pairs.inputs),
        (pairs.target_names, pairs.targets),
    ):
        for channel, name in enumerate(names):
            yield name, values[:, channel]


def _spelling(unit: str) -> str:
    return re.sub(r"[\s*^]", "", unit)
