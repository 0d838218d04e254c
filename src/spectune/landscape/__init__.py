"""Curvature of the loss seen from chosen layers: linear maps, products, traces, eigenpairs."""

from spectune.landscape.eigen import Eigenpairs, Ordering, leading_eigenpairs
from spectune.landscape.linear import LayerMap, linearize
from spectune.landscape.products import Curvature
from spectune.landscape.trace import TraceEstimate, hutchinson_trace

__all__ = [
    "Curvature",
    "Eigenpairs",
    "LayerMap",
    "Ordering",
    "TraceEstimate",
    "hutchinson_trace",
    "leading_eigenpairs",
    "linearize",
]
