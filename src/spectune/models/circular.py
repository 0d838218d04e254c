"""Convolutions with circular padding that cost what zero padding costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

__all__ = ["CircularConv1d", "CircularConv2d", "CircularConv3d", "fast_circular"]

# Strides in which the points of one channel lie a pixel apart: what convolutions are fastest in.
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}

# Channels that convolutions in float32 compute side by side: vectors of 512 bits.
_LANES = 16

_Plain = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _forward(
    module: nn.Conv1d | nn.Conv2d | nn.Conv3d,
    plain: _Plain,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """Return what `plain`, the forward pass of the module's class, would."""
    padding = _padding(module)
    if not (
        padding is not None
        and module.padding_mode == "circular"
        and input.dim() == weight.dim()  # a single sample has no batch dimension
        and _is_eager(input, weight, bias)
        and all(p <= n for p, n in zip(padding, input.shape[2:], strict=True))
    ):
        return plain(input, weight, bias)
    geometry = _Geometry(padding, module.stride, module.dilation, module.groups)
    device = input.device.type
    if not torch.is_autocast_enabled(device):
        return _apply(input, weight, bias, geometry)
    dtype = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        return _apply(_cast(input, dtype), _cast(weight, dtype), _cast(bias, dtype), geometry)


def _padding(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> Sequence[int] | None:
    """Return the points padded on either side of each dimension; None where the sides differ."""
    sides = module._reversed_padding_repeated_twice  # last dimension first, also of "same"
    before, after = sides[::2], sides[1::2]
    return before[::-1] if before == after else None


class CircularConv1d(nn.Conv1d):
    """`nn.Conv1d` whose circular padding is fast; see `CircularConv2d`."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _forward(self, super()._conv_forward, input, weight, bias)


class CircularConv2d(nn.Conv2d):
    """`nn.Conv2d` whose circular padding is fast: the same arguments, weights and results.

        h(x) = Σ_d W(d) g(x + d mod N) + b

    PyTorch pads with a chain of slices and copies, each of which has a gradient of the size of the
    padded field. Here the padding and the convolution are one operation: the field is copied once,
    with its halo, in the layout that convolutions are fastest in, and the gradient of the halo is
    added in place to the points that it repeats. Where a derivative is itself differentiated, in
    forward mode, under `torch.func` and in programs that are traced, PyTorch's own operations run.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _forward(self, super()._conv_forward, input, weight, bias)


class CircularConv3d(nn.Conv3d):
    """`nn.Conv3d` whose circular padding is fast; see `CircularConv2d`."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _forward(self, super()._conv_forward, input, weight, bias)


@contextmanager
def fast_circular(model: nn.Module) -> Iterator[None]:
    """Let the circular convolutions of any model run as `CircularConv2d` inside a ``with`` block.

    Convolutions whose class has a forward pass of its own are left alone.
    """
    taken = [
        module
        for module in model.modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        and module.padding_mode == "circular"
        and type(module).forward in _FORWARD
        and type(module)._conv_forward in _CONV_FORWARD
        and "_conv_forward" not in vars(module)
    ]
    for module in taken:
        vars(module)["_conv_forward"] = partial(_forward, module, module._conv_forward)
    try:
        yield
    finally:
        for module in taken:
            del vars(module)["_conv_forward"]


_FORWARD = {nn.Conv1d.forward, nn.Conv2d.forward, nn.Conv3d.forward}
_CONV_FORWARD = {nn.Conv1d._conv_forward, nn.Conv2d._conv_forward, nn.Conv3d._conv_forward}


class _Geometry(NamedTuple):
    padding: Sequence[int]
    stride: Sequence[int]
    dilation: Sequence[int]
    groups: int


def _is_eager(*tensors: Tensor | None) -> bool:
    """Return whether plain evaluation or reverse-mode training runs, which the fast path is for."""
    return not (
        torch._C._get_tracing_state() is not None
        or torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or any(tensor is not None and _has_tangent(tensor) for tensor in tensors)
    )


def _has_tangent(tensor: Tensor) -> bool:
    return forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def _cast(tensor: Any, dtype: torch.dtype) -> Any:
    """Return what autocast would: other float types than double in its own."""
    return tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(dtype)


def _apply(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
    return _CircularConvolution.apply(x, weight, bias, geometry)  # type: ignore[no-any-return,no-untyped-call]


class _CircularConvolution(torch.autograd.Function):
    """Padding and convolution as one operation."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry
    ) -> Tensor:
        padded = _with_halo(x, geometry.padding)
        ctx.geometry, ctx.shape = geometry, x.shape
        # A frozen weight needs no inputs, which is most of the memory of re-training one layer.
        inputs = (x, padded) if ctx.needs_input_grad[1] else (None, None)
        ctx.save_for_backward(weight, bias, *inputs)
        convolve = _by_columns if _has_few_outputs(weight, geometry) else _convolution
        return convolve(padded, weight, bias, geometry)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        weight, bias, x, padded = ctx.saved_tensors
        geometry, needed = ctx.geometry, list(ctx.needs_input_grad[:3])
        if torch.is_grad_enabled() or _has_tangent(gradient):
            if x is None:  # the derivative is linear, its value at any x the same
                x = gradient.new_zeros(()).expand(ctx.shape).requires_grad_()
            return *_differentiable(gradient, (x, weight, bias), needed, geometry), None
        for_x = None
        if needed[0] and _keeps_shape(weight, geometry):
            for_x, needed[0] = _transposed(gradient, weight, geometry), False
        zero = [0] * len(geometry.padding)
        found = torch.ops.aten.convolution_backward(
            gradient,
            gradient.new_empty(()).expand(_padded_shape(ctx.shape, geometry.padding))
            if padded is None
            else padded,
            weight,
            None if bias is None else list(bias.shape),
            geometry.stride,
            zero,
            geometry.dilation,
            False,
            zero,
            geometry.groups,
            needed,
        )
        if needed[0]:
            for_x = _fold_halo(found[0], geometry.padding)
        return for_x, found[1], found[2], None


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
    zero = [0] * len(geometry.padding)
    _, stride, dilation, groups = geometry
    return torch.convolution(x, weight, bias, stride, zero, dilation, False, zero, groups)


def _has_few_outputs(weight: Tensor, geometry: _Geometry) -> bool:
    """Return whether all columns of the kernels fit where a CPU computes channels side by side."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and weight.dim() > 3
        and 1 < weight.shape[-1] <= _LANES // weight.shape[0]
        and geometry.groups == 1
        and geometry.stride[-1] == 1
    )


def _by_columns(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
    """Return the convolution as the sum of those with each column of the kernels, shifted.

    Outputs of one channel cost as much as those of sixteen, of which each column is one here: the
    last layer of a closure takes a third of the time.
    """
    columns = weight.movedim(-1, 0).flatten(0, 1).unsqueeze(-1)  # (columns outputs, c, …, 1)
    shift = geometry.dilation[-1]
    width = x.shape[-1] - shift * (weight.shape[-1] - 1)
    outputs = weight.shape[0]
    sums = _convolution(x, columns, None, geometry)
    parts = [sums.narrow(1, i, outputs) for i in range(0, sums.shape[1], outputs)]
    output = parts[0].narrow(-1, 0, width).clone()
    for i, part in enumerate(parts[1:], start=1):
        output += part.narrow(-1, i * shift, width)
    if bias is not None:
        output += bias.view(-1, *[1] * (x.dim() - 2))
    return output


def _keeps_shape(weight: Tensor, geometry: _Geometry) -> bool:
    """Return whether output and input have the same points, so that each is a circle."""
    kernel = weight.shape[2:]
    sides = zip(geometry.padding, geometry.dilation, kernel, strict=True)
    return (
        geometry.groups == 1
        and all(step == 1 for step in geometry.stride)
        and all(2 * p == d * (k - 1) for p, d, k in sides)
    )


def _transposed(gradient: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
    """Return the gradient of the input: the circular convolution with the mirrored kernel."""
    mirrored = weight.flip(*range(2, weight.dim())).transpose(0, 1)
    return _convolution(_with_halo(gradient, geometry.padding), mirrored, None, geometry)


def _differentiable(
    gradient: Tensor,
    arguments: tuple[Tensor, Tensor, Tensor | None],
    needed: Sequence[bool],
    geometry: _Geometry,
) -> list[Tensor | None]:
    """Return the gradients from PyTorch's own operations, which can be differentiated again."""
    x, weight, bias = arguments
    around = [p for p in reversed(geometry.padding) for _ in range(2)]
    with torch.enable_grad():
        padded = nn.functional.pad(x, around, mode="circular")
        output = _convolution(padded, weight, bias, geometry)
        pairs = zip(arguments, needed, strict=True)
        wanted = [value for value, asked in pairs if asked and value is not None]
        found = iter(torch.autograd.grad(output, wanted, gradient, create_graph=True))
    return [next(found) if asked else None for asked in needed]


def _padded_shape(shape: Sequence[int], padding: Sequence[int]) -> tuple[int, ...]:
    return *shape[:2], *(n + 2 * p for n, p in zip(shape[2:], padding, strict=True))


def _with_halo(x: Tensor, padding: Sequence[int]) -> Tensor:
    """Return x (n, c, *grid) with p points of the other end before and after each dimension."""
    padded = torch.empty(
        _padded_shape(x.shape, padding),
        dtype=x.dtype,
        device=x.device,
        memory_format=_CHANNELS_LAST.get(x.dim(), torch.contiguous_format),
    )
    # The last dimension first, so that the next copies its corners too.
    inside = [padded]
    for axis, p in enumerate(padding, start=2):
        inside.append(inside[-1].narrow(axis, p, x.shape[axis]))
    inside[-1].copy_(x)
    for axis in reversed(range(2, x.dim())):
        n, p, part = x.shape[axis], padding[axis - 2], inside[axis - 2]
        if p:
            part.narrow(axis, 0, p).copy_(part.narrow(axis, n, p))
            part.narrow(axis, n + p, p).copy_(part.narrow(axis, p, p))
    return padded


def _fold_halo(padded: Tensor, padding: Sequence[int]) -> Tensor:
    """Add the halo to the points that it repeats, in place, and return the points inside."""
    for axis, p in enumerate(padding, start=2):
        n = padded.shape[axis] - 2 * p
        if p:
            padded.narrow(axis, n, p).add_(padded.narrow(axis, 0, p))
            padded.narrow(axis, p, p).add_(padded.narrow(axis, n + p, p))
            padded = padded.narrow(axis, p, n)
    return padded
