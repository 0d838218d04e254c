"""Pair datasets: grid, units and provenance; the store; readers of outside formats."""

from spectune.data.normalization import Normalization
from spectune.data.pairs import Pairs

__all__ = ["Normalization", "Pairs"]
