"""Filters, coarse-graining and the exact subgrid term."""

from spectune.coarse.filters import Filter, box_filter, gaussian_filter, sharp_filter
from spectune.coarse.subgrid import CoarseGraining

__all__ = ["CoarseGraining", "Filter", "box_filter", "gaussian_filter", "sharp_filter"]
