"""States of the large-eddy simulation that tests of closures and of the LES start from."""

import torch

from spectune.grid import Grid
from spectune.systems import NavierStokes2D, random_vorticity

GRID = Grid.square(32)


def turbulence(grid=GRID, **changes):
    """A forced flow on the LES grid."""
    options = {"reynolds": 100.0, "forcing_wavenumber": 3, "drag": 0.1, "dealiasing": "3/2"}
    return NavierStokes2D(grid, **options | changes)


def vorticity(grid=GRID, seed=0, peak=4.0):
    generator = torch.Generator().manual_seed(seed)
    return random_vorticity(grid, peak=peak, generator=generator)


def inputs(omega, grid=GRID):
    """(ψ, ω) of one vorticity."""
    psi = grid.transform(omega) / grid.squared_wavenumber().clamp(min=1e-30)
    psi[0, 0] = 0
    return torch.stack((grid.inverse(psi), omega))[None]
