"""Physics closures behind the call that a network has too: (ψ̄, ω̄) → Π."""

from spectune.closures.smagorinsky import Smagorinsky

__all__ = ["Smagorinsky"]
