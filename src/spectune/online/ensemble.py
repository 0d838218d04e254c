"""Scores of ensembles of large-eddy simulations, with their spread and their blow-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import xarray as xr

from spectune.errors import CaseError
from spectune.online.budget import budget
from spectune.online.les import LESRun
from spectune.online.scores import REFERENCE
from spectune.online.statistics import distances, history, similarity, statistics
from spectune.systems import NavierStokes2D

__all__ = ["ensemble_scores"]

WORST = -1.0
"""Lowest score of a member: twice as far from the truth as without closure, or blown up."""


def ensemble_scores(
    runs: Mapping[str, Sequence[LESRun]],
    truth: LESRun,
    system: NavierStokes2D,
    *,
    bins: int = 81,
) -> xr.Dataset:
    r"""Return what `online_scores` does for every member, budgets, and mean and spread of each.

        similarity of a member   1 − d(member, truth)/d(no closure, truth)
        score                    mean over all members of max(similarity, −1), −1 for a blow-up
        survived                 members that ran to the end / members

    d(no closure, truth) is the mean over the members without closure that ran to the end. If none
    did, each of its distances is 1, that of a flow that is not there (`statistics.BLOWN_UP`), and
    similarity is 1 less the member's own mean distance.

    A member that blew up has no statistics: they are NaN, and ``<name>_mean`` and ``<name>_spread``
    (standard deviation with n − 1) are those of the members that ran to the end; read them beside
    ``survived``. Only ``score``, ``horizon`` and ``survived`` count every member.

    ``sampling_…`` are the distances between the halves of the truth, ``truth_…`` its statistics,
    with the exact Π.

    Args:
        runs: members by closure, one of them ``"no closure"``; each ran over the same times.
        truth: filtered DNS with its exact Π.
        system: the flow on the LES grid, for the budgets.
        bins: of the vorticity PDF, over ± 6 standard deviations of the truth.

    Returns:
        Dataset over ``closure`` and ``member``, NaN beyond the members that a closure has.
        ``horizon`` is the time until which a member was stable, at most the length of the run.

    Raises:
        CaseError: no runs without closure, a closure without members, or a truth that is too short.

    Source: SCIENCE protocol §6.
    """
    if REFERENCE not in runs or not all(runs.values()):
        raise CaseError(
            f"found members of { ({name: len(members) for name, members in runs.items()}) }; "
            f"expected at least one of each closure, and of '{REFERENCE}', which scores divide by"
        )
    if len(truth.time) < 2:
        raise CaseError(f"found {len(truth.time)} snapshots of the truth, expected 2 or more")
    scale = float(truth.omega.std())
    edges = np.linspace(-6, 6, bins + 1)

    def described(run: LESRun) -> xr.Dataset:
        return xr.merge([statistics(run, system.grid, scale, edges), _budgets(run, system)])

    true = described(truth)

    def member(run: LESRun) -> xr.Dataset:
        one = described(run)
        series = history(run, system.grid)[["energy", "enstrophy", "stable_until"]]
        return xr.merge([one, series, distances(one, true, system.grid)], join="outer")

    dataset = xr.concat(
        [_side_by_side([member(run) for run in members]) for members in runs.values()],
        dim=xr.DataArray(list(runs), dims="closure", name="closure"),
        join="outer",
    )
    count = xr.DataArray([len(members) for members in runs.values()], dims="closure")
    blown = dataset["stable_until"].notnull()
    present = dataset["member"] < count
    reference = dataset.sel(closure=REFERENCE).mean("member", skipna=True)
    dataset["similarity"] = similarity(dataset, reference)
    for name in [str(name) for name in dataset if name not in ("stable_until",)]:
        dataset[f"{name}_mean"] = dataset[name].mean("member", skipna=True)
        dataset[f"{name}_spread"] = _spread(dataset[name])
    dataset["members"] = count
    dataset["survived"] = 1 - blown.sum("member") / count
    scores = dataset["similarity"].clip(min=WORST).where(~blown, WORST).where(present)
    dataset["score"] = scores.mean("member")
    end = float(dataset["time"].max())
    dataset["horizon"] = dataset["stable_until"].where(blown, end).where(present)
    first, second = (statistics(part, system.grid, scale, edges) for part in _halves(truth))
    dataset = dataset.merge(_renamed(distances(first, second, system.grid), "sampling"))
    return dataset.merge(_renamed(true, "truth"))


def _side_by_side(members: list[xr.Dataset]) -> xr.Dataset:
    numbers = xr.DataArray(range(len(members)), dims="member", name="member")
    return xr.concat(members, dim=numbers, join="outer")


def _renamed(dataset: xr.Dataset, of: str) -> xr.Dataset:
    return dataset.rename({name: f"{of}_{name}" for name in dataset})


def _spread(values: xr.DataArray) -> xr.DataArray:
    """Return the standard deviation over the members that have a value; NaN for fewer than two."""
    enough = values.notnull().sum("member") > 1
    return values.where(enough).std("member", ddof=1, skipna=True)


def _budgets(run: LESRun, system: NavierStokes2D) -> xr.Dataset:
    whole = run.stable_until is None
    blank = torch.zeros(1, *system.grid.shape)
    terms = budget(system, *((run.omega, run.pi) if whole else (blank, blank)))
    means = {name: float(rate.mean()) if whole else torch.nan for name, rate in terms.items()}
    return xr.Dataset({name: ((), value) for name, value in means.items()})


def _halves(run: LESRun) -> list[LESRun]:
    half = len(run.time) // 2
    return [
        LESRun(run.time[part], run.omega[part], run.pi[part], None, "")
        for part in (slice(0, half), slice(half, None))
    ]
