"""Curvature of the loss seen from chosen layers: linear maps, products, traces, eigenpairs."""

from spectune.landscape.eigen import Eigenpairs, Ordering, dense_eigenpairs, leading_eigenpairs
from spectune.landscape.layers import BlockCurvature, LayerCurvature, layer_curvatures
from spectune.landscape.linear import LayerMap, linearize
from spectune.landscape.products import Curvature
from spectune.landscape.trace import TraceEstimate, deflated_trace, hutchinson_trace

__all__ = [
    "BlockCurvature",
    "Curvature",
    "Eigenpairs",
    "LayerCurvature",
    "LayerMap",
    "Ordering",
    "TraceEstimate",
    "deflated_trace",
    "dense_eigenpairs",
    "hutchinson_trace",
    "layer_curvatures",
    "leading_eigenpairs",
    "linearize",
]
