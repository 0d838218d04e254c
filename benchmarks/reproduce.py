"""Run the demonstration with several seeds and keep what was found in results/demo/.

Each seed has its own initial states, network and order of samples. Runs are kept in
runs/reproduce/ and go on where they stopped.
"""

import json
import math
from pathlib import Path
from typing import Any

import xarray as xr
from rich.console import Console

from spectune.atomic import write_text
from spectune.experiments import demo_case, run_case
from spectune.provenance import machine, versions

ROOT = Path(__file__).parent.parent
SEEDS = (1, 2, 3)


def main() -> None:
    """Run all seeds and write one JSON file and one table."""
    runs = []
    for seed in SEEDS:
        case = demo_case().model_copy(update={"seed": seed})
        folder = ROOT / "runs" / "reproduce" / f"seed-{seed}"
        run_case(case, folder, command="make reproduce", console=Console())
        runs.append(_summary(folder, seed))
    record = {"command": "make reproduce", "versions": versions(), "machine": machine()}
    out = ROOT / "results" / "demo"
    write_text(out / "summary.json", json.dumps(record | {"runs": runs}, indent=2) + "\n")
    write_text(out / "summary.md", _table(runs))


def _summary(folder: Path, seed: int) -> dict[str, Any]:
    advice = json.loads((folder / "advice.json").read_text(encoding="utf-8"))
    sweep = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    with xr.open_dataset(folder / "online.nc", engine="h5netcdf") as online:
        les = {
            str(name): {
                score: _finite(float(online[score].sel(closure=name)))
                for score in ("energy_spectrum_error", "pdf_distance", "similarity", "stable_until")
            }
            for name in online["closure"].values
        }
    return {
        "seed": seed,
        "forecast": {layer["name"]: layer["predicted_error"] for layer in advice["layers"]},
        "measured": {layer["name"]: layer["error"] for layer in sweep["layers"]},
        "all_layers": sweep["all_layers"]["error"],
        "bnn_error": sweep["bnn_error"],
        "base_error": advice["base_error"],
        "comparison": sweep["comparison"],
        "les": les,
    }


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def _table(runs: list[dict[str, Any]]) -> str:
    lines = [
        "# The demonstration with several seeds",
        "",
        "`make reproduce`; errors are mean squared error / variance of Π on held-out target",
        "samples.",
        "",
        "| seed | BNN at home | BNN on target | advised | its error | best layer | its error | "
        "all layers | regret | Spearman |",
        "| --- " * 10 + "|",
    ]
    for run in runs:
        found = run["comparison"]["attainable decrease"]
        best = min(run["measured"], key=lambda name: run["measured"][name])
        cells = (
            str(run["seed"]),
            f"{run['base_error']:.3f}",
            f"{run['bnn_error']:.3f}",
            found["choice"],
            f"{run['measured'][found['choice']]:.3f}",
            best,
            f"{run['measured'][best]:.3f}",
            f"{run['all_layers']:.3f}",
            f"{found['regret']:.3f}",
            f"{found['spearman']:.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    criteria = list(runs[0]["comparison"])
    lines += [
        "",
        "| criterion | "
        + " | ".join(f"choice, regret (seed {run['seed']})" for run in runs)
        + " |",
        "| --- " * (len(runs) + 1) + "|",
    ]
    for criterion in criteria:
        cells = [
            f"{entry['choice']}, {entry['regret']:.3f}"
            for entry in (run["comparison"][criterion] for run in runs)
        ]
        lines.append(f"| {criterion} | " + " | ".join(cells) + " |")
    closures = [name for name in runs[0]["les"] if name != "filtered DNS"]
    lines += [
        "",
        "| large-eddy simulation, energy-spectrum error | "
        + " | ".join(f"seed {run['seed']}" for run in runs)
        + " |",
        "| --- " * (len(runs) + 1) + "|",
    ]
    for name in closures:
        cells = [_les_cell(run["les"][name]) for run in runs]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _les_cell(scores: dict[str, float | None]) -> str:
    until = scores["stable_until"]
    if until is not None:
        return f"blew up at t = {until:.3g}"
    return f"{scores['energy_spectrum_error']:.3f}"


if __name__ == "__main__":
    main()
