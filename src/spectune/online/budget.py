"""Where the energy and the enstrophy of a large-eddy simulation come from and go to."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from spectune.systems import NavierStokes2D
from spectune.systems.damping import damping_rate

__all__ = ["TERMS", "budget"]

TERMS: Final = ("input", "dissipation", "drag", "closure")


def budget(system: NavierStokes2D, omega: Tensor, pi: Tensor) -> dict[str, Tensor]:
    r"""Return the rates at which each term changes the resolved energy and enstrophy.

        d/dt ½⟨ψ̄ω̄⟩ = −⟨ψ̄f̄⟩ + ⟨ψ̄ D ω̄⟩ − r⟨ψ̄ω̄⟩ + ⟨ψ̄Π⟩
        d/dt ½⟨ω̄²⟩  = −⟨ω̄f̄⟩ + ⟨ω̄ D ω̄⟩ − r⟨ω̄²⟩ + ⟨ω̄Π⟩
                       input    dissipation   drag       closure

    with D = ν∇²ω̄ and hyperviscosity; drag holds hypoviscosity too. Advection and β change neither.
    The white-in-time part of a forcing is not of the state and is left out.

    Args:
        system: the flow on the LES grid.
        omega: ω̄ (nt, *grid).
        pi: Π (nt, *grid).

    Returns:
        By ``energy_<term>`` and ``enstrophy_<term>`` of `TERMS`, (nt,), float64.

    Source: Boffetta & Ecke 2012 (Annu. Rev. Fluid Mech. 44), eq. 5 and 6.
    """
    grid = system.grid
    state, term = (grid.transform(field.double()) * system.mask.double() for field in (omega, pi))
    given = system.parameters
    small = damping_rate(
        grid,
        reynolds=given["reynolds"],
        drag=0.0,
        hyperviscosity=given["hyperviscosity"],
        hyperviscosity_power=given["hyperviscosity_power"],
        hypoviscosity=0.0,
        hypoviscosity_power=given["hypoviscosity_power"],
    )
    large = -system.linear.real.double() - small
    rates = {
        "input": -system.forcing.to(state.dtype).expand(state.shape),
        "dissipation": -small * state,
        "drag": -large * state,
        "closure": term,
    }
    k2 = grid.squared_wavenumber()
    psi = torch.where(k2 > 0, state / k2.clamp(min=1e-30), 0)
    against = {"energy": grid.inverse(psi), "enstrophy": grid.inverse(state)}
    return {
        f"{name}_{rate}": (field * grid.inverse(values)).mean((-2, -1))
        for rate, values in rates.items()
        for name, field in against.items()
    }
