"""Every convolution of a network before and after re-training: which changed, and which way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from spectune.spectra import (
    KERNEL_CLASSES,
    Alignment,
    Convolution,
    KernelChange,
    KernelClasses,
    filter_bank,
    kernel_change,
    kernel_change_over_seeds,
    spectral_alignment,
)

__all__ = ["survey_convolutions"]

# Random changes behind each p-value, which is then at least 0.01.
PERMUTATIONS = 199


def survey_convolutions(
    before: nn.Module,
    after: Mapping[str, Sequence[nn.Module]],
    layers: Mapping[str, Convolution],
    spectra: tuple[Mapping[str, Tensor], Mapping[str, Tensor]] | None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
) -> xr.Dataset:
    """Return the change of every convolution, by class of its kernels, and its alignment.

        relative change = √(Σ_ij ‖ΔW_ij‖² / Σ_ij ‖W_ij‖²)

    and the same for |Ŵ|; `change_by_class` is the share of Σ‖ΔW‖² in the kernels of each class
    before, and `class_moves` counts the kernels that went from one class to another. Noise (with
    several re-trained networks) is that of `kernel_change_over_seeds`, alignment that of
    `spectral_alignment`, both of the first re-trained network otherwise.

    Args:
        before: the base network.
        after: re-trained networks that started from it, one or several for each layer.
        layers: from `spectune.spectra.convolutions`.
        spectra: input spectra of each layer in the base network on base and target data; without
            them there is no alignment.
        seed: of the permutations.
        progress: called with the number of layers done and in all.

    Returns:
        A dataset with the dimension convolution.
    """
    rows: dict[str, list[Any]] = {}
    for done, layer in enumerate(layers.values(), start=1):
        old = layer.kernels(before)
        new = [layer.kernels(model) for model in after[layer.name]]
        values = _change(old, new, layer) | _classes(old, new[0], layer)
        if spectra is not None:
            values |= _alignment(old, new[0], layer, spectra, seed)
        for key, value in values.items():
            rows.setdefault(key, []).append(value)
        if progress is not None:
            progress(done, len(layers))
    over = {
        "classes": ("stage", "kernel_class"),
        "change_by_class": ("kernel_class",),
        "class_moves": ("kernel_class", "kernel_class_after"),
        "alignment_null": ("quantile",),
    }
    return xr.Dataset(
        {key: (("convolution", *over.get(key, ())), np.stack(rows[key])) for key in rows},
        coords={
            "convolution": list(layers),
            "stage": ["before", "after"],
            "kernel_class": list(KERNEL_CLASSES),
            "kernel_class_after": list(KERNEL_CLASSES),
        }
        | ({"quantile": [0.05, 0.95]} if spectra is not None else {}),
    )


def _change(old: Tensor, new: list[Tensor], layer: Convolution) -> dict[str, Any]:
    change = _measured_change(old, new, layer)
    norm = float(old.norm()) or 1.0
    parts = {
        "weight_change_relative": change.weight,
        "response_change_relative": change.response,
        "weight_noise_relative": change.weight_noise,
        "response_noise_relative": change.response_noise,
    }
    return {key: float(part.norm()) / norm for key, part in parts.items() if part is not None}


def _measured_change(old: Tensor, new: list[Tensor], layer: Convolution) -> KernelChange:
    if len(new) > 1:
        return kernel_change_over_seeds(old, new, layer.grid, layer.dilation)
    return kernel_change(old, new[0], layer.grid, layer.dilation)


def _classes(old: Tensor, new: Tensor, layer: Convolution) -> dict[str, Any]:
    was, now = (filter_bank(w, layer.grid, layer.dilation).classes for w in (old, new))
    moved = (new - old).flatten(2).square().sum(2)
    total = float(moved.sum()) or 1.0
    return {
        "classes": [list(c.counts().values()) for c in (was, now)],
        "change_by_class": [
            float(moved[was.code == code].sum()) / total for code in range(len(KERNEL_CLASSES))
        ],
        "class_moves": _moves(was, now),
    }


def _moves(was: KernelClasses, now: KernelClasses) -> np.ndarray:
    kinds = len(KERNEL_CLASSES)
    alive = (was.code >= 0) & (now.code >= 0)
    pairs = was.code[alive] * kinds + now.code[alive]
    return torch.bincount(pairs, minlength=kinds**2).reshape(kinds, kinds).numpy()


def _alignment(
    old: Tensor,
    new: Tensor,
    layer: Convolution,
    spectra: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    seed: int,
) -> dict[str, Any]:
    if not bool(old.any()):
        return {"alignment": np.nan, "alignment_p": np.nan, "alignment_null": [np.nan, np.nan]}
    found: Alignment = spectral_alignment(
        old,
        new,
        spectra[0][layer.name],
        spectra[1][layer.name],
        layer.grid,
        layer.dilation,
        permutations=PERMUTATIONS,
        seed=seed,
    )
    return {
        "alignment": found.value,
        "alignment_p": found.p_value,
        "alignment_null": np.nanquantile(found.null, [0.05, 0.95])
        if found.value == found.value
        else [np.nan, np.nan],
    }
