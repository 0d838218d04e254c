"""Curvature of the loss seen from chosen layers: linear maps, products, traces, eigenpairs."""

from spectune.landscape.eigen import Eigenpairs, Ordering, leading_eigenpairs
from spectune.landscape.linear import LayerMap, linearize
from spectune.landscape.products import Curvature
from spectune.landscape.trace import TraceEstimate, hutchinson_trace
from spectune.landscape.whitening import Preconditioner, input_whitening

__all__ = [
    "Curvature",
    "Eigenpairs",
    "LayerMap",
    "Ordering",
    "Preconditioner",
    "TraceEstimate",
    "hutchinson_trace",
    "input_whitening",
    "leading_eigenpairs",
    "linearize",
]
