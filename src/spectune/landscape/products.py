"""Curvature of the loss in chosen parameters, as matrix–vector products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from spectune.errors import DataError
from spectune.landscape.linear import Batch, LayerMap, gradients, linearize

__all__ = ["Curvature"]

_Gradient = tuple[list[Tensor], list[Tensor]]


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
        keep_graph: keep forward passes, and gradients where H v is asked for, for all products.
            For the memory see `linearize`; the kept gradients take as much again.

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
        keep_graph: bool = False,
    ) -> None:
        self.map: LayerMap = linearize(
            model, parameters, inputs, batch_size=batch_size, keep_graph=keep_graph
        )
        if self.map.output.shape != targets.shape:
            raise DataError(
                f"targets: found shape {tuple(targets.shape)}, "
                f"expected that of the model's output, {tuple(self.map.output.shape)}"
            )
        self._targets = self.map.function.prepare(targets)
        self._keep_graph = keep_graph
        self._kept: list[_Gradient] = []
        self.size = self.map.function.size
        self.dtype = self.map.function.dtype
        self.device = self.map.function.device

    def loss(self) -> float:
        """Return L = mean((f − y)²)."""
        return float((self.map.output - self._targets).to(torch.float64).square().mean())

    def loss_at(self, vector: Tensor) -> float:
        """Return L(θ + v), of the network itself.

        Args:
            vector: (size,) change of θ.
        """
        f = self.map.function
        moved = {name: f.point[name] + part for name, part in f.unflatten(vector).items()}
        total = 0.0
        with f.evaluation(), torch.no_grad():
            for batch in self.map.batches:
                error = f.chain(moved, batch.features) - self._targets[batch.rows]
                total += float(error.to(torch.float64).square().sum())
        return total / self._targets.numel()

    def gradient(self) -> Tensor:
        """Return g = (2/M) Jᵀ(f − y), (size,)."""
        residual = self.map.output - self._targets
        return self.map.flatten(self.map.vjp(residual * (2 / residual.numel())))

    def gauss_newton_product(self, vector: Tensor) -> Tensor:
        """Return G v = (2/M) Jᵀ(J v), (size,)."""
        change = self.map.jvp(self.map.unflatten(vector))
        return self.map.flatten(self.map.vjp(change * (2 / change.numel())))

    def gauss_newton_forms(self, draw: Callable[[], Tensor]) -> Tensor:
        """Return v_sᵀG_s v_s, (n,) float64, of each sample with a vector of its own; G = Σ_s G_s.

        Each is (2/M) ‖J_s v_s‖², for half the cost of a product. For random v_s their sum varies
        much less than vᵀG v: errors of samples are independent.

        Args:
            draw: called for a vector (size,) of each sample.
        """
        squares = [change.double().square().sum().cpu() for change in self.map.jvp_of_each(draw)]
        return torch.stack(squares) * (2 / self._targets.numel())

    def hessian_product(self, vector: Tensor) -> Tensor:
        """Return H v = ∂/∂θ ⟨g(θ), v⟩, (size,)."""
        total = torch.zeros(self.size, dtype=self.dtype, device=self.device)
        with self.map.function.evaluation():
            for gradient in self._gradients():
                total += self._differentiate(gradient, vector, keep=self._keep_graph)
        return total

    def hessian_forms(self, draw: Callable[[], Tensor]) -> Tensor:
        """Return v_sᵀH_s v_s, (n,) float64, as `gauss_newton_forms`."""
        found = []
        with self.map.function.evaluation():
            for batch in self.map.batches:
                for sample in self.map.samples(batch):
                    vector = draw()
                    product = self._differentiate(self._gradient(sample), vector, keep=False)
                    found.append((vector.double() @ product.double()).cpu())
        return torch.stack(found)

    def second_derivative_vanishes(self, generator: torch.Generator) -> bool:
        """Return whether f is affine in θ here, so that H = G.

            ∂/∂θ ⟨∂⟨u, f⟩/∂θ, v⟩ = 0 exactly,      u, v random

        For a network with a second derivative this has probability zero, whatever it is made of.
        Piecewise linear networks give exact zeros, no rounding. One sample is looked at, all of
        whose grid points and channels would have to lie on linear pieces by chance.

        Args:
            generator: source of u and v, on the CPU.
        """
        f, features = self.map.function, self.map.batches[0].features[:1]
        with f.evaluation(), torch.enable_grad():
            parameters = {name: at.clone().requires_grad_() for name, at in f.point.items()}
            output = f.chain(parameters, features)
            leaves = list(parameters.values())
            first = gradients(output, leaves, _normal_like(output, generator), create_graph=True)
            first = [part for part in first if part.requires_grad]
            second = gradients(first, leaves, [_normal_like(part, generator) for part in first])
        return not any(bool(part.any()) for part in second)

    def _gradients(self) -> Iterator[_Gradient]:
        """Yield θ and g(θ), with its graph, of each batch."""
        if self._kept:
            yield from self._kept
            return
        for batch in self.map.batches:
            gradient = self._gradient(batch)
            if self._keep_graph:
                self._kept.append(gradient)
            yield gradient

    def _differentiate(self, gradient: _Gradient, vector: Tensor, *, keep: bool) -> Tensor:
        """Return ∂/∂θ ⟨g(θ), v⟩ of the samples behind a gradient."""
        parameters, values = gradient
        f = self.map.function
        delta = f.unflatten(vector).values()
        # Parameters that the output ignores have a gradient without a graph.
        pairs = [(g, d) for g, d in zip(values, delta, strict=True) if g.requires_grad]
        parts = gradients(
            [g for g, _ in pairs], parameters, [d for _, d in pairs], retain_graph=keep
        )
        return f.flatten(dict(zip(f.point, parts, strict=True)))

    def _gradient(self, batch: Batch) -> _Gradient:
        graph = self.map.graph(batch)
        with torch.enable_grad():
            residual = graph.output - self._targets[batch.rows]
            loss = residual.square().sum() / self._targets.numel()
            weight = torch.ones_like(loss)
            return graph.parameters, gradients(loss, graph.parameters, weight, create_graph=True)


def _normal_like(values: Tensor, generator: torch.Generator) -> Tensor:
    real = torch.view_as_real(values.detach()) if values.is_complex() else values
    noise = torch.randn(real.shape, generator=generator, dtype=real.dtype).to(values.device)
    return torch.view_as_complex(noise) if values.is_complex() else noise
