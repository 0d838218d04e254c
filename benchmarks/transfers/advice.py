"""What the advice, and every criterion alone, says of each base network and target.

Costs are CPU seconds of one thread, like those of the truth.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from benchmarks.transfers.flows import FLOWS
from benchmarks.transfers.folders import RESULTS, RUNS
from benchmarks.transfers.networks import base_network
from benchmarks.transfers.truth import Sweep, sweeps
from spectune.advice import COSTLY, CRITERIA, Advice, Criterion, Problem, advise, score_criteria
from spectune.advice.criteria import ranking
from spectune.atomic import write_text
from spectune.models import Network
from spectune.provenance import machine, versions

Value = TypeVar("Value")

FORECASTS = RESULTS / "forecasts.json"
# The advice looks at so many of the samples, and of the base data.
SEEN = 10


def ask(sweep: Sweep) -> None:
    """Ask everything about one sweep, unless that is done."""
    path = RUNS / "advice" / sweep.transfer.folder / f"{sweep.seed}-{sweep.samples}.json"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    module, normalization = base_network(sweep.transfer.base, sweep.seed)
    pool, _ = FLOWS[sweep.transfer.target].pairs()
    home, _ = FLOWS[sweep.transfer.base].pairs()
    target, base = pool.spread(sweep.samples), home.spread(SEEN)
    network = Network(module, normalization).eval()
    advice, seconds = timed(lambda: advise(network, target, base, samples=SEEN))
    found = {
        "advice": {"ranking": list(advice.rankings["attainable decrease"]), "seconds": seconds}
    }
    with_sets, seconds = timed(lambda: advise(network, target, base, samples=SEEN, set_size=2))
    sets = {"best": list(with_sets.best), "seconds": seconds, "errors": with_training(with_sets)}
    problem = Problem.split(
        module.requires_grad_(True),
        target.spread(SEEN),
        normalization,
        base=base,
        training=sweep.samples,
    )
    names = [layer.name for layer in problem.layers]
    for name, criterion in (CRITERIA | COSTLY).items():
        scores, seconds = timed(partial(alone, problem, name, criterion))
        if scores:
            found[name] = {"ranking": list(ranking(names, scores)), "seconds": seconds}
    write_text(path, json.dumps({"criteria": found, "forecast": forecast(advice), "sets": sets}))


def alone(problem: Problem, name: str, criterion: Criterion) -> dict[str, float]:
    """Return the scores of one criterion, nothing shared with others."""
    return score_criteria(problem, criteria={name: criterion}).scores.get(name, {})


def timed(call: Callable[[], Value]) -> tuple[Value, float]:
    """Return what a call returns, and its CPU seconds."""
    started = time.process_time()
    value = call()
    return value, time.process_time() - started


def forecast(advice: Advice) -> dict[str, Any]:
    """Return the errors that the advice foresees, with its verdicts."""
    return {
        "bnn_error": advice.bnn_error,
        "layers": {
            layer.name: [layer.predicted_error, layer.low, layer.high] for layer in advice.layers
        },
        "verdicts": [verdict.name for verdict in advice.verdicts],
        "rivals": list(advice.rivals),
    }


def with_training(advice: Advice) -> dict[str, float]:
    """Return the errors foreseen for the samples that there are: best layer, sets, all layers."""
    assert advice.outlook is not None
    where = advice.outlook.samples.index(advice.outlook.training)
    return {name: errors[where] for name, errors in advice.outlook.errors.items()}


def write_forecasts() -> None:
    """Gather what was asked into one file, by transfer and sweep."""
    gathered: dict[str, dict[str, Any]] = {}
    for sweep in sweeps():
        path = RUNS / "advice" / sweep.transfer.folder / f"{sweep.seed}-{sweep.samples}.json"
        if path.exists():
            entry = json.loads(path.read_text())
            gathered.setdefault(sweep.transfer.name, {})[f"{sweep.seed}-{sweep.samples}"] = entry
    record = {
        "what": "layers by each criterion, best first, and the CPU seconds that it takes alone; "
        "forecast: error after re-training each layer, with the ends of its interval; sets: "
        "advised where pairs may be, with the errors foreseen for them and for all layers",
        "command": "python -m benchmarks.transfers",
        "versions": versions(),
        "machine": machine(),
        "transfers": gathered,
    }
    write_text(FORECASTS, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
