"""Scores of large-eddy simulations against filtered DNS."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from spectune.grid import Grid
from spectune.online.les import LESRun
from spectune.spectra import mean_spectrum

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
    longest = max(runs.values(), key=lambda run: len(run.time)).time
    k2 = grid.squared_wavenumber()
    rows = []
    for run in runs.values():
        whole = run.stable_until is None
        omega = run.omega.double()
        spectra = _velocity_spectrum(omega, grid) if len(omega) else None
        row = {
            "energy": _padded(_energy(omega, grid), len(longest)),
            "enstrophy": _padded(0.5 * omega.square().mean((1, 2)), len(longest)),
            "omega": omega[-1] if len(omega) else torch.full(grid.shape, torch.nan),
            "stable_until": torch.tensor(torch.nan if whole else run.stable_until),
        }
        if whole and spectra is not None:
            density = np.histogram((omega / scale).numpy(), bins=edges)[0] / omega.numel()
            laplacian = grid.inverse(-k2 * grid.transform(omega))
            transfer = run.pi.double() * laplacian
            total = transfer.abs().sum()
            row |= {
                "energy_spectrum": spectra[0],
                "enstrophy_spectrum": spectra[1],
                "vorticity_pdf": torch.from_numpy(density / np.diff(edges)),
                "backscatter_fraction": -transfer.clamp(max=0).sum() / total,
            }
        rows.append(row)
    return _assemble(list(runs), rows, runs, grid, longest, edges)


def _energy(omega: Tensor, grid: Grid) -> Tensor:
    k2 = grid.squared_wavenumber().clamp(min=1e-30)
    psi = grid.inverse(grid.transform(omega - omega.mean((1, 2), keepdim=True)) / k2)
    return 0.5 * (psi * omega).mean((1, 2))


def _velocity_spectrum(omega: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Return (E(k), Z(k)) averaged over the snapshots."""
    k2 = grid.squared_wavenumber()
    velocity_size = torch.where(k2 > 0, k2.clamp(min=1e-30).rsqrt(), 0.0)
    speed = grid.inverse(grid.transform(omega) * velocity_size)
    energy = 0.5 * mean_spectrum(speed[:, None], grid).power[0]
    return energy, 0.5 * mean_spectrum(omega[:, None], grid).power[0]


def _padded(series: Tensor, length: int) -> Tensor:
    return torch.cat((series, torch.full((length - len(series),), torch.nan, dtype=series.dtype)))


def _assemble(
    names: list[str],
    rows: list[dict[str, Tensor]],
    runs: Mapping[str, LESRun],
    grid: Grid,
    time: Tensor,
    edges: np.ndarray,
) -> xr.Dataset:
    wavenumber = mean_spectrum(torch.zeros(1, 1, *grid.shape), grid).wavenumber
    dims = {
        "energy": ("time",),
        "enstrophy": ("time",),
        "omega": grid.dims,
        "stable_until": (),
        "energy_spectrum": ("wavenumber",),
        "enstrophy_spectrum": ("wavenumber",),
        "vorticity_pdf": ("bin",),
        "backscatter_fraction": (),
    }
    sizes = {"time": len(time), "wavenumber": len(wavenumber), "bin": len(edges) - 1}
    sizes |= dict(zip(grid.dims, grid.shape, strict=True))
    data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for name, over in dims.items():
        missing = torch.full([sizes[d] for d in over], torch.nan, dtype=torch.float64)
        stack = torch.stack([row.get(name, missing).double() for row in rows])
        data[name] = (("closure", *over), stack.numpy())
    dataset = xr.Dataset(
        data,
        coords={
            "closure": names,
            "time": time.numpy(),
            "wavenumber": wavenumber.numpy(),
            "bin": 0.5 * (edges[1:] + edges[:-1]),
            **{d: c.numpy() for d, c in zip(grid.dims, grid.coordinates(), strict=True)},
        },
        attrs={f"stopped: {name}": run.reason for name, run in runs.items() if run.reason},
    )
    return _with_distances(dataset, runs, grid)


def _with_distances(dataset: xr.Dataset, runs: Mapping[str, LESRun], grid: Grid) -> xr.Dataset:
    truth = dataset.sel(closure=TRUTH)
    width = float(dataset["bin"][1] - dataset["bin"][0])
    dataset["pdf_distance"] = (
        0.5 * width * abs(dataset["vorticity_pdf"] - truth["vorticity_pdf"])
    ).sum("bin", skipna=False)
    errors: dict[str, list[float]] = {"energy_spectrum_error": [], "enstrophy_spectrum_error": []}
    kept = (dataset["wavenumber"] >= 1) & (dataset["wavenumber"] < min(grid.shape) / 2)
    for name in runs:
        for quantity in ("energy", "enstrophy"):
            model = dataset[f"{quantity}_spectrum"].sel(closure=name)
            true = truth[f"{quantity}_spectrum"]
            ratio = (abs(model - true) / true).where(kept, drop=True)
            errors[f"{quantity}_spectrum_error"].append(float(ratio.mean(skipna=False)))
    for name, values in errors.items():
        dataset[name] = (("closure",), values)
    reference = dataset.sel(closure=REFERENCE)
    dataset["similarity"] = 1 - 0.5 * (
        dataset["energy_spectrum_error"] / reference["energy_spectrum_error"]
        + dataset["pdf_distance"] / reference["pdf_distance"]
    )
    return dataset
