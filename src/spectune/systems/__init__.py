"""Systems of equations, time schemes, initial states and the direct simulation."""

from spectune.systems.initial import random_vorticity
from spectune.systems.navier_stokes import NavierStokes2D
from spectune.systems.simulation import Simulation, Snapshot
from spectune.systems.stepping import IntegratingFactorRK4

__all__ = ["IntegratingFactorRK4", "NavierStokes2D", "Simulation", "Snapshot", "random_vorticity"]
