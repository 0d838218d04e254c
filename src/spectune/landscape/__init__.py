"""Curvature of the loss seen from chosen layers: products, traces, eigenpairs, slices."""

from spectune.landscape.convexity import Convexity, convexity
from spectune.landscape.eigen import Eigenpairs, Ordering, dense_eigenpairs, leading_eigenpairs
from spectune.landscape.layers import BlockCurvature, LayerCurvature, layer_curvatures
from spectune.landscape.linear import LayerMap, linearize
from spectune.landscape.products import Curvature
from spectune.landscape.slices import LandscapeSlice, landscape_slice
from spectune.landscape.trace import TraceEstimate, deflated_trace, hutchinson_trace
from spectune.landscape.whitening import Preconditioner, input_whitening

__all__ = [
    "BlockCurvature",
    "Convexity",
    "Curvature",
    "Eigenpairs",
    "LandscapeSlice",
    "LayerCurvature",
    "LayerMap",
    "Ordering",
    "Preconditioner",
    "TraceEstimate",
    "convexity",
    "deflated_trace",
    "dense_eigenpairs",
    "hutchinson_trace",
    "input_whitening",
    "landscape_slice",
    "layer_curvatures",
    "leading_eigenpairs",
    "linearize",
]
