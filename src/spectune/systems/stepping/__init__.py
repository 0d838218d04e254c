"""Time schemes for semi-linear systems ∂x̂/∂t = L x̂ + N(x̂) with diagonal L, one a file."""

from spectune.systems.stepping.adams_bashforth import AdamsBashforth2CrankNicolson
from spectune.systems.stepping.exponential import ETDRK4
from spectune.systems.stepping.imex import ARS343
from spectune.systems.stepping.integrating_factor import IntegratingFactorRK4
from spectune.systems.stepping.scheme import OneStep, SchemeFactory, TimeScheme

__all__ = [
    "ARS343",
    "ETDRK4",
    "SCHEMES",
    "AdamsBashforth2CrankNicolson",
    "IntegratingFactorRK4",
    "OneStep",
    "SchemeFactory",
    "TimeScheme",
]

SCHEMES: dict[str, SchemeFactory] = {
    scheme.name: scheme
    for scheme in (IntegratingFactorRK4, ETDRK4, ARS343, AdamsBashforth2CrankNicolson)
}
"""Every scheme by its name."""
