"""Tables of the online results, with what was seen in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.online.cases import LAYER_SEED
from benchmarks.online.folders import RESULTS
from benchmarks.online.remarks import remarks
from benchmarks.transfers.table import markdown
from spectune.atomic import write_text

ORDER = (
    "no closure",
    "Smagorinsky",
    "Leith",
    "dynamic Smagorinsky",
    "dynamic Leith",
    "base network",
    "worst layer",
    "advised layer",
    "all layers",
    "target alone, short",
    "target alone",
    "plenty of target data",
)


def write_tables(record: Mapping[str, Any], warning: Mapping[str, Any]) -> None:
    """Write summary.md."""
    time, interval = (record["simulation"][name] for name in ("time", "interval"))
    lines = [
        "# Closures inside the large-eddy simulation",
        "",
        f"`python -m benchmarks.online`; LES at 64², {time:g} time units, three initial states for",
        "each closure and network seed. Mean ± standard deviation over the members that ran to the",
        "end, initial states and seeds together.",
        "",
        "- Π offline: mean squared error over variance on held-out samples.",
        "- energy, enstrophy: mean over k of |E − E_true|/E_true; PDF: total variation.",
        "- tail: share of |ω̄| > 3 standard deviations of the truth, in per cent.",
        "- diffusion, backscatter: ⟨max(T, 0)⟩ and ⟨max(−T, 0)⟩, T = Π ∇²ω̄, over the diffusion of",
        "  the truth.",
        "- survived: members that ran to the end. score: mean similarity, 1 for the truth, 0",
        "  for no closure, −1 for a blow-up.",
        "- sampling: the same distances between the halves of the truth (60 snapshots every",
        f"  {interval:g}); differences below it mean nothing.",
        "- short: as many steps as a re-training, 300; otherwise 1000, as a base network.",
        "",
        *remarks(record),
        "",
        "![Spectra, distributions, offline and online error](online.png)",
        "",
        "*Top: mean and range of the members. Bottom: each network, a dot a seed; circles are the",
        f"single layers of seed {LAYER_SEED}, by number; dash-dotted: Smagorinsky; grey: sampling",
        "error of the truth.*",
        "",
    ]
    for case in record["cases"]:
        lines += [f"## {case['name']}", "", markdown(_closures(case)), ""]
        lines += ["Budgets, in units of the input of the truth:", ""]
        lines += [markdown(_budgets(case)), ""]
        lines += list(_layers(case))
    lines += list(_warning(warning))
    write_text(RESULTS / "summary.md", "\n".join(lines).rstrip() + "\n")


def _closures(case: Mapping[str, Any]) -> pd.DataFrame:
    true, sampling = case["truth"], case["sampling"]
    rows: dict[str, dict[str, str]] = {
        "filtered DNS": {
            "seeds": "",
            "Π offline": "",
            "energy": f"({_number(sampling['energy_spectrum_error'])})",
            "enstrophy": f"({_number(sampling['enstrophy_spectrum_error'])})",
            "PDF": f"({_number(sampling['pdf_distance'], 3)})",
            "tail": _number(100 * true["tail_probability"]),
            "kurtosis": _number(true["kurtosis"]),
            "diffusion": "1.00",
            "backscatter": _number(true["backscatter"] / true["diffusion"]),
            "survived": "",
            "score": "",
        }
    }
    for name in ORDER:
        if name not in case["closures"]:
            continue
        one = case["closures"][name]
        errors = one["offline"]
        rows[name] = {
            "seeds": str(len(errors)) if errors else "",
            "Π offline": _number(float(np.mean(errors)), 3) if errors else "",
            "energy": _spread(one["energy_spectrum_error"]),
            "enstrophy": _spread(one["enstrophy_spectrum_error"]),
            "PDF": _spread(one["pdf_distance"], 3),
            "tail": _spread(one["tail_probability"], scale=100),
            "kurtosis": _spread(one["kurtosis"]),
            "diffusion": _spread(one["diffusion"], scale=1 / true["diffusion"]),
            "backscatter": _spread(one["backscatter"], scale=1 / true["diffusion"]),
            "survived": f"{round(one['survived'] * one['members'])}/{one['members']:.0f}",
            "score": _number(one["score"]),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis("closure (sampling error of the truth)")


def _budgets(case: Mapping[str, Any]) -> pd.DataFrame:
    columns = [
        f"{quantity}_{term}"
        for quantity in ("energy", "enstrophy")
        for term in ("input", "dissipation", "drag", "closure")
    ]
    true = case["truth"]
    rows = {"filtered DNS, exact Π": {name: true[name] for name in columns}}
    for name in ORDER:
        if name in case["closures"]:
            rows[name] = {column: case["closures"][name][column]["mean"] for column in columns}
    shown = {
        name: {
            column.replace("_", ", "): _number(
                None if value is None else value / true[f"{column.split('_')[0]}_input"], 3
            )
            for column, value in row.items()
        }
        for name, row in rows.items()
    }
    return pd.DataFrame.from_dict(shown, orient="index").rename_axis("closure")


def _layers(case: Mapping[str, Any]) -> Iterator[str]:
    found = case["layers"]
    if not found:
        return
    correlation = found["rank_correlation"]
    yield (
        f"Every single layer of seed {found['seed']}. Rank correlation of the error offline with "
        f"that of the energy spectrum {_number(correlation['energy_spectrum_error'])}, with the "
        f"PDF distance {_number(correlation['pdf_distance'])}, with the (negative) score "
        f"{_number(correlation['score'])}:"
    )
    yield ""
    rows = {
        name: {
            "Π offline": _number(one["offline"], 3),
            "energy": _spread(
                {"mean": one["energy_spectrum_error"], "spread": one["energy_spectrum_spread"]}
            ),
            "PDF": _number(one["pdf_distance"], 3),
            "score": _number(one["score"]),
            "survived": _number(one["survived"]),
        }
        for name, one in sorted(found["layers"].items(), key=lambda item: item[1]["offline"])
    }
    yield markdown(pd.DataFrame.from_dict(rows, orient="index").rename_axis("re-trained"))
    yield ""


def _warning(warning: Mapping[str, Any]) -> Iterator[str]:
    halves = warning["halves"]
    yield "## Early warning"
    yield ""
    yield (
        f"From the first {warning['looked_at_until']:.3g} time units, 5 % of a run, whether it "
        "will blow up later. Thresholds are from closures in the flow `forced`, judged by closures "
        "in other flows and networks made less diffusive: "
        + "; ".join(
            f"{name}: {half['closures']} closures, {half['runs']} runs, of which "
            f"{half['blew up within the part']} blew up within that part and "
            f"{half['blew up later']} later"
            for name, half in halves.items()
        )
        + ". Each indicator alone has the threshold with the most hits less false alarms; the last "
        "row is an alarm of any above its highest value in a run that lasted ("
        + ", ".join(f"{n} {v:.3g}" for n, v in warning["thresholds"]["safe"].items())
        + ")."
    )
    yield ""
    rows = {
        name: {
            "threshold": _number(warning["thresholds"]["best"].get(name)),
            **{
                f"{what}, {half}": f"{one[half][count]}/{one[half][of]}"
                for half in ("choose", "judge")
                for what, count, of in (
                    ("hits", "hits", "blow_ups"),
                    ("false alarms", "false_alarms", "lasting"),
                )
            },
        }
        for name, one in warning["judged"].items()
    }
    yield markdown(pd.DataFrame.from_dict(rows, orient="index").rename_axis("indicator"))


def _spread(value: Mapping[str, Any], digits: int = 2, scale: float = 1.0) -> str:
    if value["mean"] is None:
        return "—"
    text = _number(value["mean"] * scale, digits)
    spread = value["spread"]
    return text if spread is None else f"{text} ± {_number(spread * scale, digits)}"


def _number(value: float | None, digits: int = 2) -> str:
    return "—" if value is None else f"{value:.{digits}f}"
