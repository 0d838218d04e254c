"""Record, table and figure in results/training/."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

import benchmarks.blending as package
from benchmarks.blending.fields import POINTS
from benchmarks.blending.figure import write_figure
from benchmarks.blending.tracks import interpolate
from benchmarks.blending.trainings import (
    ARCHITECTURE,
    CHOICES,
    CURVES,
    OBSERVED,
    RUNS,
    SCRATCH_STEPS,
    SEEDS,
    base_network,
    data,
    variance,
)
from benchmarks.transfers.folders import ROOT
from benchmarks.transfers.truth import BATCH, LEARNING_RATE, STEPS
from spectune.atomic import write_text
from spectune.provenance import machine, versions

RESULTS = ROOT / "results" / "training"


def write_results() -> None:
    """Write blending.json, .md, .png and .pdf."""
    seeds = [_seed(seed) for seed in SEEDS if (RUNS / f"all-L²-SP-{seed}.json").exists()]
    record = {
        "what": package.__doc__,
        "errors": "mean squared error of the field over its variance, on held-out patches",
        "command": "python -m benchmarks.blending",
        "versions": versions(),
        "machine": machine(),
        "network": ARCHITECTURE,
        "training": {
            "steps": STEPS,
            "steps_from_scratch": SCRATCH_STEPS,
            "batch": BATCH,
            "learning_rate": LEARNING_RATE,
        },
        "patches": {
            "base": len(data().base),
            "base_held_out": len(data().base_held_out),
            "observed": OBSERVED,
            "target_held_out": len(data().held_out),
        },
        "interpolation": _interpolation(),
        "seeds": seeds,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    write_text(RESULTS / "blending.json", text + "\n")
    write_text(RESULTS / "blending.md", "\n".join(_table(record)) + "\n")
    write_figure(record, RESULTS / "blending")


def _interpolation() -> dict[str, dict[str, float]]:
    """Return the errors of interpolation without a network, by the covariance that it has."""
    held_out = data().held_out
    tuned = [
        (interpolate(patch.given, POINTS, data().target_length) - patch.field) ** 2
        for patch in held_out
    ]
    of_base = [
        float(pairs.targets.square().mean()) / variance(pairs)
        for pairs in (data().base_held_out, data().target_held_out)
    ]
    return {
        "covariance of the base": {
            "length": data().length,
            "base_error": of_base[0],
            "target_error": of_base[1],
        },
        "covariance of the target's observations": {
            "length": data().target_length,
            "target_error": float(np.mean(tuned)) / variance(data().target_held_out),
        },
    }


def _seed(seed: int) -> dict[str, Any]:
    unit = float(base_network(seed).normalization.target_std) ** 2
    scale = {
        "base_error": unit / variance(data().base_held_out),
        "target_error": unit / variance(data().target_held_out),
    }

    def curve(name: str) -> list[dict[str, float]]:
        points = json.loads((RUNS / f"{name}-{seed}.json").read_text(encoding="utf-8"))
        return [
            {"weight": point["weight"]}
            | {key: float(f"{point[key] * factor:.4g}") for key, factor in scale.items()}
            for point in points
        ]

    advice = json.loads((RUNS / f"advice-{seed}.json").read_text(encoding="utf-8"))
    return {
        "seed": seed,
        "advised": advice["layers"][0],
        "base network": curve("base")[0],
        "from scratch": curve("scratch")[0],
        "curves": {
            choice: {term: curve(f"{choice}-{term}") for term in CURVES} for choice in CHOICES
        },
    }


def _table(record: dict[str, Any]) -> list[str]:
    seeds = record["seeds"]
    of_base, of_target = record["interpolation"].values()
    lines = [
        "# Simulations and satellite observations blended",
        "",
        "`python -m benchmarks.blending`; mean squared error of the field over its variance on",
        "held-out patches, mean over seeds, lowest and highest. Task, data, split and limits:",
        "`benchmarks/blending/__init__.py`.",
        "",
        f"Seeds {', '.join(str(seed['seed']) for seed in seeds)}; advised layers "
        f"{', '.join(seed['advised'] for seed in seeds)}.",
        "",
        "| | weight | base (simulated) | target (observed) |",
        "| --- | --- | --- | --- |",
        f"| interpolation, covariance of the base | | {of_base['base_error']:.3f} | "
        f"{of_base['target_error']:.3f} |",
        f"| interpolation, covariance of the target | | | {of_target['target_error']:.3f} |",
    ]
    lines += [
        _row(name, "", [seed[name] for seed in seeds]) for name in ("base network", "from scratch")
    ]
    for choice in CHOICES:
        layers = "advised layer" if choice == "advised" else "all layers"
        for term, weights in CURVES.items():
            for i, weight in enumerate(weights):
                points = [seed["curves"][choice][term][i] for seed in seeds]
                shown = "" if term == "nothing" else f"{weight:g}"
                name = "observations alone" if term == "nothing" else term
                lines.append(_row(f"{layers}, {name}", shown, points))
    return lines


def _row(name: str, weight: str, points: list[dict[str, float]]) -> str:
    cells = []
    for key in ("base_error", "target_error"):
        values = [point[key] for point in points]
        cells.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    return f"| {name} | {weight} | {' | '.join(cells)} |"
