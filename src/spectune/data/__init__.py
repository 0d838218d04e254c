"""Pair datasets: grid, units and provenance; the store; readers of outside formats."""

from spectune.data._axes import SAMPLE_DIMS, grid_along
from spectune.data._channels import CHANNEL_DIMS
from spectune.data.checks import check_apart, check_pairs, check_same_grid
from spectune.data.fingerprint import fingerprint
from spectune.data.normalization import Normalization
from spectune.data.pairs import Pairs
from spectune.data.readers import open_pairs
from spectune.data.store import PairStore

__all__ = [
    "CHANNEL_DIMS",
    "SAMPLE_DIMS",
    "Normalization",
    "PairStore",
    "Pairs",
    "check_apart",
    "check_pairs",
    "check_same_grid",
    "fingerprint",
    "grid_along",
    "open_pairs",
]
