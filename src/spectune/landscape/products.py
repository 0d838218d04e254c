"""Curvature of the loss in chosen parameters, as matrix–vector products."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spectune.errors import DataError
from spectune.landscape._model_function import ModelFunction
from spectune.landscape.linear import LayerMap, linearize

__all__ = ["Curvature"]


class Curvature:
    """Loss, gradient, Hessian and Gauss–Newton products of a block of parameters.

        L(θ) = (1/M) Σ (f(x; θ) − y)²,      g = (2/M) Jᵀ(f − y)
        H = (2/M) [JᵀJ + Σ_m (f − y)_m ∇²f_m],      G = (2/M) JᵀJ

    with the sum over all M entries: samples, channels and grid points. There is no factor ½; L is
    `torch.nn.functional.mse_loss`. Matrices are never formed. For a piecewise linear network
    (ReLU) and the weights of one layer, H = G almost everywhere.

    All vectors are flat, (size,), in the dtype and on the device of the model.

    Args:
        model: any module that maps one tensor to one tensor; used in eval mode.
        parameters: names as in ``model.named_parameters()``.
        inputs: (n, c_in, ...).
        targets: (n, c_out, ...), of the shape of the model's output.
        batch_size: samples differentiated at a time; bounds the memory, changes no result but by
            rounding.

    Raises:
        LayerError: if a name matches no parameter.
        DataError: if the targets do not have the shape of the output.

    Source: Pearlmutter, Neural Comput. 6 (1994), for H v; Schraudolph, Neural Comput. 14 (2002),
    for G v.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: Sequence[str],
        inputs: Tensor,
        targets: Tensor,
        *,
        batch_size: int = 32,
    ) -> None:
        self._function = ModelFunction(model, parameters)
        self._inputs = inputs
        self._batch_size = batch_size
        self.map: LayerMap = linearize(model, parameters, inputs, batch_size=batch_size)
        if self.map.output.shape != targets.shape:
            raise DataError(
                f"targets: found shape {tuple(targets.shape)}, "
                f"expected that of the model's output, {tuple(self.map.output.shape)}"
            )
        self._targets = self._function.prepare(targets)
        self.size = self._function.size
        self.dtype = self._function.dtype
        self.device = self._function.device

    def loss(self) -> float:
        """Return L = mean((f − y)²)."""
        return float((self.map.output - self._targets).to(torch.float64).square().mean())

    def gradient(self) -> Tensor:
        """Return g = (2/M) Jᵀ(f − y), (size,)."""
        residual = self.map.output - self._targets
        return self.map.flatten(self.map.vjp(residual * (2 / residual.numel())))

    def gauss_newton_product(self, vector: Tensor) -> Tensor:
        """Return G v = (2/M) Jᵀ(J v), (size,)."""
        change = self.map.jvp(self.map.unflatten(vector))
        return self.map.flatten(self.map.vjp(change * (2 / change.numel())))

    def hessian_product(self, vector: Tensor) -> Tensor:
        """Return H v = ∂/∂θ ⟨g(θ), v⟩, (size,)."""
        f = self._function
        delta = f.unflatten(vector)
        total = {name: torch.zeros_like(at) for name, at in f.point.items()}
        with f.evaluation(), torch.enable_grad():
            for start in range(0, len(self._inputs), self._batch_size):
                rows = slice(start, start + self._batch_size)
                parameters = {name: at.clone().requires_grad_() for name, at in f.point.items()}
                output = f(parameters, f.prepare(self._inputs[rows]))
                if not output.requires_grad:
                    continue
                loss = (output - self._targets[rows]).square().sum() / self._targets.numel()
                gradient = torch.autograd.grad(
                    loss,
                    list(parameters.values()),
                    create_graph=True,
                    allow_unused=True,
                    materialize_grads=True,
                )
                # Parameters that the output ignores have a gradient without a graph.
                pairs = [
                    (g, d) for g, d in zip(gradient, delta.values(), strict=True) if g.requires_grad
                ]
                parts = torch.autograd.grad(
                    [g for g, _ in pairs],
                    list(parameters.values()),
                    [d for _, d in pairs],
                    allow_unused=True,
                    materialize_grads=True,
                )
                for name, part in zip(total, parts, strict=True):
                    total[name] += part
        return f.flatten(total)
