"""The kernels of one layer one by one: table, gallery by class, clusters, alignment curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from spectune.explain.layer import AXES
from spectune.spectra import (
    KERNEL_CLASSES,
    Convolution,
    FilterBank,
    KernelClasses,
    cluster_kernels,
    filter_bank,
    kernel_response,
    spectral_alignment,
)

__all__ = ["describe_kernels"]

# Kernels of each class in the gallery: the strongest ones.
SHOWN = 6


def describe_kernels(
    before: nn.Module,
    after: nn.Module,
    layer: Convolution,
    spectra: tuple[Mapping[str, Tensor], Mapping[str, Tensor]] | None,
    wavenumber: Tensor,
    *,
    seed: int = 0,
) -> xr.Dataset:
    """Return class, centre, bandwidth and orientation of every kernel of a layer, and its clusters.

    Args:
        before: the base network.
        after: the re-trained network.
        layer: from `spectune.spectra.convolutions`.
        spectra: input spectra of each layer on base and target data, or None.
        wavenumber: (nk,) the shells that curves are given on; NaN beyond those of the layer.
        seed: of the clusters.

    Returns:
        A dataset; kernels are (channel_out, channel_in), where the inputs are those of the
        kernel's group.
    """
    weights = [layer.kernels(model) for model in (before, after)]
    banks = [filter_bank(weight, layer.grid, layer.dilation) for weight in weights]
    table = ("stage", "channel_out", "channel_in")
    data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "class_code": (table, _both(banks[0].classes.code, banks[1].classes.code)),
        "norm": (table, np.stack([w.flatten(2).norm(dim=2).numpy() for w in weights])),
    }
    for name in ("centre", "bandwidth", "anisotropy"):
        data[name] = (table, _both(*(getattr(bank.classes, name) for bank in banks)))
    data["orientation"] = (
        (*table, "axis"),
        _both(*(bank.classes.orientation for bank in banks)),
    )
    found = xr.Dataset(
        data,
        coords={"stage": ["before", "after"], "axis": [a[1:] for a in AXES[-layer.grid.ndim :]]},
    )
    found["class_code"].attrs["flag_values"] = list(range(-1, len(KERNEL_CLASSES)))
    found["class_code"].attrs["flag_meanings"] = " ".join(("zero", *KERNEL_CLASSES))
    found = found.merge(_gallery(weights[0], layer, before, banks[0].classes))
    if bool(weights[0].any()):
        found = found.merge(_clusters(weights[0], banks[0], wavenumber, seed))
        if spectra is not None:
            found = found.merge(_curves(weights, layer, spectra, wavenumber))
    return found


def _both(before: Tensor, after: Tensor) -> np.ndarray:
    return np.stack((before.numpy(), after.numpy()))


def _gallery(
    weight: Tensor, layer: Convolution, model: nn.Module, classes: KernelClasses
) -> xr.Dataset:
    """Return the responses of the strongest kernels of each class."""
    norm = weight.flatten(2).norm(dim=2).flatten()
    code = classes.code.flatten()
    order = norm.argsort(descending=True, stable=True)
    chosen = torch.cat([order[code[order] == kind][:SHOWN] for kind in range(len(KERNEL_CLASSES))])
    out, position = chosen // weight.shape[1], chosen % weight.shape[1]
    picked = weight.flatten(0, 1)[chosen][:, None]
    response = kernel_response(picked, layer.grid, layer.dilation)[:, 0]
    angle = classes.orientation.flatten(0, 1)[chosen]
    return xr.Dataset(
        {
            "gallery_response": (("shown", *AXES[-layer.grid.ndim :]), response.numpy()),
            "gallery_class": ("shown", np.array(KERNEL_CLASSES)[code[chosen].numpy()]),
            "gallery_out": ("shown", out.numpy()),
            "gallery_in": ("shown", layer.input_channel(out, position, model).numpy()),
            "gallery_centre": ("shown", classes.centre.flatten()[chosen].numpy()),
            "gallery_bandwidth": ("shown", classes.bandwidth.flatten()[chosen].numpy()),
            "gallery_orientation": (("shown", "axis"), angle.numpy()),
        }
    )


def _clusters(weight: Tensor, bank: FilterBank, wavenumber: Tensor, seed: int) -> xr.Dataset:
    """Return the clusters with the curve that chose their number, and their mean responses."""
    clusters = cluster_kernels(weight, seed=seed)
    # Normalised kernel by kernel, as the clusters are.
    shape = bank.power / weight.double().flatten(2).square().sum(2, keepdim=True).clamp(min=1e-300)
    gains = [
        np.interp(
            wavenumber, bank.wavenumber, shape[clusters.labels == c].mean(0).sqrt(), right=np.nan
        )
        for c in range(clusters.count)
    ]
    return xr.Dataset(
        {
            "cluster": (("channel_out", "channel_in"), clusters.labels.numpy()),
            "cluster_size": (
                "cluster_number",
                torch.bincount(clusters.labels[clusters.labels >= 0]).numpy(),
            ),
            "cluster_response": (("cluster_number", "wavenumber"), np.stack(gains)),
            "silhouette": ("clusters_tried", clusters.silhouette.numpy()),
            "cluster_stability": ("clusters_tried", clusters.stability.numpy()),
        },
        coords={
            "cluster_number": np.arange(clusters.count),
            "clusters_tried": clusters.numbers.numpy(),
            "wavenumber": wavenumber.numpy(),
        },
    )


def _curves(
    weights: list[Tensor],
    layer: Convolution,
    spectra: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    wavenumber: Tensor,
) -> xr.Dataset:
    """Return the two curves whose correlation is the alignment of the layer."""
    base, target = (spectrum[layer.name] for spectrum in spectra)
    found = spectral_alignment(
        weights[0], weights[1], base, target, layer.grid, layer.dilation, permutations=0
    )
    curves = {
        "log_response_ratio": found.response_ratio,
        "log_spectrum_ratio": found.spectrum_ratio,
    }
    padded = {}
    for name, values in curves.items():
        whole = np.full(len(wavenumber), np.nan)
        count = min(len(values), len(wavenumber))
        whole[:count] = values[:count].numpy()
        padded[name] = ("wavenumber", whole)
    return xr.Dataset(padded, coords={"wavenumber": wavenumber.numpy()})
