"""Curvature of the loss layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.errors import LayerError
from spectune.landscape.eigen import dense_eigenpairs, leading_eigenpairs
from spectune.landscape.products import Curvature
from spectune.landscape.trace import deflated_trace

__all__ = ["BlockCurvature", "LayerCurvature", "layer_curvatures"]

# The samples are differentiated in this many parts, so that what a product needs beside the kept
# forward passes is small.
_PARTS = 2
# A gradient that can be differentiated takes about this many times the memory of a forward pass.
_GRADIENT = 3


@dataclass(frozen=True)
class BlockCurvature:
    """One symmetric matrix of a layer: its Hessian block, or its Gauss–Newton block.

    Attributes:
        values: (count,) leading eigenvalues λ, largest first, float64; fewer than asked for where
            the layer has fewer weights.
        vectors: (count, size) unit eigenvectors v in rows, float type of the model.
        residuals: (count,) ‖A v − λ v‖, float64.
        slopes: (count,) gᵀv, the derivative of the loss along each, float64.
        trace: of the block.
        trace_error: standard error of the trace; 0 where it is exact.
        converged: whether eigenpairs and trace met their tolerances.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    slopes: Tensor
    trace: float
    trace_error: float
    converged: bool


@dataclass(frozen=True)
class LayerCurvature:
    """Curvature of the loss in the parameters of one layer.

    Attributes:
        name: of the layer.
        size: number of real weights.
        loss: L, the same for all layers.
        gradient: (size,) g.
        hessian: of the Hessian block.
        gauss_newton: of the Gauss–Newton block; the same object where both matrices are the same.
    """

    name: str
    size: int
    loss: float
    gradient: Tensor
    hessian: BlockCurvature
    gauss_newton: BlockCurvature


def layer_curvatures(
    model: nn.Module,
    layers: Mapping[str, Sequence[str]],
    inputs: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    *,
    count: int = 2,
    tolerance: float = 1e-3,
    trace_tolerance: float = 0.02,
    max_iterations: int = 100,
    max_probes: int = 100,
    dense: int = 32,
    batch_size: int = 32,
) -> list[LayerCurvature]:
    """Return leading eigenpairs and trace of the Hessian and Gauss–Newton block of each layer.

        L = mean((f − y)²),    H_l = ∂²L/∂θ_l²,    G_l = (2/M) J_lᵀJ_l,    A v = λ v,    tr A

    What stands in front of a layer runs once. One forward pass serves all products of a layer, if
    the samples fit into one batch; one gradient serves all Hessian products, if three times as many
    would. Where f is affine in θ_l (one layer of a ReLU network), H_l is
    G_l: a product is one J v and one Jᵀu, and a probe of the trace one J v. The trace is deflated
    by the basis of the eigenpairs (`deflated_trace`).

    Args:
        model: any module from one tensor to one tensor; used in eval mode.
        layers: parameter names of each layer, or of any other group, by the name of the group.
        inputs: (n, c_in, ...).
        targets: (n, c_out, ...).
        generator: source of first vectors and probes, on the CPU.
        count: eigenpairs of each block.
        tolerance: residual of each eigenpair, relative to its eigenvalue.
        trace_tolerance: standard error of the trace, relative to it.
        max_iterations: most products for the eigenpairs of a block.
        max_probes: most probes for the trace of a block.
        dense: blocks of at most this many weights are formed whole: everything is exact.
        batch_size: bounds the memory to that of a training step with as many samples, and the
            Krylov basis: a vector of the layer's size for each product.

    Returns:
        One `LayerCurvature` for each entry of `layers`, in their order.

    Raises:
        LayerError: without layers, or if a name matches no parameter.
        DataError: if shapes do not fit, or the loss is not finite.

    Source: Yao et al. 2020 (IEEE Big Data, PyHessian) for the quantities; `Curvature`,
    `leading_eigenpairs` and `deflated_trace` for the methods.
    """
    if not layers:
        raise LayerError("layers: found none, expected at least one group of parameter names")
    wanted = _Wanted(count, tolerance, trace_tolerance, max_iterations, max_probes, dense)

    samples = min(len(inputs), batch_size)
    part = -(-samples // _PARTS)

    def layer(name: str, parameters: Sequence[str]) -> LayerCurvature:
        keep = len(inputs) <= batch_size
        curvature = Curvature(model, parameters, inputs, targets, batch_size=part, keep_graph=keep)
        gradient, loss = curvature.gradient(), curvature.loss()
        gauss_newton = _block(
            curvature.gauss_newton_product,
            curvature.gauss_newton_forms,
            gradient,
            generator,
            wanted,
        )
        hessian = gauss_newton
        if not curvature.second_derivative_vanishes(generator):
            keep = _GRADIENT * len(inputs) <= batch_size
            curvature = Curvature(
                model, parameters, inputs, targets, batch_size=part, keep_graph=keep
            )
            hessian = _block(
                curvature.hessian_product, curvature.hessian_forms, gradient, generator, wanted
            )
        return LayerCurvature(name, len(gradient), loss, gradient, hessian, gauss_newton)

    return [layer(name, parameters) for name, parameters in layers.items()]


@dataclass(frozen=True)
class _Wanted:
    count: int
    tolerance: float
    trace_tolerance: float
    max_iterations: int
    max_probes: int
    dense: int


def _block(
    product: Callable[[Tensor], Tensor],
    forms: Callable[[Callable[[], Tensor]], Tensor],
    gradient: Tensor,
    generator: torch.Generator,
    wanted: _Wanted,
) -> BlockCurvature:
    size = len(gradient)
    count, dtype, device = min(wanted.count, size), gradient.dtype, gradient.device
    if size <= wanted.dense:
        pairs = dense_eigenpairs(product, size, count=count, dtype=dtype, device=device)
    else:
        pairs = leading_eigenpairs(
            product,
            size,
            generator,
            count=count,
            tolerance=wanted.tolerance,
            max_iterations=wanted.max_iterations,
            dtype=dtype,
            device=device,
        )
    trace = deflated_trace(
        forms, pairs, generator, tolerance=wanted.trace_tolerance, max_probes=wanted.max_probes
    )
    return BlockCurvature(
        values=pairs.values,
        vectors=pairs.vectors,
        residuals=pairs.residuals,
        slopes=(pairs.vectors.double() @ gradient.double()).cpu(),
        trace=trace.value,
        trace_error=trace.standard_error,
        converged=pairs.converged
        and trace.standard_error <= wanted.trace_tolerance * abs(trace.value),
    )
