"""The large-eddy simulations of a case."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import xarray as xr

from spectune.closures import Smagorinsky
from spectune.data import Pairs
from spectune.experiments.case import Case
from spectune.experiments.generate import coarse_graining
from spectune.models import Network
from spectune.online import TRUTH, Closure, LESRun, online_scores, run_les
from spectune.progress import Report

__all__ = ["couple"]


def couple(case: Case, truth: Pairs, networks: Mapping[str, Network], report: Report) -> xr.Dataset:
    """Run the target LES with no closure, Smagorinsky and each network; score against filtered DNS.

    All runs start from the first held-out filtered DNS state and last `case.online.time`; the truth
    is the filtered DNS over the same span, as far as there is data.

    Args:
        case: the case; its target flow is simulated.
        truth: held-out target pairs in order of time.
        networks: by the name to show.
        report: takes the fraction done.
    """
    les = coarse_graining(case, case.target).les
    settings = case.online
    every = settings.steps
    snapshots = max(1, round(settings.time / (every * settings.dt)))
    closures: dict[str, Closure | None] = {
        "no closure": None,
        "Smagorinsky": Smagorinsky(truth.grid),
        **networks,
    }
    start = truth.inputs[0, 1]
    runs = {TRUTH: _as_run(truth.subset(slice(0, snapshots + 1)))}
    for done, (name, closure) in enumerate(closures.items()):
        runs[name] = run_les(
            les,
            start,
            closure,
            dt=settings.dt,
            every=every,
            snapshots=snapshots,
            progress=partial(_forward, report, done, snapshots, len(closures)),
            closure_steps=settings.closure_steps,
        )
    return online_scores(runs, truth.grid)


def _forward(report: Report, runs: int, snapshots: int, total: int, snapshot: int) -> None:
    report((runs + snapshot / snapshots) / total)


def _as_run(truth: Pairs) -> LESRun:
    assert truth.time is not None
    time = (truth.time - truth.time[0])[1:]
    return LESRun(time, truth.inputs[1:, 1], truth.targets[1:, 0], None, "")
