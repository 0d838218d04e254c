"""Random numbers of a member, whoever runs beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["draw_members"]


def draw_members(
    draw: Callable[[torch.Generator], Tensor], *, seed: int, members: range, index: int = 0
) -> Tensor:
    """Return one independent draw for each member, (members, *draw).

    The draw of a member is a function of `seed`, its number and `index` alone, so that it does not
    depend on how many members there are, which of them run together, or where a run went on.

    Args:
        draw: takes a generator.
        seed: of the run.
        members: numbers of the members.
        index: which draw: 0 for the initial state, then one by one.

    Source: numpy's SeedSequence (O'Neill 2015) makes streams of neighbouring numbers independent.
    """
    draws = []
    for member in members:
        entropy = np.random.SeedSequence(seed, spawn_key=(member, index))
        generator = torch.Generator().manual_seed(int(entropy.generate_state(1, np.uint64)[0]))
        draws.append(draw(generator))
    return torch.stack(draws)
