"""The steady forcings of 2D turbulence."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.errors import CaseError
from spectune.grid import Grid

__all__ = ["cosine_forcing"]


def cosine_forcing(
    grid: Grid, *, wavenumber: int, directions: str, amplitude: float, cutoff: int
) -> Tensor:
    """Return f̂ of the steady forcing that `NavierStokes2D` has on its right-hand side as −f.

        f = χ k_f [cos(k_f x) + cos(k_f y)],      |f̂(±k_f, 0)| = |f̂(0, ±k_f)| = χ k_f/2

    −f is the curl of the body force χ sin(k_f y) along x and −χ sin(k_f x) along y, so that χ is an
    acceleration. One direction alone, ``"y"``, is the forcing of Kolmogorov flow, χ sin(k_f y)
    along x, in the usual convention: its laminar flow is u = χ sin(k_f y)/(νk_f² + r).

    The coefficients are set, not transformed from a field: a k_f beyond the grid cannot pass for
    another wavenumber.

    Args:
        grid: doubly periodic grid of length 2π.
        wavenumber: k_f; 0 for no forcing.
        directions: ``"x"``, ``"y"`` or ``"xy"``, those in which f varies.
        amplitude: χ (L/T²).
        cutoff: largest evolved mode number.

    Returns:
        f̂ (*grid.half_shape), complex128.

    Raises:
        CaseError: the wavenumber is not one of the evolved modes, or the directions are unknown.

    Source: Subel et al. 2023 (PNAS Nexus 2(3)), eq. 1, with χ = 1; Chandler & Kerswell 2013 (J.
    Fluid Mech. 722) for Kolmogorov flow, in whose units χ = 1.
    """
    k = wavenumber
    if directions not in ("x", "y", "xy"):
        raise CaseError(f"expected forcing directions 'x', 'y' or 'xy', found {directions!r}")
    if k not in range(cutoff + 1):
        raise CaseError(
            f"the forcing wavenumber is {k!r}, but {grid.shape[0]} points evolve the modes "
            f"0 … {cutoff}: give an integer in this range (0 for no forcing), or more points"
        )
    forcing = torch.zeros(grid.half_shape, dtype=torch.complex128)
    if k:
        if "x" in directions:
            forcing[0, k] = amplitude * k / 2
        if "y" in directions:
            forcing[[k, -k], 0] = amplitude * k / 2
    return forcing
