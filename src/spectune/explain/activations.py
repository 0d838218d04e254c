"""Spectra of all activations of base and re-trained network, and where they part and join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from spectune.explain.parting import find_parting
from spectune.grid import Grid
from spectune.spectra import (
    LayerSpectra,
    activation_spectra,
    aliasing,
    nyquist_wavenumber,
    shell_spectrum,
    shell_wavenumbers,
)

__all__ = ["HOME", "STATES", "describe_activations"]

HOME = "BNN, base input"
STATES = (HOME, "BNN, target input", "TLNN, target input")


def describe_activations(
    before: nn.Module,
    after: nn.Module,
    base_inputs: Tensor | None,
    target_inputs: Tensor,
    grid: Grid,
    *,
    seed: int = 0,
) -> xr.Dataset:
    """Return the spectra of h, g and g − a h of every layer and channel, in three states.

    `linear`, `nonlinear` and `moved` are averages over samples and channels (`activation_spectra`),
    the same names with `_channels` those of each channel, NaN where a layer has fewer. Shells have
    one width at every resolution, so a coarser layer has the first of them and NaN beyond. With
    base inputs, `distance` says how far each layer is from the base network at home, and
    `parting_layer` and `joining_layer` name where base and target part and where re-training
    brings them together (`find_parting`). `aliased` is what strides and pooling fold back.

    Args:
        before: the base network (bare).
        after: the re-trained network.
        base_inputs: (n, c_in, *grid), standardised; None leaves the state at home empty.
        target_inputs: (n, c_in, *grid), standardised.
        grid: grid of the inputs.
        seed: of the bootstrap.
    """
    runs: tuple[tuple[nn.Module, Tensor | None], ...] = (
        (before, base_inputs),
        (before, target_inputs),
        (after, target_inputs),
    )
    states = [None if x is None else activation_spectra(model, x, grid) for model, x in runs]
    known = next(found for found in states if found is not None)
    wavenumber = shell_wavenumbers(grid)
    dims = ("state", "layer", "wavenumber")
    every = ("state", "layer", "channel", "wavenumber")
    shape = (len(known), max(len(one.linear_channels) for one in known), len(wavenumber))
    data: dict[str, tuple[Any, ...]] = {}
    for name in ("linear", "nonlinear", "moved"):
        data[name] = (dims, _stacked(states, name, (shape[0], shape[2])))
        whole = _stacked(states, f"{name}_channels", shape)
        data[f"{name}_channels"] = (every, whole.astype(np.float32))
    data["moved_share"] = (
        ("state", "layer"),
        np.array(
            [[np.nan] * shape[0] if s is None else [o.moved_share for o in s] for s in states]
        ),
    )
    data["nyquist"] = ("layer", [nyquist_wavenumber(one.grid) for one in known])
    found = xr.Dataset(
        data,
        coords={
            "state": list(STATES),
            "layer": [one.name for one in known],
            "wavenumber": wavenumber.numpy(),
        },
    )
    if states[0] is not None and base_inputs is not None:
        inputs = tuple(
            shell_spectrum(x.double(), grid).power.mean(1) for x in (base_inputs, target_inputs)
        )
        found = _parted(found, states, inputs, grid, seed)
    return found.merge(_folded(runs, len(wavenumber), grid))


def _stacked(
    states: Sequence[list[LayerSpectra] | None], name: str, shape: tuple[int, ...]
) -> np.ndarray:
    """Return one attribute of all layers in all states, padded with NaN."""
    out = np.full((len(states), *shape), np.nan)
    for i, layers in enumerate(states):
        for j, layer in enumerate(layers or ()):
            values = getattr(layer, name)
            if values is not None:
                place = tuple(slice(n) for n in values.shape)
                out[i, j][place] = values.numpy()
    return out


def _parted(
    found: xr.Dataset,
    states: Sequence[list[LayerSpectra] | None],
    inputs: tuple[Tensor, ...],
    grid: Grid,
    seed: int,
) -> xr.Dataset:
    home, before, after = (layers or [] for layers in states)
    parting = find_parting(home, before, after, (inputs[0], inputs[1]), grid, seed=seed)
    found["distance"] = (
        ("stage", "layer"),
        torch.stack((parting.before, parting.after)).numpy(),
        {"units": "dB"},
    )
    found["distance_of_inputs"] = ((), parting.at_input, {"units": "dB"})
    return found.assign_coords(stage=["before", "after"]).assign_attrs(
        parting_layer=parting.parts or "none",
        parting_rise=parting.parts_rise,
        parting_share=parting.parts_share,
        joining_layer=parting.joins or "none",
        joining_rise=parting.joins_rise,
        joining_share=parting.joins_share,
    )


def _folded(runs: Sequence[tuple[nn.Module, Tensor | None]], shells: int, grid: Grid) -> xr.Dataset:
    """Return what strided layers fold back; empty where there are none."""
    states = [None if x is None else aliasing(model, x, grid) for model, x in runs]
    known = next(found for found in states if found is not None)
    if not known:
        return xr.Dataset()
    curves = np.full((2, len(states), len(known), shells), np.nan)
    shares = np.full((len(states), len(known)), np.nan)
    for i, layers in enumerate(states):
        for j, layer in enumerate(layers or ()):
            curves[0, i, j, : len(layer.total)] = layer.total.numpy()
            curves[1, i, j, : len(layer.aliased)] = layer.aliased.numpy()
            shares[i, j] = layer.share
    dims = ("state", "strided", "wavenumber")
    return xr.Dataset(
        {
            "strided_spectrum": (dims, curves[0]),
            "aliased_spectrum": (dims, curves[1]),
            "aliased_share": (dims[:2], shares),
        },
        coords={"strided": [layer.name for layer in known]},
    )
