"""The scores of all ensembles, as they are committed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
import xarray as xr

from benchmarks.online.cases import (
    CASES,
    LAYER_SEED,
    advised,
    compared,
    offline,
    single_layers,
    worst,
)
from benchmarks.online.closures import PHYSICS, SAMPLES, Physics, Spec, Trained
from benchmarks.online.folders import RESULTS
from benchmarks.online.simulate import (
    CLOSURE_STEPS,
    DT,
    EVERY,
    SNAPSHOTS,
    STARTS,
    Ensemble,
    les_system,
    truth,
)
from benchmarks.transfers.flows import Transfer
from benchmarks.transfers.networks import SEEDS
from spectune.atomic import write_text
from spectune.models import predict
from spectune.online import LESRun, ensemble_scores
from spectune.online.budget import TERMS
from spectune.provenance import machine, versions
from spectune.training.scores import target_variance

ONLINE = RESULTS / "online.json"
BUDGETS = tuple(f"{quantity}_{term}" for quantity in ("energy", "enstrophy") for term in TERMS)
MEANS = (
    "energy_spectrum_error",
    "enstrophy_spectrum_error",
    "pdf_distance",
    "kurtosis",
    "tail_probability",
    "diffusion",
    "backscatter",
    "backscatter_fraction",
    *BUDGETS,
    "similarity",
)
ALONE = ("members", "survived", "score")


def write_record() -> dict[str, Any]:
    """Score what has been run, write it down, and return it."""
    record = {
        "what": "statistics are means (and spread: standard deviation) over members that ran to "
        "the end; score and survived count all; offline: mean squared error of Π over its variance",
        "command": "python -m benchmarks.online",
        "versions": versions(),
        "machine": machine(),
        "simulation": {
            "points": 64,
            "dt": DT,
            "closure_steps": CLOSURE_STEPS,
            "interval": EVERY * DT,
            "time": EVERY * DT * SNAPSHOTS,
            "initial_states": list(STARTS),
        },
        "samples": SAMPLES,
        "cases": [_case(case) for case in CASES],
    }
    write_text(ONLINE, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def scores(case: Transfer, specs: Mapping[str, Sequence[Spec]]) -> xr.Dataset:
    """Return the scores of all members of the closures that have been run, seeds side by side."""
    runs = {name: [run for spec in group for run in members(spec)] for name, group in specs.items()}
    return ensemble_scores(runs, true_run(case.target), les_system(case.target))


def true_run(target: str) -> LESRun:
    """Return the filtered direct simulation as a run."""
    pairs = truth(target)
    assert pairs.time is not None
    return LESRun(pairs.time, pairs.inputs[:, 1], pairs.targets[:, 0], None, "")


@cache
def members(spec: Spec) -> list[LESRun]:
    """Return the runs of a closure."""
    return Ensemble(spec).whole()


def done(specs: Mapping[str, Spec]) -> dict[str, Spec]:
    """Return those that have been run."""
    return {name: spec for name, spec in specs.items() if Ensemble(spec).done}


def by_name(case: Transfer) -> dict[str, list[Spec]]:
    """Return the closures of a case that have been run, all seeds under one name."""
    found: dict[str, list[Spec]] = {}
    for name in PHYSICS:
        spec = Physics(name, case.target)
        if Ensemble(spec).done:
            found[name] = [spec]
    for seed in SEEDS:
        for name, spec in done(compared(case, seed)).items():
            if isinstance(spec, Trained):
                found.setdefault(name, []).append(spec)
    return found


def _case(case: Transfer) -> dict[str, Any]:
    pooled = by_name(case)
    dataset = scores(case, pooled)
    closures = {name: _row(dataset, name) | _offline(pooled[name]) for name in pooled}
    seeds: dict[str, Any] = {}
    for seed in SEEDS:
        specs = {name: [spec] for name, spec in done(compared(case, seed)).items()}
        if any(isinstance(spec, Trained) for (spec,) in specs.values()):
            one = scores(case, specs)
            seeds[str(seed)] = {
                "advised layer": advised(case, seed),
                "worst layer": worst(case, seed),
                "closures": {
                    name: _row(one, name) | _error(spec) for name, (spec,) in specs.items()
                },
            }
    return {
        "name": case.name,
        "paper_case": case.paper,
        "truth": _numbers({name: dataset[f"truth_{name}"] for name in MEANS if _of_truth(name)}),
        "sampling": _numbers({name: dataset[f"sampling_{name}"] for name in MEANS[:3]}),
        "closures": closures,
        "seeds": seeds,
        "layers": _layers(case),
    }


def _layers(case: Transfer) -> dict[str, Any]:
    """Return the order of single layers offline and online, of the seed that has them all."""
    specs = done(single_layers(case))
    reference = done(compared(case, LAYER_SEED))
    if len(specs) < len(single_layers(case)):
        return {}
    dataset = scores(case, {name: [spec] for name, spec in (reference | specs).items()})
    errors = offline(case, LAYER_SEED)
    table = pd.DataFrame(
        {
            "offline": pd.Series({name: errors[name] for name in specs}),
            "energy_spectrum_error": dataset["energy_spectrum_error_mean"].to_series()[list(specs)],
            "energy_spectrum_spread": dataset["energy_spectrum_error_spread"].to_series()[
                list(specs)
            ],
            "pdf_distance": dataset["pdf_distance_mean"].to_series()[list(specs)],
            "score": dataset["score"].to_series()[list(specs)],
            "survived": dataset["survived"].to_series()[list(specs)],
        }
    )
    ranks = table.rank()
    return {
        "seed": LAYER_SEED,
        "layers": {name: _numbers(dict(row)) for name, row in table.iterrows()},
        "rank_correlation": _numbers(
            {
                name: sign * ranks["offline"].corr(ranks[name])
                for name, sign in (("energy_spectrum_error", 1), ("pdf_distance", 1), ("score", -1))
            }
        ),
    }


def _row(dataset: xr.Dataset, name: str) -> dict[str, Any]:
    one = dataset.sel(closure=name)
    row: dict[str, Any] = _numbers({key: one[key] for key in ALONE})
    for key in MEANS:
        row[key] = _numbers({part: one[f"{key}_{part}"] for part in ("mean", "spread")})
    ends = one["horizon"].values
    row["horizon"] = [_rounded(value) for value in ends[: int(one["members"])]]
    return row


def _offline(specs: Sequence[Spec]) -> dict[str, Any]:
    trained = [spec for spec in specs if isinstance(spec, Trained)]
    if not trained:
        return {"seeds": None, "offline": None}
    errors = [offline_error(spec) for spec in trained]
    return {"seeds": [spec.seed for spec in trained], "offline": [_rounded(e) for e in errors]}


def _error(spec: Spec) -> dict[str, Any]:
    return {"offline": _rounded(offline_error(spec)) if isinstance(spec, Trained) else None}


@cache
def offline_error(spec: Trained) -> float:
    """Return mean((Π − Π_true)²)/var(Π_true) on the held-out samples of the target."""
    pairs = truth(spec.target)
    outputs = predict(spec.network(), pairs.inputs)
    error = (outputs - pairs.targets).square().mean()
    return float(error) / target_variance(pairs.targets)


def _of_truth(name: str) -> bool:
    return "error" not in name and name not in ("pdf_distance", "similarity")


def _numbers(values: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: Any) -> float | None:
    """JSON has no NaN."""
    number = float(value)
    return float(f"{number:.5g}") if math.isfinite(number) else None
