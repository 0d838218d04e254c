"""Periodic padding with a cheap adjoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["PeriodicPadding"]

# The adjoint that torch derives for periodic padding copies the whole field once for each edge and
# takes more time than the input gradient of the convolution behind it.


class PeriodicPadding(TorchFunctionMode):
    """Context in which `torch.nn.functional.pad` with mode "circular" has the adjoint below.

        (P x)_i = x_{i mod n},        (Pᵀ g)_j = Σ_{i ≡ j mod n} g_i

    Values and derivatives of every order are those of torch.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace periodic padding; pass everything else on."""
        kwargs = kwargs or {}
        if func is functional.pad:
            named = {**dict(zip(("input", "pad", "mode"), args, strict=False)), **kwargs}
            if named.get("mode") == "circular" and min(named["pad"]) >= 0:
                return _wrap(named["input"], tuple(named["pad"]))
        return func(*args, **kwargs)


def _wrap(field: Tensor, pad: tuple[int, ...]) -> Tensor:
    return _Wrap.apply(field, pad)  # type: ignore[no-any-return, no-untyped-call]


def _fold(field: Tensor, pad: tuple[int, ...]) -> Tensor:
    return _Fold.apply(field, pad)  # type: ignore[no-any-return, no-untyped-call]


class _Wrap(torch.autograd.Function):
    """P."""

    @staticmethod
    def forward(field: Tensor, pad: tuple[int, ...]) -> Tensor:
        return functional.pad(field, pad, mode="circular")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, tuple[int, ...]], _: Tensor) -> None:
        ctx.pad = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _fold(gradient, ctx.pad), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return _wrap(tangent, ctx.pad)


class _Fold(torch.autograd.Function):
    """Pᵀ."""

    @staticmethod
    def forward(field: Tensor, pad: tuple[int, ...]) -> Tensor:
        # From the slowest dimension on, so that what is copied first is contiguous.
        for axis in reversed(range(len(pad) // 2)):
            before, after = pad[2 * axis], pad[2 * axis + 1]
            dim = field.ndim - 1 - axis
            n = field.shape[dim] - before - after
            folded = field.narrow(dim, before, n).clone(memory_format=torch.contiguous_format)
            if before:
                folded.narrow(dim, n - before, before).add_(field.narrow(dim, 0, before))
            if after:
                folded.narrow(dim, 0, after).add_(field.narrow(dim, before + n, after))
            field = folded
        return field

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, tuple[int, ...]], _: Tensor) -> None:
        ctx.pad = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _wrap(gradient, ctx.pad), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return _fold(tangent, ctx.pad)
