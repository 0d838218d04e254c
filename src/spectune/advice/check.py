"""The advice for a user's own network and data, checked by re-training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import nn

from spectune.advice.compare import compare
from spectune.advice.result import read_advice
from spectune.advice.sweep import Sweep
from spectune.advice.verify import verify
from spectune.atomic import write_text
from spectune.data import Pairs
from spectune.errors import DataError
from spectune.models import open_with_data
from spectune.training.fit import FitSettings

__all__ = ["Verification", "verify_advice"]


@dataclass(frozen=True)
class Verification:
    """The truth beside an advice.

    Attributes:
        advice: the content of its ``advice.json``.
        sweep: every candidate re-trained.
        comparison: regret, rank of the choice and rank correlation of every criterion, by name
            (see `compare`).
    """

    advice: Mapping[str, Any]
    sweep: Sweep
    comparison: dict[str, dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep and the comparison as plain values for JSON."""
        return self.sweep.to_dict() | {"comparison": self.comparison}


def verify_advice(
    model: nn.Module,
    folder: str | Path,
    target: Pairs | xr.Dataset | str | Path,
    held_out: Pairs | xr.Dataset | str | Path | None = None,
    base: Pairs | xr.Dataset | str | Path | None = None,
    *,
    settings: FitSettings,
    inputs: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    sample_dim: str | None = None,
    periodic: bool | None = None,
    standardize: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], Any] = lambda _done, _total: None,
) -> Verification:
    """Re-train every layer and set that an advice has ranked, and say how good the advice was.

        regret = (error of the choice − lowest error)/(BNN error − lowest error)

    Writes ``sweep.json`` beside the advice and keeps every re-training in ``sweep/``. Killed, it
    goes on where it was when it is called again.

    Args:
        model: the base network, as for `advise`.
        folder: where the advice was saved (`Advice.save`).
        target: target samples to train on.
        held_out: target samples to score on. Without them the later half of `target` scores and
            only the earlier half trains.
        base: base data, where `standardize` needs its statistics.
        settings: of every re-training.
        inputs: as for `advise`.
        targets: as for `advise`.
        sample_dim: as for `advise`.
        periodic: as for `advise`.
        standardize: as for `advise`.
        workers: see `verify`.
        scheduler: see `verify`.
        progress: called with the re-trainings done and in all.

    Raises:
        CaseError: there is no advice in the folder.
        DataError: data that cannot be used, or re-trainings of something else in the folder.
        LayerError: the advice is for another network.
    """
    folder = Path(folder)
    advice = read_advice(folder)

    opened = open_with_data(
        model,
        target,
        held_out=held_out,
        base=base,
        standardize=standardize,
        inputs=inputs,
        targets=targets,
        sample_dim=sample_dim,
        periodic=periodic,
    )
    training, judging = opened.target, opened.held_out
    if judging is None:
        training, judging = _halves(training)
    sweep = verify(
        opened.module,
        training,
        judging,
        opened.normalization,
        settings,
        folder / "sweep",
        progress,
        layers=[layer["name"] for layer in advice["layers"]],
        sets=[grown["layers"] for grown in advice["sets"]],
        workers=workers,
        scheduler=scheduler,
    )
    comparison = compare(advice["rankings"], tuple(advice["rankings"]), sweep)
    found = Verification(advice, sweep, comparison)
    write_text(folder / "sweep.json", json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    return found


def _halves(pairs: Pairs) -> tuple[Pairs, Pairs]:
    half = len(pairs) // 2
    if half < 1:
        raise DataError(f"target: found {len(pairs)} sample(s), expected at least 2")
    return pairs.subset(torch.arange(half)), pairs.subset(torch.arange(half, len(pairs)))
