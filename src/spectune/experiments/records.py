"""What a run writes down about its data and its predictions, for the report to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from spectune.data import Pairs
from spectune.spectra import (
    bands,
    correlation,
    energy_spectrum,
    error_spectrum,
    mean_spectrum,
    relative_mse,
    shell_wavenumbers,
    spectrum_error,
)

__all__ = ["describe_flows", "describe_offline"]


def describe_flows(base: Pairs, target: Pairs) -> xr.Dataset:
    """Return a sample, the spectra and the root mean squares of both flows (ψ̄, ω̄ → Π)."""
    parts: dict[str, list[np.ndarray]] = {}
    flows = (base, target)
    for pairs in flows:
        grid = pairs.grid
        fields = torch.cat((pairs.inputs, pairs.targets), dim=1).double()
        spectra = mean_spectrum(fields, grid).power
        energy = energy_spectrum(fields[:, 1], grid).power
        parts.setdefault("energy_spectrum", []).append(energy.numpy())
        for channel, name in enumerate((*pairs.input_names, *pairs.target_names)):
            parts.setdefault(name, []).append(fields[-1, channel].numpy())
            parts.setdefault(f"{name}_spectrum", []).append(spectra[channel].numpy())
            rms = fields[:, channel].square().mean().sqrt()
            parts.setdefault(f"rms_{name}", []).append(rms.numpy())
    grid = target.grid
    over = {0: (), 1: ("wavenumber",), 2: grid.dims}
    return xr.Dataset(
        {
            name: (("flow", *over[values[0].ndim]), np.stack(values))
            for name, values in parts.items()
        },
        coords={
            "flow": ["base", "target"],
            "wavenumber": shell_wavenumbers(grid).numpy(),
            **{d: c.numpy() for d, c in zip(grid.dims, grid.coordinates(), strict=True)},
        },
    )


def describe_offline(experiments: Mapping[str, tuple[Tensor, Pairs]]) -> xr.Dataset:
    """Return scores, spectra and one sample of predictions of Π.

    Args:
        experiments: name → (prediction (n, 1, *grid) in physical units, the pairs predicted).
            The last two are the base and the re-trained network on the same target pairs.
    """
    rows: dict[str, list[Any]] = {}
    for prediction, pairs in experiments.values():
        grid = pairs.grid
        error = spectrum_error(prediction, pairs.targets, grid)
        values = {
            "truth_spectrum": mean_spectrum(pairs.targets, grid).power[0].numpy(),
            "prediction_spectrum": mean_spectrum(prediction, grid).power[0].numpy(),
            "error_spectrum": error_spectrum(prediction, pairs.targets, grid).power[0].numpy(),
            "correlation": correlation(prediction, pairs.targets),
            "relative_mse": relative_mse(prediction, pairs.targets),
            "spectrum_error": error.value,
            "band_spectrum_error": [error.by_band[band.name] for band in bands(grid)],
        }
        for name, value in values.items():
            rows.setdefault(name, []).append(value)
    (bnn, pairs), (tlnn, _) = list(experiments.values())[-2:]
    grid = pairs.grid
    over: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("correlation", "relative_mse", "spectrum_error"), ()
    )
    over["band_spectrum_error"] = ("band",)
    return xr.Dataset(
        {
            name: (("experiment", *over.get(name, ("wavenumber",))), np.stack(values))
            for name, values in rows.items()
        }
        | {
            "truth": (grid.dims, pairs.targets[-1, 0].numpy()),
            "bnn": (grid.dims, bnn[-1, 0].numpy()),
            "tlnn": (grid.dims, tlnn[-1, 0].numpy()),
            "band_low": ("band", [band.low for band in bands(grid)]),
            "band_high": ("band", [band.high for band in bands(grid)]),
        },
        coords={
            "experiment": list(experiments),
            "band": [band.name for band in bands(grid)],
            "wavenumber": shell_wavenumbers(grid).numpy(),
            **{d: c.numpy() for d, c in zip(grid.dims, grid.coordinates(), strict=True)},
        },
    )
