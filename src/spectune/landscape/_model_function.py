"""A network as a pure function of the parameters under study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from spectune.errors import DataError, LayerError
from spectune.landscape._chain import Chain
from spectune.landscape._periodic_padding import PeriodicPadding

__all__ = ["ModelFunction"]


class ModelFunction:
    """f(x; θ) of a module, with θ the named parameters and everything else held fixed.

    The module is evaluated in eval mode, so that dropout is off and the running statistics of
    batch normalisation stay constants; its own modes return after each call. The other parameters
    are detached, hence no graph is stored for the layers before those of θ.

    Attributes:
        chain: the modules in the order in which they run.
        point: the named parameters at the point of study, detached, in the order given.
        size: number of real unknowns in θ; a complex entry counts twice.
    """

    def __init__(self, model: nn.Module, parameters: Sequence[str]) -> None:
        known = dict(model.named_parameters())
        if not parameters:
            raise LayerError("found no parameter names, expected at least one")
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise LayerError(
                f"parameters {unknown} are not in the model, which has {sorted(known)}"
            )
        self.model = model
        self.chain = Chain(model, parameters)
        self.point: dict[str, Tensor] = {name: known[name].detach() for name in parameters}
        self._sizes = [p.numel() * (2 if p.is_complex() else 1) for p in self.point.values()]
        self.size = sum(self._sizes)
        first = next(iter(self.point.values()))
        self.device = first.device
        self.dtype = first.real.dtype if first.is_complex() else first.dtype

    def prepare(self, values: Tensor) -> Tensor:
        """Return values on the device and with the float type of θ."""
        return values.to(device=self.device, dtype=self.dtype)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Put every module in eval mode, and back afterwards.

        Attention runs as plain products: its fused forms have no second derivatives. Periodic
        padding has a cheap adjoint.
        """
        training = [module for module in self.model.modules() if module.training]
        self.model.eval()
        try:
            with sdpa_kernel(SDPBackend.MATH), PeriodicPadding():
                yield
        finally:
            for module in training:
                module.training = True

    def flatten(self, delta: Mapping[str, Tensor]) -> Tensor:
        """Return the (size,) real vector of a change of θ."""
        if set(delta) != set(self.point):
            raise LayerError(f"delta: found {sorted(delta)}, expected {sorted(self.point)}")
        parts = []
        for name, at in self.point.items():
            value = delta[name]
            if value.shape != at.shape:
                raise DataError(
                    f"{name}: found shape {tuple(value.shape)}, expected {tuple(at.shape)}"
                )
            parts.append((torch.view_as_real(value) if at.is_complex() else value).reshape(-1))
        return torch.cat(parts)

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the change of θ that a (size,) real vector stands for."""
        if tuple(vector.shape) != (self.size,):
            raise DataError(f"vector: found shape {tuple(vector.shape)}, expected ({self.size},)")
        delta = {}
        parts = torch.split(self.prepare(vector), self._sizes)
        for (name, at), part in zip(self.point.items(), parts, strict=True):
            if at.is_complex():
                pairs = part.reshape(*at.shape, 2)
                part = torch.complex(pairs[..., 0], pairs[..., 1])
            delta[name] = part.reshape(at.shape).to(at.dtype)
        return delta
