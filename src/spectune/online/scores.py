"""Scores of large-eddy simulations against filtered DNS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from spectune.grid import Grid
from spectune.online.les import LESRun
from spectune.spectra import energy_spectrum, mean_spectrum

__all__ = ["TRUTH", "online_scores"]

TRUTH = "filtered DNS"
REFERENCE = "no closure"


def online_scores(runs: Mapping[str, LESRun], grid: Grid, *, bins: int = 81) -> xr.Dataset:
    r"""Return spectra, PDFs, time series and scores of runs with `TRUTH` and `REFERENCE`.

        energy spectrum       E(k) = ½ Σ_{|k'| ≈ k} |ω̂|²/k'²
        enstrophy spectrum    Z(k) = ½ Σ_{|k'| ≈ k} |ω̂|²
        spectrum error        mean over k of |E − E_true|/E_true
        PDF distance          ½ ∫ |p − p_true| dω               (total variation, 0 … 1)
        backscatter fraction  Σ|T < 0| / Σ|T|,   T = Π ∇²ω̄   (T > 0 diffuses, T < 0 scatters back)
        similarity            1 − d(run, truth)/d(no closure, truth), d the mean of the relative
                              energy-spectrum error and the PDF distance, each over that of the
                              run without closure; 1 is perfect, 0 no better than no closure

    `sampling_…` is the same distance between the first and the second half of the truth: what a
    finite run of a chaotic flow leaves open. Smaller differences mean nothing.

    A run that blew up keeps its time series and its last field, but its statistics would be of a
    flow that does not exist: they are NaN.

    Args:
        runs: by name; snapshots of the same grid.
        grid: the LES grid.
        bins: of the vorticity PDF, over ± 6 standard deviations of the truth.

    Source: SCIENCE protocol §6; Ross et al. 2023 (J. Adv. Model. Earth Syst. 15) for similarity.
    """
    truth = runs[TRUTH]
    scale = float(truth.omega.std())
    edges = np.linspace(-6, 6, bins + 1)
    half = len(truth.time) // 2
    halves = [
        replace(truth, time=truth.time[part], omega=truth.omega[part], pi=truth.pi[part])
        for part in (slice(0, half), slice(half, None))
    ]
    statistics = {name: _statistics(run, grid, scale, edges) for name, run in runs.items()}
    dataset = xr.concat(
        [
            xr.merge([_history(run, grid), one, _distances(one, statistics[TRUTH], grid)])
            for run, one in zip(runs.values(), statistics.values(), strict=True)
        ],
        dim=xr.DataArray(list(runs), dims="closure", name="closure"),
        join="outer",
    )
    first, second = (_statistics(part, grid, scale, edges) for part in halves)
    for name, value in _distances(first, second, grid).items():
        dataset[f"sampling_{name}"] = value
    reference = dataset.sel(closure=REFERENCE)
    dataset["similarity"] = 1 - 0.5 * (
        dataset["energy_spectrum_error"] / reference["energy_spectrum_error"]
        + dataset["pdf_distance"] / reference["pdf_distance"]
    )
    return dataset.assign_attrs(
        {f"stopped: {name}": run.reason for name, run in runs.items() if run.reason}
    )


def _history(run: LESRun, grid: Grid) -> xr.Dataset:
    """Return what a run has even where it blew up."""
    count = len(run.time)
    # A run may blow up before its first snapshot, and there is no transform of nothing.
    omega = run.omega.double() if count else torch.full((1, *grid.shape), torch.nan).double()
    k2 = grid.squared_wavenumber().clamp(min=1e-30)
    psi = grid.inverse(grid.transform(omega - omega.mean((1, 2), keepdim=True)) / k2)
    return xr.Dataset(
        {
            "energy": ("time", 0.5 * (psi * omega).mean((1, 2))[:count].numpy()),
            "enstrophy": ("time", 0.5 * omega.square().mean((1, 2))[:count].numpy()),
            "omega": (grid.dims, omega[-1].numpy()),
            "stable_until": ((), torch.nan if run.stable_until is None else run.stable_until),
        },
        coords={
            # Runs are sampled at multiples of one interval; round-off must not part them.
            "time": np.round(run.time.numpy(), 9),
            **{d: c.numpy() for d, c in zip(grid.dims, grid.coordinates(), strict=True)},
        },
    )


def _statistics(run: LESRun, grid: Grid, scale: float, edges: np.ndarray) -> xr.Dataset:
    """Return the statistics of a whole run; NaN where it blew up."""
    whole = run.stable_until is None
    blank = torch.zeros(1, *grid.shape, dtype=torch.float64)
    omega, pi = (run.omega.double(), run.pi.double()) if whole else (blank, blank)
    k2 = grid.squared_wavenumber()
    energy = energy_spectrum(omega, grid)
    density = np.histogram((omega / scale).numpy(), bins=edges)[0] / omega.numel()
    transfer = pi * grid.inverse(-k2 * grid.transform(omega))
    total = transfer.abs().sum()
    statistics = xr.Dataset(
        {
            "energy_spectrum": ("wavenumber", energy.power.numpy()),
            "enstrophy_spectrum": ("wavenumber", (0.5 * mean_spectrum(omega, grid).power).numpy()),
            "vorticity_pdf": ("bin", density / np.diff(edges)),
            "backscatter_fraction": ((), float(-transfer.clamp(max=0).sum() / total)),
        },
        coords={
            "wavenumber": energy.wavenumber.numpy(),
            "bin": 0.5 * (edges[1:] + edges[:-1]),
        },
    )
    return statistics if whole else statistics * torch.nan


def _distances(model: xr.Dataset, truth: xr.Dataset, grid: Grid) -> xr.Dataset:
    kept = (truth["wavenumber"] > 0) & (truth["wavenumber"] < torch.pi / max(grid.spacing))
    distances = {}
    for quantity in ("energy", "enstrophy"):
        true = truth[f"{quantity}_spectrum"]
        ratio = (abs(model[f"{quantity}_spectrum"] - true) / true).where(kept, drop=True)
        distances[f"{quantity}_spectrum_error"] = ratio.mean(skipna=False)
    width = float(truth["bin"][1] - truth["bin"][0])
    apart = abs(model["vorticity_pdf"] - truth["vorticity_pdf"])
    distances["pdf_distance"] = 0.5 * width * apart.sum(skipna=False)
    return xr.Dataset(distances)
