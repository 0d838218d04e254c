"""Which layers to re-train: criteria, the advisor, and the verification by exhaustive sweep."""

from spectune.advice.advisor import advise
from spectune.advice.result import Advice, LayerAdvice
from spectune.advice.verify import (
    ALL_LAYERS,
    Retrained,
    Sweep,
    compare,
    load_retrained,
    verify,
)

__all__ = [
    "ALL_LAYERS",
    "Advice",
    "LayerAdvice",
    "Retrained",
    "Sweep",
    "advise",
    "compare",
    "load_retrained",
    "verify",
]
