"""What the advisor says, and how it is saved."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from torch import Tensor

from spectune.atomic import write_dataset, write_text

__all__ = ["Advice", "LayerAdvice"]


@dataclass(frozen=True)
class LayerAdvice:
    """Forecast for one layer. Errors are mean squared errors over the variance of the target.

    Attributes:
        name: path of the layer in the model.
        kind: class of the layer.
        weights: number of its weights.
        share: of all weights of the model.
        predicted_error: target error after re-training this layer alone.
        low, high: 90 % bootstrap interval of it over the judge samples.
        excess_low: lower end of the same interval of its error minus that of the advised layer,
            sample by sample; above zero, the sample tells the two apart.
        band: scales at which most of the removed error lies, or "none".
        scores: value of each criterion; higher is to be re-trained first.
    """

    name: str
    kind: str
    weights: int
    share: float
    predicted_error: float
    low: float
    high: float
    excess_low: float
    band: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Advice:
    """A ranking with reasons and cost.

    Attributes:
        best: names of the layers to re-train.
        layers: forecast for each layer, in the order of the model.
        rankings: layer names by each criterion, best first; trivial criteria among them.
        bnn_error: target error of the base network on the judge samples.
        base_error: its error on the base data, or None where none was given.
        samples: target samples used.
        seconds: wall time of the advice.
        wavenumber: (nk,) radians per unit of length.
        correctable: (n_layers, nk) share of the error at each wavenumber that a layer removes,
            C_l(k) = 1 − E[f(x; θ + δ_l) − y](k)/E[f(x; θ) − y](k), judged with the real network.
        error_spectrum, truth_spectrum: (nk,) of the base network's error and of the target,
            standardised.
        reason: the choice in plain words.
    """

    best: tuple[str, ...]
    layers: tuple[LayerAdvice, ...]
    rankings: dict[str, tuple[str, ...]]
    bnn_error: float
    base_error: float | None
    samples: int
    seconds: float
    wavenumber: Tensor
    correctable: Tensor
    error_spectrum: Tensor
    truth_spectrum: Tensor
    reason: str

    def ranked(self) -> list[LayerAdvice]:
        """Return the layers by forecast, lowest error first."""
        return sorted(self.layers, key=lambda layer: layer.predicted_error)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the spectra as plain values for JSON."""
        return {
            "best": list(self.best),
            "bnn_error": self.bnn_error,
            "base_error": self.base_error,
            "samples": self.samples,
            "seconds": self.seconds,
            "reason": self.reason,
            "layers": [asdict(layer) for layer in self.layers],
            "rankings": {name: list(order) for name, order in self.rankings.items()},
        }

    def to_dataset(self) -> xr.Dataset:
        """Return the spectra with their wavenumbers."""
        return xr.Dataset(
            {
                "correctable": (("layer", "wavenumber"), self.correctable.numpy()),
                "error_spectrum": ("wavenumber", self.error_spectrum.numpy()),
                "truth_spectrum": ("wavenumber", self.truth_spectrum.numpy()),
            },
            coords={
                "layer": [layer.name for layer in self.layers],
                "wavenumber": self.wavenumber.numpy(),
            },
        )

    def save(self, folder: Path) -> None:
        """Write ``advice.json`` and ``advice.nc`` into a folder."""
        write_dataset(folder / "advice.nc", self.to_dataset())
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
        write_text(folder / "advice.json", text)
