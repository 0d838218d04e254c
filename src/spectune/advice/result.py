"""What the advisor says, and how it is saved."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr
from torch import Tensor

from spectune.advice.outlook import Outlook
from spectune.advice.verdict import Verdict
from spectune.atomic import write_dataset, write_text
from spectune.errors import CaseError

__all__ = ["Advice", "LayerAdvice", "SetAdvice", "read_advice"]


@dataclass(frozen=True)
class LayerAdvice:
    """Forecast for one layer. Errors are mean squared errors over the variance of the target.

    Attributes:
        name: path of the layer in the model, or the pattern of a block.
        kind: class of the layer.
        weights: number of its weights.
        share: of all weights of the model.
        predicted_error: target error after re-training this layer alone.
        low, high: bootstrap interval of it over the judge samples, of coverage
            `Advice.interval_level`. It covers the error of the fit that was made, on other samples
            of the target; not what another fit sample or a longer training would change.
        band: scales at which most of the removed error lies, or "none".
        votes: how many of the criteria in `Advice.voters` have the layer in their best quarter.
        scores: value of each criterion; higher is to be re-trained first. A criterion that is not
            defined for the layer is left out.
        obstacle: why the layer cannot change the output, or nothing.
    """

    name: str
    kind: str
    weights: int
    share: float
    predicted_error: float
    low: float
    high: float
    band: str
    votes: int
    scores: dict[str, float]
    obstacle: str = ""


@dataclass(frozen=True)
class SetAdvice:
    """Forecast for layers that are re-trained together. Errors as in `LayerAdvice`.

    Attributes:
        layers: their names.
        weights: number of their weights.
        predicted_error: target error after re-training them.
        low, high: as in `LayerAdvice`.
    """

    layers: tuple[str, ...]
    weights: int
    predicted_error: float
    low: float
    high: float


@dataclass(frozen=True)
class Advice:
    """A ranking with reasons and cost.

    Attributes:
        best: names of the layers to re-train: the layer with the lowest forecast, or the set where
            sets were asked for.
        sets: the sets of two layers and more that were grown while the forecast fell, smallest
            first; none where only single layers were asked for or no second one helps.
        verdicts: what should be acted on before the ranking, most decisive first.
        rivals: layers that the sample cannot tell from the best.
        layers: forecast for each layer, in the order of the model.
        rankings: layer names by each criterion, best first; trivial criteria among them.
        voters: the criteria that have a vote: neither the forecast nor a trivial one.
        method: how the forecast was made, in a sentence.
        bnn_error: target error of the base network on the judge samples.
        base_error: its error on the base data, or None where none was given.
        rescaled_error: target error after amplitude and offset of each output channel are fitted.
        interval_level: coverage of the intervals of the layers; 0.9, less below 5 judge samples.
        weights: number of weights of the model.
        samples: target samples used; every second one judges.
        seconds: wall time of the advice.
        wavenumber: (nk,) radians per unit of length.
        correctable: (n_layers, nk) share of the error at each wavenumber that a layer removes,
            C_l(k) = 1 − E[f(x; θ + δ_l) − y](k)/E[f(x; θ) − y](k), E of the forecast.
        error_spectrum, truth_spectrum: (nk,) of the base network's error and of the target,
            standardised.
        reason: the choice in plain words.
        outlook: the best layer, the sets and all layers over the number of samples, where sets were
            asked for.
        landscape: the loss of each layer along its leading eigenvectors (`landscape_slices`), where
            a thorough advice was asked for.
    """

    best: tuple[str, ...]
    sets: tuple[SetAdvice, ...]
    verdicts: tuple[Verdict, ...]
    rivals: tuple[str, ...]
    layers: tuple[LayerAdvice, ...]
    rankings: dict[str, tuple[str, ...]]
    voters: tuple[str, ...]
    method: str
    bnn_error: float
    base_error: float | None
    rescaled_error: float
    interval_level: float
    weights: int
    samples: int
    seconds: float
    wavenumber: Tensor
    correctable: Tensor
    error_spectrum: Tensor
    truth_spectrum: Tensor
    reason: str
    outlook: Outlook | None = None
    landscape: xr.Dataset | None = None

    def ranked(self) -> list[LayerAdvice]:
        """Return the layers by forecast, lowest error first; those that cannot help come last."""
        return sorted(self.layers, key=lambda layer: (bool(layer.obstacle), layer.predicted_error))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but spectra and landscape as plain values for JSON."""
        apart = ("wavenumber", "correctable", "error_spectrum", "truth_spectrum", "landscape")
        values = asdict(replace(self, landscape=None))
        for name in apart:
            del values[name]
        plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))  # tuples to lists
        return plain

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
        """Write ``advice.json``, ``advice.nc`` and, of a thorough one, ``landscape.nc``."""
        write_dataset(folder / "advice.nc", self.to_dataset())
        if self.landscape is not None:
            write_dataset(folder / "landscape.nc", self.landscape)
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
        write_text(folder / "advice.json", text)


def read_advice(folder: str | Path) -> dict[str, Any]:
    """Return what `Advice.save` has written as ``advice.json``.

    Raises:
        CaseError: there is no advice in the folder.
    """
    path = Path(folder) / "advice.json"
    if not path.is_file():
        raise CaseError(f"{path}: there is no advice; `spectune advise` writes it")
    advice: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return advice
