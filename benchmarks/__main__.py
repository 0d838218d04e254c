"""Run every benchmark, or those named; print ratios and write them to results/benchmarks/."""

import json
import sys
from pathlib import Path

from benchmarks import (
    activations,
    advice,
    curvature,
    dataset,
    kernels,
    les,
    peers,
    solver,
    solver_cuda,
    training,
)
from spectune.atomic import write_text
from spectune.provenance import machine, versions

FOLDER = Path(__file__).parent.parent / "results" / "benchmarks"


def main() -> None:
    """Run, print and write."""
    all_of_them = (
        solver,
        solver_cuda,
        dataset,
        peers,
        kernels,
        activations,
        training,
        advice,
        curvature,
        les,
    )
    modules = {module.__name__.rpartition(".")[2]: module for module in all_of_them}
    for name in sys.argv[1:] or modules:
        module = modules[name]
        rows = module.run()
        if not rows:
            print(f"\n{name}: nothing to measure on this machine")
            continue
        record = {
            "what": module.__doc__,
            "command": f"make benchmark (python -m benchmarks {name})",
            "versions": versions(),
            "machine": machine(),
            "rows": rows,
        }
        write_text(FOLDER / f"{name}.json", json.dumps(record, indent=2) + "\n")
        print(f"\n{module.__doc__}")
        for row in rows:
            print("  " + "  ".join(f"{key} {_shown(value)}" for key, value in row.items()))


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
