"""A network linearised in the parameters of a layer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from spectune.errors import DataError
from spectune.landscape._model_function import ModelFunction

__all__ = ["LayerMap", "linearize"]


@dataclass
class _Batch:
    """A slice of the samples, with the graphs that its products can share."""

    inputs: Tensor
    rows: slice
    graph: tuple[list[Tensor], Tensor] | None = None  # θ, f
    transpose: tuple[Tensor, list[Tensor]] | None = None  # u, Jᵀu


class LayerMap:
    """The Jacobian J = ∂f(x; θ)/∂θ of a network output, as two products.

        f(x; θ + δ) ≈ f(x; θ) + J δ,        ⟨r, J δ⟩ = ⟨Jᵀ r, δ⟩

    with plain sums over all entries in ⟨·,·⟩. J itself is never formed. Products use forward-mode
    differentiation for J δ and reverse mode for Jᵀ r; where an operation of the model has no
    forward mode, J δ comes from differentiating Jᵀ u with respect to u.

    Attributes:
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
        self._function = function
        self._keep_graph = keep_graph
        self._forward_mode = True
        self._batches = [
            _Batch(inputs[start : start + batch_size], slice(start, start + batch_size))
            for start in range(0, len(inputs), batch_size)
        ]
        with function.evaluation():
            self.output = torch.cat([self._forward(batch) for batch in self._batches])
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
        self._function.flatten(delta)  # checks names and shapes
        tangent = {
            name: delta[name].to(device=at.device, dtype=at.dtype)
            for name, at in self._function.point.items()
        }
        with self._function.evaluation():
            return torch.cat([self._push(batch, tangent) for batch in self._batches])

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
        total = {name: torch.zeros_like(at) for name, at in self._function.point.items()}
        with self._function.evaluation():
            for batch in self._batches:
                for name, part in zip(total, self._pull(batch, residual[batch.rows]), strict=True):
                    total[name] += part
        return total

    def flatten(self, delta: Mapping[str, Tensor]) -> Tensor:
        """Return the (size,) real vector of a change of the parameters."""
        return self._function.flatten(delta)

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the change of the parameters that a (size,) real vector stands for."""
        return self._function.unflatten(vector)

    def _forward(self, batch: _Batch) -> Tensor:
        if self._keep_graph:  # the products need it anyway
            with torch.enable_grad():
                return self._graph(batch)[1].detach()
        with torch.no_grad():
            return self._function(self._function.point, self._function.prepare(batch.inputs))

    def _push(self, batch: _Batch, tangent: dict[str, Tensor]) -> Tensor:
        if self._forward_mode and not self._keep_graph:
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

    def _push_forward(self, batch: _Batch, tangent: dict[str, Tensor]) -> Tensor:
        f = self._function
        with torch.no_grad(), forward_ad.dual_level():
            # torch leaves these two functions without types.
            dual: dict[str, Tensor] = {
                name: forward_ad.make_dual(at, tangent[name])  # type: ignore[no-untyped-call]
                for name, at in f.point.items()
            }
            output = f(dual, f.prepare(batch.inputs))
            primal, change = forward_ad.unpack_dual(output)  # type: ignore[no-untyped-call]
            return torch.zeros_like(primal) if change is None else change.clone()

    def _push_by_transpose(self, batch: _Batch, tangent: dict[str, Tensor]) -> Tensor:
        # u ↦ Jᵀu is linear, so its own transposed product at any u is J δ.
        with torch.enable_grad():
            u, pulled = self._transpose(batch)
            pairs = [
                (p, t) for p, t in zip(pulled, tangent.values(), strict=True) if p.requires_grad
            ]
            (change,) = _gradients(
                [p for p, _ in pairs], [u], [t for _, t in pairs], retain_graph=self._keep_graph
            )
        return change

    def _pull(self, batch: _Batch, residual: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            parameters, output = self._graph(batch)
            return _gradients(output, parameters, residual, retain_graph=self._keep_graph)

    def _graph(self, batch: _Batch) -> tuple[list[Tensor], Tensor]:
        if batch.graph is not None:
            return batch.graph
        f = self._function
        parameters = {name: at.clone().requires_grad_() for name, at in f.point.items()}
        graph = (list(parameters.values()), f(parameters, f.prepare(batch.inputs)))
        if self._keep_graph:
            batch.graph = graph
        return graph

    def _transpose(self, batch: _Batch) -> tuple[Tensor, list[Tensor]]:
        if batch.transpose is not None:
            return batch.transpose
        parameters, output = self._graph(batch)
        u = torch.zeros_like(output, requires_grad=True)
        transpose = (u, _gradients(output, parameters, u, create_graph=True))
        if self._keep_graph:
            batch.transpose = transpose
        return transpose


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
        keep_graph: keep the forward pass for all products. Saves about a third of the time of
            each pair of products, for the memory of all activations from the layer onwards.

    Returns:
        A `LayerMap`.

    Raises:
        LayerError: if a name matches no parameter.
        DataError: without inputs, or if the model does not return one tensor.
    """
    return LayerMap(ModelFunction(model, parameters), inputs, batch_size, keep_graph)


def _gradients(
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
