"""What re-training one layer changed: activations of the network and kernels of the layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor, nn

from spectune.explain.activations import describe_activations
from spectune.grid import Grid
from spectune.spectra import (
    KERNEL_CLASSES,
    Convolution,
    FilterBank,
    convolutions,
    filter_bank,
    kernel_change,
    kernel_response,
    shell_wavenumbers,
)
from spectune.training.layers import match_layers, trainable_layers

__all__ = ["AXES", "explain_layer"]

# Kernels shown in full: those whose response changed most.
SHOWN = 8
AXES = ("kz", "ky", "kx")


def explain_layer(
    before: nn.Module,
    after: nn.Module,
    base_inputs: Tensor | None,
    target_inputs: Tensor,
    layer: str,
    grid: Grid,
    *,
    seed: int = 0,
) -> xr.Dataset:
    """Return what re-training one convolution changed, in Fourier space.

    Spectra of activations of the base network on both systems and of the re-trained one on the
    target (`describe_activations`); responses |Ŵ| of the kernels of the layer before and after,
    their classes and centre wavenumbers; `mean_response` is the root mean square gain √⟨|Ŵ|²⟩ over
    the kernels and the modes of a shell. Layers without an output on the grid have no spectra.
    Kernels are given on the grid that they slide over, which may be coarser than that of the
    inputs.

    Args:
        before: the base network (bare).
        after: the re-trained network.
        base_inputs: (n, c_in, *grid), standardised; None leaves the state at home empty.
        target_inputs: (n, c_in, *grid), standardised.
        layer: name of the re-trained layer; kernels are left out unless it is a convolution of
            the dimensions of the grid.
        grid: grid of the inputs.
        seed: of the bootstrap of the activations.

    Raises:
        LayerError: the model has no such layer.
    """
    match_layers(trainable_layers(before), [layer])
    found = describe_activations(before, after, base_inputs, target_inputs, grid, seed=seed)
    convolution = convolutions(before, target_inputs, grid).get(layer)
    kernels, kernel_grid = {}, grid
    if convolution is not None:
        kernel_grid = convolution.grid
        kernels = _kernels(before, after, convolution, shell_wavenumbers(grid))
    coords = {
        "stage": ["before", "after"],
        "kernel_class": list(KERNEL_CLASSES),
        **{
            axis: k.flatten().numpy()
            for axis, k in zip(AXES[-grid.ndim :], kernel_grid.wavenumbers(), strict=True)
        },
    }
    return found.assign(kernels).assign_coords(coords).assign_attrs(layer=layer)


def _kernels(
    before: nn.Module, after: nn.Module, layer: Convolution, wavenumber: Tensor
) -> dict[str, tuple[Any, ...]]:
    grid, dilation = layer.grid, layer.dilation
    weights = [layer.kernels(model) for model in (before, after)]
    banks = [filter_bank(weight, grid, dilation) for weight in weights]
    classes = [bank.classes for bank in banks]
    change = kernel_change(weights[0], weights[1], grid, dilation).response.flatten()
    most = change.argsort(descending=True, stable=True)[: min(SHOWN, len(change))]
    out, position = most // weights[0].shape[1], most % weights[0].shape[1]
    labels = np.array((*KERNEL_CLASSES, "zero"))  # code −1
    counts = [list(c.counts().values()) for c in classes]
    shown = ("kernel", *AXES[-grid.ndim :])
    found: dict[str, tuple[Any, ...]] = {
        "kernel_out": ("kernel", out.numpy()),
        "kernel_in": ("kernel", layer.input_channel(out, position, before).numpy()),
        "class_count": (("stage", "kernel_class"), np.array(counts)),
        "mean_response": (
            ("stage", "wavenumber"),
            np.stack([_mean_gain(bank, wavenumber) for bank in banks]),
        ),
    }
    for stage, weight, one in zip(("before", "after"), weights, classes, strict=True):
        chosen = weight.flatten(0, 1)[most][:, None]
        found[f"response_{stage}"] = (shown, kernel_response(chosen, grid, dilation)[:, 0].numpy())
        found[f"class_{stage}"] = ("kernel", labels[one.code.flatten()[most].numpy()])
        found[f"centre_{stage}"] = ("kernel", one.centre.flatten()[most].numpy())
    return found


def _mean_gain(bank: FilterBank, wavenumber: Tensor) -> np.ndarray:
    """Return √⟨|Ŵ|²⟩ over kernels and the modes of each shell; NaN beyond the modes of the grid."""
    gain = bank.power.mean((0, 1)).sqrt()
    return np.asarray(np.interp(wavenumber, bank.wavenumber, gain, right=np.nan))
