"""What was measured, gathered from the trainings that are finished."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from typing import Any

import benchmarks.data_needed as package
from benchmarks.data_needed.cases import CASES, target_flow
from benchmarks.data_needed.needed import samples_needed
from benchmarks.data_needed.trainings import (
    PERCENTAGES,
    SCRATCH_STEPS,
    SIZES,
    WAYS,
    Training,
)
from benchmarks.transfers.flows import Transfer
from benchmarks.transfers.networks import DEPTH, KERNEL, SEEDS, WIDTH, base_network
from benchmarks.transfers.truth import BATCH, LEARNING_RATE, STEPS
from spectune.provenance import machine, versions
from spectune.training import score

COMPARED = tuple(size for size, share in zip(SIZES, PERCENTAGES, strict=True) if share <= 10)


def record() -> dict[str, Any]:
    """Return everything that is committed."""
    return {
        "what": package.__doc__,
        "errors": "mean squared error over the variance of the target, 60 held-out samples",
        "command": "python -m benchmarks.data_needed",
        "versions": versions(),
        "machine": machine(),
        "network": {"width": WIDTH, "depth": DEPTH, "kernel": KERNEL},
        "training": {
            "steps": {"TLNN": STEPS, "all layers": STEPS, "scratch": SCRATCH_STEPS},
            "batch": BATCH,
            "learning_rate": LEARNING_RATE,
        },
        "samples": SIZES,
        "cases": [
            {"name": case.name, "paper_case": case.paper, "seeds": finished(case)} for case in CASES
        ],
    }


def finished(case: Transfer) -> list[dict[str, Any]]:
    """Return curves and numbers needed of every seed whose trainings are all there."""
    found = []
    for seed in SEEDS:
        curves = {way: _curve(way, case, seed) for way in WAYS}
        if all(curves.values()):
            errors = {way: [point["error"] for point in curves[way]] for way in WAYS}
            found.append(
                {
                    "seed": seed,
                    "base_network": _rounded(_untrained(case.base, case.target, seed)),
                    "curves": curves,
                    "needed": {way: _needed(errors["TLNN"], errors[way]) for way in WAYS[1:]},
                }
            )
    return found


def _curve(way: str, case: Transfer, seed: int) -> list[dict[str, Any]]:
    base = "" if way == "scratch" else case.base
    paths = [Training(way, base, case.target, seed, size).path for size in SIZES]
    if not all(path.exists() for path in paths):
        return []
    return [_rounded(json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def _needed(tlnn: list[float], other: list[float]) -> list[float | None]:
    """Return what the other way needs to reach what the TLNN does with few samples."""
    needed = (samples_needed(SIZES, other, error) for error in tlnn[: len(COMPARED)])
    return [value and float(f"{value:.3g}") for value in needed]


@cache
def _untrained(base: str, target: str, seed: int) -> dict[str, float]:
    _, judged = target_flow(target).pairs()
    return asdict(score(*base_network(base, seed), judged))


def _rounded(result: dict[str, Any]) -> dict[str, Any]:
    return {
        key: float(f"{value:.5g}") if isinstance(value, float) else value
        for key, value in result.items()
    }
