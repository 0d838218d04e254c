"""Scores of what was re-trained: of Π on pairs, of short forecasts, of long simulations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.a_posteriori.bursts import (
    DT,
    EVERY,
    FOLLOWED,
    bursts,
    coarse_graining,
)
from benchmarks.a_posteriori.folders import RUNS
from benchmarks.a_posteriori.retraining import Retraining
from benchmarks.transfers.flows import FLOWS
from spectune.atomic import write_text
from spectune.closures import NetworkClosure, Smagorinsky, SubgridModel
from spectune.online import LESRun, run_ensemble
from spectune.spectra import correlation, energy_spectrum

NO_CLOSURE, SMAGORINSKY = "no closure", "Smagorinsky"
REFERENCES = (NO_CLOSURE, SMAGORINSKY)

PAIRS_APART = 5  # snapshots of the held-out record, 0.75 time units
FORECASTS = 10
LOST = 0.9  # the horizon ends where the correlation with filtered DNS falls below this
LES_STARTS, LES_TIME, LES_EVERY = 3, 42.0, 80


def closure_of(seed: int, way: str) -> SubgridModel | None:
    """Return a closure; the references have no seed."""
    if way == NO_CLOSURE:
        return None
    if way == SMAGORINSKY:
        return Smagorinsky(coarse_graining().grid)
    module, normalization = Retraining(seed, way).network()
    return NetworkClosure(module, normalization, name=way)


def offline(closure: SubgridModel | None) -> dict[str, Any]:
    """Return error (over the variance of Π) and correlation on held-out pairs."""
    fields = bursts().held_out[::PAIRS_APART]
    truth = fields[:, 2:]
    if closure is None:
        return {"error": 1.0, "correlation": 0.0}
    with torch.no_grad():
        pi = torch.cat([closure(part) for part in torch.split(fields[:, :2], 10)])
    error = (pi - truth).square().mean() / truth.var(correction=0)
    return {"error": float(error), "correlation": correlation(pi, truth)}


def forecast(closure: SubgridModel | None) -> dict[str, Any]:
    """Return error and correlation of ω̄ by time, and the time for which it follows the DNS."""
    chosen = slice(None, None, len(bursts().starts()) // FORECASTS)
    truth = bursts().following()[chosen]
    runs = _simulate(closure, bursts().starts()[chosen], EVERY, FOLLOWED)
    found = torch.full_like(truth, torch.nan)
    for one, run in zip(found, runs, strict=True):
        one[: len(run.omega)] = run.omega
    error = (found - truth).square().mean((2, 3)) / truth.var((2, 3), correction=0)
    correlations = _correlation(found, truth)
    horizons = [_horizon(row) for row in correlations]
    return {
        "time": [DT * EVERY * (i + 1) for i in range(FOLLOWED)],
        "error": error.mean(0).tolist(),
        "correlation": correlations.nan_to_num(0.0).mean(0).tolist(),
        "horizons": horizons,
        "blown_up": sum(run.stable_until is not None for run in runs),
    }


def les(closure: SubgridModel | None) -> dict[str, Any]:
    """Return the energy spectrum of long simulations and its error, of each and of their mean."""
    starts = bursts().starts()[:: len(bursts().starts()) // LES_STARTS][:LES_STARTS]
    snapshots = round(LES_TIME / (DT * LES_EVERY))
    runs = _simulate(closure, starts, LES_EVERY, snapshots)
    whole = [run.omega for run in runs if run.stable_until is None]
    spectra = [energy_spectrum(omega, coarse_graining().grid).power for omega in whole]
    result: dict[str, Any] = {
        "stable_until": [run.stable_until for run in runs],
        "errors": [spectrum_distance(one) for one in spectra],
    }
    if len(spectra) == len(runs):
        mean = torch.stack(spectra).mean(0)
        result |= {"spectrum": mean.tolist(), "error": spectrum_distance(mean)}
        result["rms"] = float(torch.stack(whole).std())
    return result


@cache
def true_spectra() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return wavenumbers, E(k) of filtered DNS over 182 time units, and E(k) of both halves."""
    omega = torch.cat([pairs.inputs[:, 1] for pairs in FLOWS["forced"].pairs()])
    half = len(omega) // 2
    spectra = [
        energy_spectrum(w, coarse_graining().grid) for w in (omega, omega[:half], omega[half:])
    ]
    whole, first, second = (spectrum.power for spectrum in spectra)
    return spectra[0].wavenumber, whole, first, second


def spectrum_distance(energy: Tensor, true: Tensor | None = None) -> float:
    """Return the mean over 0 < k < 32 of |E − E_true|/E_true."""
    wavenumber, whole, _, _ = true_spectra()
    true = whole if true is None else true
    kept = (wavenumber > 0) & (wavenumber < 32)
    return float(((energy - true).abs() / true)[kept].mean())


def _simulate(
    closure: SubgridModel | None, starts: Tensor, every: int, snapshots: int
) -> list[LESRun]:
    return run_ensemble(
        coarse_graining().les,
        starts,
        closure,
        dt=DT,
        every=every,
        snapshots=snapshots,
        progress=lambda _: None,
    )


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = (x - x.mean((-2, -1), keepdim=True) for x in (a, b))
    products = (a * b).mean((-2, -1))
    return products / (a.square().mean((-2, -1)) * b.square().mean((-2, -1))).sqrt()


def _horizon(correlations: Tensor) -> float:
    """Return the last time at which the correlation had not fallen yet."""
    lost = ~(correlations >= LOST)  # also where a run ended
    steps = int(lost.nonzero()[0]) if bool(lost.any()) else len(correlations)
    return DT * EVERY * steps


SCORES: dict[str, Callable[[SubgridModel | None], dict[str, Any]]] = {
    "offline": offline,
    "forecast": forecast,
    "les": les,
}


def score(seed: int, way: str, what: str) -> dict[str, Any]:
    """Return a score, computed once."""
    found = finished(seed, way, what)
    if found is None:
        started = time.process_time()
        result = SCORES[what](closure_of(seed, way))
        found = result | {"seconds": time.process_time() - started}
        write_text(_path(seed, way, what), json.dumps(found))
    return found


def finished(seed: int, way: str, what: str) -> dict[str, Any] | None:
    """Return a score that was computed, or None."""
    path = _path(seed, way, what)
    return json.loads(path.read_text()) if path.exists() else None


def _path(seed: int, way: str, what: str) -> Path:
    folder = RUNS / "scores" / f"{seed}" / way.replace(", ", "-").replace(" ", "-")
    return folder / f"{what}.json"
