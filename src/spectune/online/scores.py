"""Scores of large-eddy simulations against filtered DNS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from spectune.grid import Grid
from spectune.online.les import LESRun
from spectune.online.statistics import distances, history, similarity, statistics

__all__ = ["REFERENCE", "TRUTH", "online_scores"]

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
                              run without closure; 1 is perfect, 0 no better than no closure.
                              Where the run without closure blew up, each of its distances is
                              `statistics.BLOWN_UP`, that of a flow that is not there
        kurtosis              ⟨(ω̄ − ⟨ω̄⟩)⁴⟩/variance², 3 of a Gaussian
        tail probability      share of |ω̄| > 3 standard deviations of the truth
        diffusion, backscatter ⟨max(T, 0)⟩, ⟨max(−T, 0)⟩

    `sampling_…` is the same distance between the first and the second half of the truth: what a
    finite run of a chaotic flow leaves open. Smaller differences mean nothing.

    A run that blew up keeps its time series and its last field, but its statistics would be of a
    flow that does not exist: they are NaN. `ensemble_scores` counts blow-ups among members.

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
    found = {name: statistics(run, grid, scale, edges) for name, run in runs.items()}
    dataset = xr.concat(
        [
            xr.merge([history(run, grid), one, distances(one, found[TRUTH], grid)])
            for run, one in zip(runs.values(), found.values(), strict=True)
        ],
        dim=xr.DataArray(list(runs), dims="closure", name="closure"),
        join="outer",
    )
    first, second = (statistics(part, grid, scale, edges) for part in halves)
    for name, value in distances(first, second, grid).items():
        dataset[f"sampling_{name}"] = value
    dataset["similarity"] = similarity(dataset, dataset.sel(closure=REFERENCE))
    return dataset.assign_attrs(
        {f"stopped: {name}": run.reason for name, run in runs.items() if run.reason}
    )
