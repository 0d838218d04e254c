"""What is appended to a store, checked and as it is stored."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.data._description import MEMBER, TIME, Description
from spectune.errors import DataError

__all__ = ["columns"]


def columns(
    description: Description,
    store: str,
    inputs: Tensor,
    targets: Tensor,
    time: Tensor,
    member: Tensor | None,
) -> dict[str, Tensor]:
    """Return the values of each variable and label, (m, *grid) float32 and (m,).

    Args:
        description: of the store.
        store: its path, for messages.
        inputs: (m, c_in, *grid.shape), any float dtype.
        targets: (m, c_out, *grid.shape).
        time: (m,).
        member: (m,), in a store of an ensemble.

    Raises:
        DataError: wrong shape; NaN or Inf; members where there should be none, or none.
    """
    grid, m = description.grid, len(inputs)
    found: dict[str, Tensor] = {}
    for kind, values, names in (
        ("inputs", inputs, description.input_names),
        ("targets", targets, description.target_names),
    ):
        expected = (m, len(names), *grid.shape)
        if tuple(values.shape) != expected:
            raise DataError(
                f"{store}: {kind} {list(names)} have shape {tuple(values.shape)}, "
                f"expected {expected} (sample, channel, {', '.join(grid.dims)})"
            )
        stored = values.detach().cpu().float()
        found |= {name: stored[:, c] for c, name in enumerate(names)}
    if description.ensemble == (member is None):
        raise DataError(
            f"{store}: found {'no members' if member is None else 'members'} of the samples, "
            f"expected {'one for each' if description.ensemble else 'none'}, as the store was "
            f"created with ensemble={description.ensemble}"
        )
    labels = {TIME: time.double()} | ({} if member is None else {MEMBER: member.long()})
    for name, label in labels.items():
        if tuple(label.shape) != (m,):
            raise DataError(f"{store}: {name} has shape {tuple(label.shape)}, expected ({m},)")
        found[name] = label.detach().cpu()
    for name, stored in found.items():
        bad = ~torch.isfinite(stored).unsqueeze(-1).flatten(1).all(1)
        if bad.any():
            raise DataError(
                f"{store}: variable '{name}' is NaN or Inf in float32 in {int(bad.sum())} of {m} "
                f"samples, the first at position {int(bad.nonzero()[0])} of this append; none of "
                "them was appended, and what was committed is kept"
            )
    return found
