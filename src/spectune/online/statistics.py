"""Statistics of one large-eddy simulation, and their distances to those of the truth."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from spectune.grid import Grid
from spectune.online.les import LESRun
from spectune.spectra import energy_spectrum, mean_spectrum

__all__ = ["BLOWN_UP", "backscatter_fraction", "distances", "history", "similarity", "statistics"]

TAIL = 3.0
"""Where the tails of the vorticity begin, in standard deviations of the truth."""

BLOWN_UP = 1.0
"""Spectrum error and PDF distance of a flow that is not there: E = 0, and no value in common."""


def history(run: LESRun, grid: Grid) -> xr.Dataset:
    """Return what a run has even where it blew up: time series, its last field, its end."""
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


def transfer(omega: Tensor, pi: Tensor, grid: Grid) -> Tensor:
    """Return T = Π ∇²ω̄ at each point, (nt, *grid): T > 0 diffuses, T < 0 scatters back."""
    return pi * grid.inverse(-grid.squared_wavenumber(omega.dtype) * grid.transform(omega))


def backscatter_fraction(omega: Tensor, pi: Tensor, grid: Grid) -> float:
    """Return Σ|T < 0|/Σ|T| with T = Π ∇²ω̄; NaN where there is no transfer.

    Args:
        omega: ω̄ (nt, *grid).
        pi: Π (nt, *grid).
        grid: of both.
    """
    moved = transfer(omega.double(), pi.double(), grid)
    total = float(moved.abs().sum())
    return float(-moved.clamp(max=0).sum()) / total if total else float("nan")


def statistics(run: LESRun, grid: Grid, scale: float, edges: np.ndarray) -> xr.Dataset:
    """Return the statistics of a whole run; NaN where it blew up.

    Args:
        run: the simulation.
        grid: its grid.
        scale: the vorticity's standard deviation in the truth.
        edges: of the bins of ω̄/scale.
    """
    whole = run.stable_until is None
    blank = torch.zeros(1, *grid.shape, dtype=torch.float64)
    omega, pi = (run.omega.double(), run.pi.double()) if whole else (blank, blank)
    energy = energy_spectrum(omega, grid)
    density = np.histogram((omega / scale).numpy(), bins=edges)[0] / omega.numel()
    moved = transfer(omega, pi, grid)
    found = xr.Dataset(
        {
            "energy_spectrum": ("wavenumber", energy.power.numpy()),
            "enstrophy_spectrum": ("wavenumber", (0.5 * mean_spectrum(omega, grid).power).numpy()),
            "vorticity_pdf": ("bin", density / np.diff(edges)),
            "kurtosis": ((), _kurtosis(omega)),
            "tail_probability": ((), float((omega.abs() > TAIL * scale).double().mean())),
            "diffusion": ((), float(moved.clamp(min=0).mean())),
            "backscatter": ((), float(-moved.clamp(max=0).mean())),
            "backscatter_fraction": ((), backscatter_fraction(omega, pi, grid)),
        },
        coords={
            "wavenumber": energy.wavenumber.numpy(),
            "bin": 0.5 * (edges[1:] + edges[:-1]),
        },
    )
    return found if whole else found * torch.nan


def _kurtosis(omega: Tensor) -> float:
    deviation = omega - omega.mean()
    variance = float(deviation.square().mean())
    return float(deviation.pow(4).mean()) / variance**2 if variance else float("nan")


def distances(model: xr.Dataset, truth: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Return the errors of the spectra below Nyquist and the distance of the PDFs."""
    kept = (truth["wavenumber"] > 0) & (truth["wavenumber"] < torch.pi / max(grid.spacing))
    found = {}
    for quantity in ("energy", "enstrophy"):
        true = truth[f"{quantity}_spectrum"]
        ratio = (abs(model[f"{quantity}_spectrum"] - true) / true).where(kept, drop=True)
        found[f"{quantity}_spectrum_error"] = ratio.mean(skipna=False)
    width = float(truth["bin"][1] - truth["bin"][0])
    apart = abs(model["vorticity_pdf"] - truth["vorticity_pdf"])
    found["pdf_distance"] = 0.5 * width * apart.sum(skipna=False)
    return xr.Dataset(found)


def similarity(scores: xr.Dataset, reference: xr.Dataset) -> xr.DataArray:
    """Return 1 − d(run, truth)/d(reference, truth).

        d = ½ [spectrum error/that of the reference + PDF distance/that of the reference]

    A reference that blew up has no statistics; each of its distances then counts as `BLOWN_UP`,
    that of a flow that is not there, and the similarity is 1 less the run's own mean distance.

    Args:
        scores: with ``energy_spectrum_error`` and ``pdf_distance``.
        reference: those of the reference, NaN where it blew up.
    """
    ratios = [
        scores[name] / reference[name].fillna(BLOWN_UP)
        for name in ("energy_spectrum_error", "pdf_distance")
    ]
    return 1 - 0.5 * (ratios[0] + ratios[1])
