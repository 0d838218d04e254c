"""The facts of a run, computed once from its files; no words and no drawing here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from spectune.report.run_folder import RunFolder

__all__ = ["ClosureScore", "Findings", "find", "number"]


def number(value: Any) -> float:
    """A float from a file, NaN where it holds nothing."""
    return float("nan") if value is None else float(value)


@dataclass(frozen=True)
class ClosureScore:
    """How one closure did inside the large-eddy simulation."""

    name: str
    blew_up_at: float
    energy: float
    enstrophy: float
    pdf: float
    similarity: float
    backscatter: float

    @property
    def stable(self) -> bool:
        """Whether the simulation reached its end."""
        return not np.isfinite(self.blew_up_at)


@dataclass(frozen=True)
class Findings:
    """What a run found.

    Attributes:
        error: relative mean squared error of "BNN on base", "BNN on target", "TLNN on target".
        correlation: likewise.
        spectrum_error: likewise.
        bands: error of the spectrum by band, for each of the three.
        advised: the layer that the advice chose.
        sweep: layer → error after re-training it alone, in network order.
        bnn_error: error of the base network in the sweep.
        all_layers: error after re-training all layers.
        regret: of the advised layer; 0 the best, 1 no better than the base network.
        forecast_hits: number of layers whose measured error lies inside the forecast interval.
        spearman: rank correlation of forecast and measured errors.
        regrets: criterion → regret of its choice.
        advice_seconds: cost of the advice.
        sweep_seconds: cost of re-training each layer alone.
        closures: scores by closure, without the truth.
        online_time: length of the simulations.
        sampling: energy- and enstrophy-spectrum error and PDF distance between the halves of the
            truth: what a finite run leaves open.
    """

    error: Mapping[str, float]
    correlation: Mapping[str, float]
    spectrum_error: Mapping[str, float]
    bands: Mapping[str, Mapping[str, float]]
    advised: str
    sweep: Mapping[str, float]
    bnn_error: float
    all_layers: float
    regret: float
    forecast_hits: int
    spearman: float
    regrets: Mapping[str, float]
    advice_seconds: float
    sweep_seconds: float
    closures: Mapping[str, ClosureScore]
    online_time: float
    sampling: tuple[float, ...]

    @property
    def ranked(self) -> list[str]:
        """Layers by measured error, best first; a failed re-training comes last."""
        return sorted(self.sweep, key=lambda name: np.nan_to_num(self.sweep[name], nan=np.inf))

    @property
    def best(self) -> str:
        """The layer with the lowest measured error."""
        return self.ranked[0]

    @property
    def rank(self) -> int:
        """Rank of the advised layer, 1 for the best; 0 if the sweep does not have it."""
        return self.ranked.index(self.advised) + 1 if self.advised in self.sweep else 0

    @property
    def speedup(self) -> float:
        """Cost of the sweep ÷ cost of the advice."""
        return self.sweep_seconds / self.advice_seconds if self.advice_seconds > 0 else np.nan

    def closest(self, score: str = "similarity") -> list[ClosureScore]:
        """Closures that ran to the end, the best of a score first."""
        sign = -1 if score == "similarity" else 1
        alive = [c for c in self.closures.values() if c.stable and np.isfinite(getattr(c, score))]
        return sorted(alive, key=lambda c: float(sign * getattr(c, score)))


def find(run: RunFolder) -> Findings:
    """Compute the facts of a run."""
    offline = run.offline
    sweep = {str(entry["name"]): number(entry["error"]) for entry in run.sweep["layers"]}
    checked = run.sweep["comparison"].get("attainable decrease", {})
    forecast = {
        str(entry["name"]): (number(entry.get("low")), number(entry.get("high")))
        for entry in run.advice["layers"]
    }
    common = [name for name in forecast if name in sweep]
    experiments = [str(e) for e in offline["experiment"].values]
    return Findings(
        error=_by(offline, "relative_mse", experiments),
        correlation=_by(offline, "correlation", experiments),
        spectrum_error=_by(offline, "spectrum_error", experiments),
        bands={
            e: {
                str(b): float(offline["band_spectrum_error"].sel(experiment=e, band=b))
                for b in offline["band"].values
            }
            for e in experiments
        },
        advised=run.advised,
        sweep=sweep,
        bnn_error=number(run.sweep["bnn_error"]),
        all_layers=number(run.sweep["all_layers"].get("error")),
        regret=number(checked.get("regret")),
        forecast_hits=sum(forecast[name][0] <= sweep[name] <= forecast[name][1] for name in common),
        spearman=number(checked.get("spearman")),
        regrets={
            str(name): number(entry.get("regret"))
            for name, entry in run.sweep["comparison"].items()
        },
        advice_seconds=number(run.advice["seconds"]),
        sweep_seconds=number(run.sweep["seconds"]),
        closures=_closures(run.online),
        online_time=float(run.online["time"].max()),
        sampling=tuple(
            float(run.online[f"sampling_{score}"])
            for score in ("energy_spectrum_error", "enstrophy_spectrum_error", "pdf_distance")
        ),
    )


def _by(offline: xr.Dataset, name: str, experiments: Sequence[str]) -> dict[str, float]:
    return {e: float(offline[name].sel(experiment=e)) for e in experiments}


def _closures(online: xr.Dataset) -> dict[str, ClosureScore]:
    scores = {}
    for name in (str(c) for c in online["closure"].values):
        if name == "filtered DNS":
            continue
        one = online.sel(closure=name)
        backscatter = one.get("backscatter_fraction")
        scores[name] = ClosureScore(
            name=name,
            blew_up_at=float(one["stable_until"]),
            energy=float(one["energy_spectrum_error"]),
            enstrophy=float(one["enstrophy_spectrum_error"]),
            pdf=float(one["pdf_distance"]),
            similarity=float(one["similarity"]),
            backscatter=float("nan") if backscatter is None else float(backscatter),
        )
    return scores
