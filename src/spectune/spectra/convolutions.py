"""The convolutions of a network, with the grid that each of them slides over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectune.errors import LayerError
from spectune.grid import Grid
from spectune.spectra._core import shell_spectrum, shell_wavenumbers
from spectune.spectra.activations import evaluation

__all__ = ["Convolution", "convolutions", "input_spectra"]

_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Convolution:
    """The kernels of one layer.

    Attributes:
        name: of the module in ``model.named_modules()``.
        grid: that the kernels slide over: the finer of the layer's input and output.
        input_grid: of what enters the layer.
        dilation: spacing of the kernel's points in each dimension.
        groups: number of groups of channels.
    """

    name: str
    grid: Grid
    input_grid: Grid
    dilation: tuple[int, ...]
    groups: int

    def kernels(self, model: nn.Module) -> Tensor:
        """Return the layer's kernels (c_out, c_in / groups, *kernel) in a model, detached.

        Those of a transposed convolution are brought into the same order. They are not flipped:
        |Ŵ| does not see it.
        """
        module = model.get_submodule(self.name)
        weight = module.weight  # an attribute, no parameter, where it is parametrized
        assert isinstance(weight, Tensor)
        weight = weight.detach()
        if isinstance(module, _TRANSPOSED):
            # (c_in, c_out / groups, …) → (c_out, c_in / groups, …), group by group
            grouped = weight.reshape(self.groups, -1, *weight.shape[1:]).transpose(1, 2)
            weight = grouped.flatten(0, 1)
        return weight

    def input_channel(self, out: Tensor, position: Tensor, model: nn.Module) -> Tensor:
        """Return the input channel of the kernels at (out, position) of `kernels`."""
        c_out, per_group = self.kernels(model).shape[:2]
        return out // (c_out // self.groups) * per_group + position


def convolutions(model: nn.Module, inputs: Tensor, grid: Grid) -> dict[str, Convolution]:
    """Return the convolutions of the grid's dimension that run, in the order of the model.

    Args:
        model: any module that maps one tensor to one tensor; run once, in eval mode.
        inputs: (n, c_in, *grid.shape); the first sample is used.
        grid: the grid of the inputs. Other resolutions are taken as the same box.

    Returns:
        `Convolution` by name. Empty where the network has none.

    Raises:
        LayerError: if a convolution runs at two resolutions.
    """
    found: dict[str, Convolution] = {}

    def note(name: str, module: nn.Module, values: Tensor, out: Tensor) -> None:
        shapes = [tuple(x.shape[-grid.ndim :]) for x in (values, out)]
        if min(min(shape) for shape in shapes) < 2:
            return  # a convolution over the whole box has no waves
        convolution = Convolution(
            name,
            grid.with_shape(max(shapes)),
            grid.with_shape(shapes[0]),
            tuple(getattr(module, "dilation", ())),
            int(getattr(module, "groups", 1)),
        )
        if found.setdefault(name, convolution) != convolution:
            raise LayerError(
                f"{name}: runs on grids {found[name].grid.shape} and {convolution.grid.shape}; "
                "a layer at two resolutions has no single response"
            )

    with _watched(model, grid.ndim, note):
        _run(model, inputs[:1])
    return {name: found[name] for name, _ in model.named_modules() if name in found}


def input_spectra(
    model: nn.Module, inputs: Tensor, layers: Mapping[str, Convolution]
) -> dict[str, Tensor]:
    """Return the sample-mean shell spectrum of what enters each convolution.

        E_ℓ(k) = ⟨E[g_{ℓ−1}](k)⟩ over samples, summed over channels

    Args:
        model: the network.
        inputs: (n, c_in, *grid.shape).
        layers: from `convolutions`.

    Returns:
        (nk,) by layer, float64, on the shells of the layer's input grid.
    """
    totals = {
        name: torch.zeros(len(shell_wavenumbers(layer.input_grid)), dtype=torch.float64)
        for name, layer in layers.items()
    }

    def note(name: str, _module: nn.Module, values: Tensor, _out: Tensor) -> None:
        if name in layers:
            spectrum = shell_spectrum(values.float(), layers[name].input_grid)
            totals[name] += spectrum.power.sum((0, 1), dtype=torch.float64).cpu()

    with _watched(model, next(iter(layers.values())).grid.ndim if layers else 0, note):
        for batch in torch.split(inputs, _batch_size(model, layers)):
            _run(model, batch)
    return {name: total / len(inputs) for name, total in totals.items()}


def _batch_size(model: nn.Module, layers: Mapping[str, Convolution]) -> int:
    """Return how many samples at a time keep the largest activation within 16 MiB, at least one."""
    largest = 1
    for layer in layers.values():
        c_out, per_group = layer.kernels(model).shape[:2]
        channels = max(c_out, per_group * layer.groups)
        largest = max(largest, channels * math.prod(layer.grid.shape))
    return max(1, 2**22 // largest)


@contextmanager
def _watched(
    model: nn.Module, ndim: int, note: Callable[[str, nn.Module, Tensor, Tensor], None]
) -> Iterator[None]:
    """Call `note` with name, module, input and output of every convolution that runs."""

    def hook_of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda module, args, out: note(name, module, args[0], out)

    kinds = (_PLAIN[ndim - 1], _TRANSPOSED[ndim - 1])
    handles = [
        module.register_forward_hook(hook_of(name))
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    try:
        with evaluation(model), torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()


def _run(model: nn.Module, inputs: Tensor) -> None:
    reference = next(model.parameters(), inputs)
    model(inputs.to(device=reference.device, dtype=reference.dtype))
