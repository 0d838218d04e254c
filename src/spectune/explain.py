"""What re-training changed: activations, kernels and weights of a network before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from spectune.grid import Grid
from spectune.spectra import (
    KERNEL_CLASSES,
    activation_spectra,
    classify,
    kernel_change,
    kernel_response,
    shell_spectrum,
    shell_wavenumbers,
)
from spectune.training.layers import match_layers, trainable_layers

__all__ = ["explain"]

# Kernels shown in full: those whose response changed most.
SHOWN = 8
AXES = ("kz", "ky", "kx")
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def explain(
    before: nn.Module,
    after: nn.Module,
    base_inputs: Tensor,
    target_inputs: Tensor,
    layer: str,
    grid: Grid,
) -> xr.Dataset:
    """Return what re-training one convolution changed, in Fourier space.

    Spectra of activations, h before and g after the nonlinearity, of the base network on both
    systems and of the re-trained one on the target; responses |Ŵ| of the kernels of the layer
    before and after, their classes and centre wavenumbers; `mean_response` is the root mean square
    gain √⟨|Ŵ|²⟩ over the kernels and the modes of a shell. Layers without an output on the grid
    have no spectra. Kernels are given on the grid that they slide over, which may be coarser than
    that of the inputs.

    Args:
        before: the base network (bare).
        after: the re-trained network.
        base_inputs: (n, c_in, *grid), standardised.
        target_inputs: (n, c_in, *grid), standardised.
        layer: name of the re-trained layer; kernels are left out unless it is a convolution of
            the dimensions of the grid.
        grid: grid of the inputs.

    Raises:
        LayerError: the model has no such layer.
    """
    match_layers(trainable_layers(before), [layer])
    states = {
        "BNN, base input": activation_spectra(before, base_inputs, grid),
        "BNN, target input": activation_spectra(before, target_inputs, grid),
        "TLNN, target input": activation_spectra(after, target_inputs, grid),
    }
    names = [spectra.name for spectra in states["BNN, base input"]]
    # Shells have one width at every resolution, so a coarser layer has the first of them.
    wavenumber = shell_wavenumbers(grid)
    weight = dict(before.named_parameters()).get(f"{layer}.weight")
    kernels, kernel_grid = {}, grid
    if weight is not None and weight.ndim == grid.ndim + 2:
        kernel_grid = _kernel_grid(before, layer, base_inputs, grid)
        kernels = _kernels(before, after, layer, kernel_grid, wavenumber)
    linear = torch.stack(
        [
            torch.stack([_padded(s.linear, len(wavenumber)) for s in spectra])
            for spectra in states.values()
        ]
    )
    nonlinear = torch.stack(
        [
            torch.stack([_padded(s.nonlinear, len(wavenumber)) for s in spectra])
            for spectra in states.values()
        ]
    )
    return xr.Dataset(
        {
            "linear": (("state", "layer", "wavenumber"), linear.numpy()),
            "nonlinear": (("state", "layer", "wavenumber"), nonlinear.numpy()),
            **kernels,
        },
        coords={
            "state": list(states),
            "layer": names,
            "wavenumber": wavenumber.numpy(),
            "stage": ["before", "after"],
            "kernel_class": list(KERNEL_CLASSES),
            **{
                axis: k.flatten().numpy()
                for axis, k in zip(AXES[-grid.ndim :], kernel_grid.wavenumbers(), strict=True)
            },
        },
        attrs={"layer": layer},
    )


def _padded(spectrum: Tensor | None, length: int) -> Tensor:
    out = torch.full((length,), torch.nan, dtype=torch.float64)
    if spectrum is not None:
        out[: len(spectrum)] = spectrum
    return out


def _kernel_grid(model: nn.Module, layer: str, inputs: Tensor, grid: Grid) -> Grid:
    """Return the grid that a convolution slides over: the finer of its input and its output."""
    shapes = [torch.Size((1,) * grid.ndim)]

    def note(_module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        shapes.extend(values.shape[-grid.ndim :] for values in (args[0], out))

    handle = model.get_submodule(layer).register_forward_hook(note)
    try:
        with torch.no_grad():
            model(inputs[:1])
    finally:
        handle.remove()
    shape = max(shapes)
    return grid.with_shape(tuple(shape)) if len(shapes) > 1 else grid


def _kernels(
    before: nn.Module, after: nn.Module, layer: str, grid: Grid, wavenumber: Tensor
) -> dict[str, tuple[Any, ...]]:
    modules = [model.get_submodule(layer) for model in (before, after)]
    weights = [module.get_parameter("weight").detach() for module in modules]
    if isinstance(modules[0], TRANSPOSED):
        weights = [weight.transpose(0, 1) for weight in weights]  # (c_out, c_in, ...)
    dilation: tuple[int, ...] = getattr(modules[0], "dilation", (1,) * grid.ndim)
    responses = [kernel_response(weight, grid, dilation) for weight in weights]
    classes = [classify(response, grid) for response in responses]
    change = kernel_change(weights[0], weights[1], grid).response.flatten()
    most = change.argsort(descending=True, stable=True)[: min(SHOWN, len(change))]
    c_in = weights[0].shape[1]
    labels = np.array((*KERNEL_CLASSES, "zero"))  # code −1
    counts = [list(c.counts().values()) for c in classes]
    gains = [_mean_gain(response, grid, wavenumber) for response in responses]
    shown = ("kernel", *AXES[-grid.ndim :])
    return {
        "response_before": (shown, responses[0].flatten(0, 1)[most].numpy()),
        "response_after": (shown, responses[1].flatten(0, 1)[most].numpy()),
        "kernel_out": ("kernel", (most // c_in).numpy()),
        "kernel_in": ("kernel", (most % c_in).numpy()),
        "class_before": ("kernel", labels[classes[0].code.flatten()[most].numpy()]),
        "class_after": ("kernel", labels[classes[1].code.flatten()[most].numpy()]),
        "centre_before": ("kernel", classes[0].centre.flatten()[most].numpy()),
        "centre_after": ("kernel", classes[1].centre.flatten()[most].numpy()),
        "class_count": (("stage", "kernel_class"), np.array(counts)),
        "mean_response": (("stage", "wavenumber"), np.stack(gains)),
    }


def _mean_gain(response: Tensor, grid: Grid, wavenumber: Tensor) -> np.ndarray:
    """Return √⟨|Ŵ|²⟩ over kernels and the modes of each shell; NaN beyond the modes of the grid."""
    waves = replace(grid, periodic=True)  # a kernel does not know the walls

    def power(gain: Tensor) -> Tensor:
        return shell_spectrum(waves.inverse(gain.to(torch.complex64)), waves).power

    modes = shell_wavenumbers(waves)
    mean = power(response).mean((0, 1)) / power(torch.ones(waves.half_shape))
    return np.asarray(np.interp(wavenumber, modes, mean.sqrt(), right=np.nan))
