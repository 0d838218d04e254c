"""Filters, coarse-graining and the exact subgrid terms."""

from spectune.coarse.filters import Filter, box_filter, gaussian_filter, sharp_filter
from spectune.coarse.lorenz96 import Lorenz96CoarseGraining
from spectune.coarse.one_dimensional import OneDimensionalCoarseGraining
from spectune.coarse.quasi_geostrophic import QuasiGeostrophicCoarseGraining
from spectune.coarse.subgrid import CoarseGraining

__all__ = [
    "CoarseGraining",
    "Filter",
    "Lorenz96CoarseGraining",
    "OneDimensionalCoarseGraining",
    "QuasiGeostrophicCoarseGraining",
    "box_filter",
    "gaussian_filter",
    "sharp_filter",
]
