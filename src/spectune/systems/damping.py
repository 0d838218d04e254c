"""How fast each mode of a 2D flow decays."""

from __future__ import annotations

from torch import Tensor

from spectune.errors import CaseError
from spectune.grid import Grid

__all__ = ["damping_rate"]


def damping_rate(
    grid: Grid,
    *,
    reynolds: float,
    drag: float,
    hyperviscosity: float,
    hyperviscosity_power: int,
    hypoviscosity: float,
    hypoviscosity_power: int,
) -> Tensor:
    """Return the rate of viscosity, friction at the small and at the large scales, and drag.

        d(k) = k²/Re + ν_p k^2p + α k^(−2q) + r

    In ∂ω/∂t these are ν∇²ω, −ν_p (−∇²)^p ω, −α (−∇²)^(−q) ω and −rω: all of them decay, whether
    p and q are even or odd.

    Args:
        grid: doubly periodic grid of length 2π.
        reynolds: Re; infinite for no viscosity.
        drag: r (1/T).
        hyperviscosity: ν_p (L^2p/T).
        hyperviscosity_power: p, 2 or more.
        hypoviscosity: α (1/(L^2q T)).
        hypoviscosity_power: q, 1 or more.

    Returns:
        d (*grid.half_shape), float64. The mean of a vorticity is zero; its rate is finite and has
        no meaning.

    Raises:
        CaseError: a number is out of its range.

    Source: Boffetta & Ecke 2012 (Annu. Rev. Fluid Mech. 44), section 2.
    """
    if not reynolds > 0:
        raise CaseError(f"expected a Reynolds number Re > 0, found {reynolds}")
    for name, coefficient in (("hyperviscosity", hyperviscosity), ("hypoviscosity", hypoviscosity)):
        if not coefficient >= 0:
            raise CaseError(f"expected a {name} of 0 or more, found {coefficient}")
    if hyperviscosity_power not in range(2, 33):
        raise CaseError(
            f"expected a power of the hyperviscosity from 2 to 32, found {hyperviscosity_power}; "
            "1 is viscosity"
        )
    if hypoviscosity_power not in range(1, 33):
        raise CaseError(
            f"expected a power of the hypoviscosity from 1 to 32, found {hypoviscosity_power}; "
            "0 is drag"
        )
    k2 = grid.squared_wavenumber()
    k2[0, 0] = 1.0  # the mean needs a finite rate
    rate = k2 / reynolds + drag
    rate += hyperviscosity * k2**hyperviscosity_power
    rate += hypoviscosity / k2**hypoviscosity_power
    return rate
