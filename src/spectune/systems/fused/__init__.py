"""Steps of Navier–Stokes flow at the speed of their Fourier transforms, on CPUs."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from spectune.systems.navier_stokes import NavierStokes2D
from spectune.systems.stepping import IntegratingFactorRK4, TimeScheme
from spectune.systems.system import System

if TYPE_CHECKING:
    from spectune.systems.fused.stepper import FusedRK4

__all__ = ["fused_rk4"]


def fused_rk4(system: System, scheme: TimeScheme) -> FusedRK4 | None:
    """Return a fused stepper that does what the scheme would do with the system, if there is one.

    There is for `IntegratingFactorRK4` of a `NavierStokes2D` on a CPU whose products are free of
    aliasing, where Numba and a pyFFTW with a shared FFTW are installed (``pip install
    spectune[fast]`` on Linux or macOS). Not for their subclasses, whose equations or steps may be
    others.
    """
    if (
        type(scheme) is not IntegratingFactorRK4
        or type(system) is not NavierStokes2D
        or system.device.type != "cpu"
        or system.dealiasing == "none"
        or not _installed()
    ):
        return None
    from spectune.systems.fused.stepper import FusedRK4

    return FusedRK4(system, scheme)


@cache
def _installed() -> bool:
    if os.name != "posix" or not all(map(find_spec, ("numba", "pyfftw", "platformdirs"))):
        return False
    from spectune.systems.fused import plans

    return hasattr(plans.FFTW, "fftwf_plan_many_dft")
