"""Closures behind the call that a network has too: (ψ̄, ω̄) → Π; their sums and limiters."""

from spectune.closures.backscatter_clipping import BackscatterClipping
from spectune.closures.dynamic_leith import DynamicLeith
from spectune.closures.dynamic_smagorinsky import DynamicSmagorinsky
from spectune.closures.gradient import GradientModel
from spectune.closures.leith import Leith
from spectune.closures.model import SubgridModel, WeightedSum
from spectune.closures.network import NetworkClosure
from spectune.closures.no_closure import NoClosure
from spectune.closures.smagorinsky import Smagorinsky
from spectune.closures.spectral_damping import SpectralDamping

__all__ = [
    "BackscatterClipping",
    "DynamicLeith",
    "DynamicSmagorinsky",
    "GradientModel",
    "Leith",
    "NetworkClosure",
    "NoClosure",
    "Smagorinsky",
    "SpectralDamping",
    "SubgridModel",
    "WeightedSum",
]
