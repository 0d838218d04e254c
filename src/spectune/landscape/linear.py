"""A network linearised in the parameters of a layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.errors import DataError
from spectune.landscape._chain import Trail, cut
from spectune.landscape._model_function import ModelFunction

__all__ = ["Batch", "Graph", "LayerMap", "gradients", "linearize"]


@dataclass(frozen=True)
class Graph:
    """A forward pass that is kept for differentiation: θ, f(θ) and what forward mode needs."""

    parameters: list[Tensor]
    output: Tensor
    trail: Trail


@dataclass
class Batch:
    """A slice of the samples, with what the products share.

    Attributes:
        features: (m, c, ...) what the first module that moves is given.
        rows: which samples these are.
        graph: the forward pass, where it is kept.
        trail: what forward mode needs of it, where only that is kept.
    """

    features: Tensor
    rows: slice
    graph: Graph | None = None
    trail: Trail | None = None


class LayerMap:
    """The Jacobian J = ∂f(x; θ)/∂θ of a network output, as two products.

        f(x; θ + δ) ≈ f(x; θ) + J δ,        ⟨r, J δ⟩ = ⟨Jᵀ r, δ⟩

    with plain sums over all entries in ⟨·,·⟩. J itself is never formed. Products use forward-mode
    differentiation for J δ and reverse mode for Jᵀ r; where an operation of the model has no
    forward mode, J δ comes from differentiating Jᵀ u with respect to u. Of a sequential model, the
    modules in front of the first that moves run once.

    Attributes:
        function: the model as a function of θ.
        batches: the samples, in slices.
        output: (n, c, ...) f(x; θ), on the device and in the dtype of the model.
        size: number of real unknowns in θ.
    """

    def __init__(
        self,
        function: ModelFunction,
        inputs: Tensor,
        batch_size: int,
        keep_graph: bool,
    ) -> None:
        if len(inputs) == 0:
            raise DataError("inputs: found no samples, expected at least one")
        self.function = function
        self._keep_graph = keep_graph
        self._forward_mode = True
        self.batches: list[Batch] = []
        outputs = []
        with function.evaluation():
            for start in range(0, len(inputs), batch_size):
                rows = slice(start, start + batch_size)
                with torch.no_grad():
                    features = function.chain.prefix(function.prepare(inputs[rows]))
                self.batches.append(Batch(features, rows))
                outputs.append(self._forward(self.batches[-1]))
        self.output = torch.cat(outputs)
        self.size = function.size

    def jvp(self, delta: Mapping[str, Tensor]) -> Tensor:
        """Return J δ.

        Args:
            delta: change of each named parameter, of the parameter's shape.

        Returns:
            (n, c, ...), as `output`.

        Raises:
            DataError, LayerError: if names or shapes are not those of the parameters.
        """
        self.function.flatten(delta)  # checks names and shapes
        tangent = {
            name: delta[name].to(device=at.device, dtype=at.dtype)
            for name, at in self.function.point.items()
        }
        with self.function.evaluation():
            return torch.cat([self._push(batch, tangent) for batch in self.batches])

    def jvp_of_each(self, draw: Callable[[], Tensor]) -> Iterator[Tensor]:
        """Yield J_s δ_s, (1, c, ...), sample by sample, each with a vector δ_s (size,) of its own.

        Args:
            draw: called once for each sample.
        """
        with self.function.evaluation():
            for batch in self.batches:
                for sample in self.samples(batch):
                    tangent = self.function.unflatten(draw())
                    yield self._push(sample, tangent)

    def vjp(self, residual: Tensor) -> dict[str, Tensor]:
        """Return Jᵀ r.

        Args:
            residual: (n, c, ...), the shape of `output`.

        Returns:
            One tensor of each named parameter's shape.

        Raises:
            DataError: if the shape is not that of `output`.
        """
        if residual.shape != self.output.shape:
            raise DataError(
                f"residual: found shape {tuple(residual.shape)}, "
                f"expected that of the output, {tuple(self.output.shape)}"
            )
        residual = residual.to(device=self.output.device, dtype=self.output.dtype)
        total = {name: torch.zeros_like(at) for name, at in self.function.point.items()}
        with self.function.evaluation():
            for batch in self.batches:
                for name, part in zip(total, self._pull(batch, residual[batch.rows]), strict=True):
                    total[name] += part
        return total

    def flatten(self, delta: Mapping[str, Tensor]) -> Tensor:
        """Return the (size,) real vector of a change of the parameters."""
        return self.function.flatten(delta)

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the change of the parameters that a (size,) real vector stands for."""
        return self.function.unflatten(vector)

    def graph(self, batch: Batch) -> Graph:
        """Return the forward pass of a batch, from leaves that stand for θ."""
        if batch.graph is not None:
            return batch.graph
        f = self.function
        with torch.enable_grad():
            parameters = {name: at.clone().requires_grad_() for name, at in f.point.items()}
            graph = Graph(list(parameters.values()), *f.chain.walk(parameters, batch.features))
        if self._keep_graph:
            batch.graph = graph
        return graph

    def samples(self, batch: Batch) -> Iterator[Batch]:
        """Yield each sample of a batch as a batch; a kept trail is cut, not walked again."""
        for row in range(len(batch.features)):
            first = batch.rows.start + row
            trail = (
                None if batch.graph is None else cut(batch.graph.trail, row, len(batch.features))
            )
            yield Batch(batch.features[row : row + 1], slice(first, first + 1), trail=trail)

    def _forward(self, batch: Batch) -> Tensor:
        if self._keep_graph:  # the products need it anyway
            return self.graph(batch).output.detach()
        with torch.no_grad():
            return self.function.chain(self.function.point, batch.features)

    def _push(self, batch: Batch, tangent: dict[str, Tensor]) -> Tensor:
        if self._forward_mode:
            try:
                return self._push_forward(batch, tangent)
            except RuntimeError as error:
                if "forward" not in str(error).lower():
                    raise
                warnings.warn(
                    "an operation of the model has no forward-mode derivative; "
                    "J δ is computed by differentiating twice, which is slower",
                    stacklevel=4,
                )
                self._forward_mode = False
        return self._push_by_transpose(batch, tangent)

    def _push_forward(self, batch: Batch, tangent: dict[str, Tensor]) -> Tensor:
        f = self.function
        with torch.no_grad():
            trail = batch.graph.trail if batch.graph else batch.trail
            if trail is None:
                _, trail = f.chain.walk(f.point, batch.features)
            change = f.chain.push(f.point, tangent, trail)
        return torch.zeros_like(self.output[batch.rows]) if change is None else change

    def _push_by_transpose(self, batch: Batch, tangent: dict[str, Tensor]) -> Tensor:
        # u ↦ Jᵀu is linear, so its own transposed product at any u is J δ.
        graph = self.graph(batch)
        with torch.enable_grad():
            u = torch.zeros_like(graph.output, requires_grad=True)
            pulled = gradients(graph.output, graph.parameters, u, create_graph=True)
            pairs = [
                (p, t) for p, t in zip(pulled, tangent.values(), strict=True) if p.requires_grad
            ]
            (change,) = gradients([p for p, _ in pairs], [u], [t for _, t in pairs])
        return change

    def _pull(self, batch: Batch, residual: Tensor) -> list[Tensor]:
        graph = self.graph(batch)
        return gradients(
            graph.output, graph.parameters, residual, retain_graph=batch.graph is not None
        )


def linearize(
    model: nn.Module,
    parameters: Sequence[str],
    inputs: Tensor,
    *,
    batch_size: int = 32,
    keep_graph: bool = False,
) -> LayerMap:
    """Return the linear map δ ↦ J δ of a model in some of its parameters.

        J = ∂f(x; θ)/∂θ at the model's present weights

    Args:
        model: any module that maps one tensor to one tensor; used in eval mode, so that buffers
            such as batch statistics are constants. Its modes and weights are left as they are.
        parameters: names as in ``model.named_parameters()``.
        inputs: (n, c_in, ...); moved to the device and dtype of the parameters in batches.
        batch_size: samples differentiated at a time; bounds the memory.
        keep_graph: keep the forward pass for all products. Saves half of the time of each pair of
            products, for the memory of all activations from the layer onwards: at most that of a
            training step on all inputs at once.

    Returns:
        A `LayerMap`.

    Raises:
        LayerError: if a name matches no parameter.
        DataError: without inputs, or if the model does not return one tensor.
    """
    return LayerMap(ModelFunction(model, parameters), inputs, batch_size, keep_graph)


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Sequence[Tensor],
    weights: Tensor | Sequence[Tensor],
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> list[Tensor]:
    """Return the gradients of ⟨outputs, weights⟩, zero where nothing depends on an input."""
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    if not any(output.requires_grad for output in outputs):
        return [torch.zeros_like(value) for value in inputs]
    return list(
        torch.autograd.grad(
            outputs,
            list(inputs),
            [weights] if isinstance(weights, Tensor) else list(weights),
            create_graph=create_graph,
            retain_graph=retain_graph,
            allow_unused=True,
            materialize_grads=True,
        )
    )
