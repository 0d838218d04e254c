"""The truth tables that are committed: a new criterion is judged by them in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.transfers.flows import FLOWS, TRANSFERS
from benchmarks.transfers.folders import RESULTS
from benchmarks.transfers.networks import BUDGET, DEPTH, KERNEL, WIDTH, base_network
from benchmarks.transfers.truth import BATCH, LEARNING_RATE, STEPS, Sweep, sweeps
from spectune.atomic import write_text
from spectune.provenance import machine, versions
from spectune.training import score

TRUTH = RESULTS / "truth.json"


def write_truth() -> None:
    """Gather all finished sweeps into one file."""
    record = {
        "what": "errors: mean squared error over the variance of the target, 60 held-out samples; "
        "seconds: of CPU, one thread; 'none': the base network, 'all': all layers",
        "command": "python -m benchmarks.transfers",
        "versions": versions(),
        "machine": machine(),
        "network": {"width": WIDTH, "depth": DEPTH, "kernel": KERNEL},
        "training": BUDGET,
        "re-training": {"steps": STEPS, "batch": BATCH, "learning_rate": LEARNING_RATE},
        "flows": {name: flow.title for name, flow in FLOWS.items()},
        "transfers": [
            {"name": t.name, "half": t.half, "paper_case": t.paper}
            | {"sweeps": [_entry(sweep) for sweep in sweeps([t]) if _finished(sweep)]}
            for t in TRANSFERS
        ],
    }
    write_text(TRUTH, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _finished(sweep: Sweep) -> bool:
    return (sweep.folder / "all.json").exists()


def _entry(sweep: Sweep) -> dict[str, Any]:
    return {
        "seed": sweep.seed,
        "samples": sweep.samples,
        "base_error": _error_at_home(sweep),
        "retrained": {name: _rounded(result) for name, result in sweep.results().items()},
    }


def _rounded(result: dict[str, float]) -> dict[str, float]:
    return {key: float(f"{value:.5g}") for key, value in result.items()}


def _error_at_home(sweep: Sweep) -> float:
    module, normalization = base_network(sweep.transfer.base, sweep.seed)
    _, held_out = FLOWS[sweep.transfer.base].pairs()
    return float(f"{score(module, normalization, held_out).error:.5g}")


def read_truth(path: Path = TRUTH) -> dict[str, Any]:
    """Return the committed record."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record
