"""Small pairs of noise on a box that is not square."""

import torch

from spectune.data import Pairs
from spectune.grid import Grid

GRID = Grid((8, 12), (1.0, 1.5), ("y", "x"))


def pairs_of(inputs, targets, grid=GRID):
    input_names, target_names = (
        tuple(f"{kind}{i}" for i in range(values.shape[1]))
        for kind, values in (("x", inputs), ("y", targets))
    )
    return Pairs(inputs, targets, grid, input_names, target_names)


def noise(n, channels=2, seed=0, grid=GRID):
    return torch.randn(n, channels, *grid.shape, generator=torch.Generator().manual_seed(seed))
