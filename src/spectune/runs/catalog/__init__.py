"""Every system that can be simulated, with its parameters, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from spectune.errors import CaseError
from spectune.runs.catalog.burgers import BurgersParameters
from spectune.runs.catalog.kuramoto_sivashinsky import KuramotoSivashinskyParameters
from spectune.runs.catalog.lorenz96 import Lorenz96Parameters
from spectune.runs.catalog.navier_stokes import NavierStokesParameters
from spectune.runs.catalog.parameters import (
    Coordinate,
    Redraw,
    Setup,
    SystemParameters,
    Variable,
)
from spectune.runs.catalog.quasi_geostrophic import TwoLayerQGParameters
from spectune.validation import problems

__all__ = [
    "SYSTEMS",
    "Coordinate",
    "Redraw",
    "Setup",
    "SystemParameters",
    "Variable",
    "system_parameters",
]

SYSTEMS: Mapping[str, type[SystemParameters]] = MappingProxyType(
    {
        system.name: system
        for system in (
            NavierStokesParameters,
            TwoLayerQGParameters,
            BurgersParameters,
            KuramotoSivashinskyParameters,
            Lorenz96Parameters,
        )
    }
)
"""The parameters of every system by its name."""


def system_parameters(system: str, /, **given: Any) -> SystemParameters:
    """Return the parameters of a system: those given, and defaults for the others.

    Args:
        system: its name in `SYSTEMS`.
        given: parameters by name.

    Raises:
        CaseError: no such system or parameter, or an impossible value; every problem is listed.
    """
    if system not in SYSTEMS:
        raise CaseError(
            f"there is no system '{system}'{_meant(system, SYSTEMS)}; expected one of "
            f"{', '.join(SYSTEMS)} (`spectune simulate --list` shows their parameters)"
        )
    kind = SYSTEMS[system]
    unknown = [name for name in given if name not in kind.model_fields]
    if unknown:
        name = unknown[0]
        raise CaseError(
            f"{system} has no parameter '{name}'{_meant(name, kind.model_fields)}; expected some "
            f"of {', '.join(kind.model_fields)}"
        )
    try:
        return kind(**given)
    except ValidationError as error:
        raise CaseError(f"{system} cannot be simulated:\n" + problems(error)) from error


def _meant(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
