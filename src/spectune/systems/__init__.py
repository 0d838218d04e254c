"""Systems of equations, time schemes, initial states and the direct simulation."""

from spectune.systems.burgers import Burgers1D, random_forcing
from spectune.systems.controlled import ControlledSimulation
from spectune.systems.initial import random_vorticity
from spectune.systems.kuramoto_sivashinsky import KuramotoSivashinsky1D
from spectune.systems.lorenz96 import Lorenz96
from spectune.systems.navier_stokes import NavierStokes2D
from spectune.systems.quasi_geostrophic import (
    EDDY,
    JET,
    TwoLayerQG,
    random_potential_vorticity,
)
from spectune.systems.ring_forcing import RingForcing
from spectune.systems.simulation import Simulation, Snapshot
from spectune.systems.stepping import (
    ARS343,
    ETDRK4,
    SCHEMES,
    AdamsBashforth2CrankNicolson,
    IntegratingFactorRK4,
    SchemeFactory,
    TimeScheme,
)
from spectune.systems.system import Noise, Stochastic, System

__all__ = [
    "ARS343",
    "EDDY",
    "ETDRK4",
    "JET",
    "SCHEMES",
    "AdamsBashforth2CrankNicolson",
    "Burgers1D",
    "ControlledSimulation",
    "IntegratingFactorRK4",
    "KuramotoSivashinsky1D",
    "Lorenz96",
    "NavierStokes2D",
    "Noise",
    "RingForcing",
    "SchemeFactory",
    "Simulation",
    "Snapshot",
    "Stochastic",
    "System",
    "TimeScheme",
    "TwoLayerQG",
    "random_forcing",
    "random_potential_vorticity",
    "random_vorticity",
]
