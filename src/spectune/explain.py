"""What re-training changed: activations, kernels and weights of a network before and after."""

from __future__ import annotations

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
)
from spectune.training.layers import trainable_layers

__all__ = ["explain"]

# Kernels shown in full: those whose response changed most.
SHOWN = 8


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
    gain √⟨|Ŵ|²⟩ over the kernels and the modes of a shell.

    Args:
        before: the base network (bare).
        after: the re-trained network.
        base_inputs: (n, c_in, *grid), standardised.
        target_inputs: (n, c_in, *grid), standardised.
        layer: name of the re-trained layer; kernels are left out unless it is a convolution of
            the dimensions of the grid.
        grid: periodic grid of the inputs.
    """
    weight = dict(before.named_parameters()).get(f"{layer}.weight")
    convolution = weight is not None and weight.ndim == grid.ndim + 2
    kernels = _kernels(before, after, layer, grid) if convolution else {}
    names = [item.name for item in trainable_layers(before)]
    states = {
        "BNN, base input": activation_spectra(before, base_inputs, grid, names),
        "BNN, target input": activation_spectra(before, target_inputs, grid, names),
        "TLNN, target input": activation_spectra(after, target_inputs, grid, names),
    }
    # Shells have one width at every resolution, so a coarser layer has the first of them.
    wavenumber = max((s.wavenumber for s in states["BNN, base input"]), key=len)
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
            "ky": grid.wavenumbers()[0].flatten().numpy(),
            "kx": grid.wavenumbers()[1].flatten().numpy(),
        },
        attrs={"layer": layer},
    )


def _padded(spectrum: Tensor | None, length: int) -> Tensor:
    out = torch.full((length,), torch.nan, dtype=torch.float64)
    if spectrum is not None:
        out[: len(spectrum)] = spectrum
    return out


def _kernels(before: nn.Module, after: nn.Module, layer: str, grid: Grid) -> dict[str, tuple]:  # type: ignore[type-arg]
    weights = [
        dict(model.named_parameters())[f"{layer}.weight"].detach() for model in (before, after)
    ]
    responses = [kernel_response(weight, grid) for weight in weights]
    classes = [classify(response, grid) for response in responses]
    change = kernel_change(weights[0], weights[1], grid).response.flatten()
    most = change.argsort(descending=True)[: min(SHOWN, len(change))]
    c_in = weights[0].shape[1]
    labels = np.array(KERNEL_CLASSES)
    counts = [np.bincount(c.code.flatten().numpy(), minlength=len(KERNEL_CLASSES)) for c in classes]
    modes = shell_spectrum(grid.inverse(torch.ones(grid.half_shape).to(torch.complex64)), grid)
    gains = [
        shell_spectrum(grid.inverse(r.to(torch.complex64)), grid).power.mean((0, 1)) / modes.power
        for r in responses
    ]
    return {
        "response_before": (("kernel", "ky", "kx"), responses[0].flatten(0, 1)[most].numpy()),
        "response_after": (("kernel", "ky", "kx"), responses[1].flatten(0, 1)[most].numpy()),
        "kernel_out": ("kernel", (most // c_in).numpy()),
        "kernel_in": ("kernel", (most % c_in).numpy()),
        "class_before": ("kernel", labels[classes[0].code.flatten()[most].numpy()]),
        "class_after": ("kernel", labels[classes[1].code.flatten()[most].numpy()]),
        "centre_before": ("kernel", classes[0].centre.flatten()[most].numpy()),
        "centre_after": ("kernel", classes[1].centre.flatten()[most].numpy()),
        "class_count": (("stage", "kernel_class"), np.stack(counts)),
        "mean_response": (
            ("stage", "wavenumber"),
            np.stack([gain.sqrt().numpy() for gain in gains]),
        ),
    }
