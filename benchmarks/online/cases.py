"""The paper's three cases, and in which order their simulations are run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

from benchmarks.online.closures import MIXED, PHYSICS, SAMPLES, Physics, Spec, Trained, Undamped
from benchmarks.transfers.advice import FORECASTS
from benchmarks.transfers.flows import TRANSFERS, Transfer
from benchmarks.transfers.networks import SEEDS
from benchmarks.transfers.record import read_truth
from benchmarks.transfers.table import layer_errors

CASES = tuple(transfer for transfer in TRANSFERS if transfer.paper)
LAYER_SEED = 1
"""The seed of which every single layer is run, and what serves the early warning alone."""
FOREIGN = (
    ("forced", "small-scale"),
    ("viscous", "small-scale"),
    ("decaying", "small-scale"),
    ("small-scale", "turbulent"),
    ("viscous", "forced"),
    ("forced", "turbulent"),
    ("decaying", "turbulent"),
)
"""Base and target of networks that run where they were not trained, for the early warning."""


@cache
def offline(case: Transfer, seed: int) -> dict[str, float]:
    """Return the held-out error of what was re-trained; "none" is the base network."""
    (found,) = (entry for entry in read_truth()["transfers"] if entry["name"] == case.name)
    (sweep,) = (s for s in found["sweeps"] if (s["seed"], s["samples"]) == (seed, SAMPLES))
    names = ("none", *sorted(layer_errors(sweep).index), "all")
    return {name: sweep["retrained"][name]["error"] for name in names}


def layers(case: Transfer, seed: int) -> tuple[str, ...]:
    """Return the names of the single layers."""
    return tuple(name for name in offline(case, seed) if name not in ("none", "all"))


def advised(case: Transfer, seed: int) -> str:
    """Return the layer that the advice named."""
    forecasts = json.loads(FORECASTS.read_text(encoding="utf-8"))["transfers"][case.name]
    choice: str = forecasts[f"{seed}-{SAMPLES}"]["criteria"]["advice"]["ranking"][0]
    return choice


def worst(case: Transfer, seed: int) -> str:
    """Return the layer whose re-training leaves the largest held-out error."""
    return max(layers(case, seed), key=offline(case, seed).__getitem__)


def compared(case: Transfer, seed: int) -> dict[str, Spec]:
    """Return the closures of a case's table by what they are called there."""
    base, target = case.base, case.target
    specs: dict[str, Spec] = {
        **{name: Physics(name, target) for name in ("no closure", "Smagorinsky")},
        "base network": Trained(base, target, seed, "none"),
        "advised layer": Trained(base, target, seed, advised(case, seed)),
        "worst layer": Trained(base, target, seed, worst(case, seed)),
        "all layers": Trained(base, target, seed, "all"),
        "target alone": Trained("", target, seed, "scratch"),
        "target alone, short": Trained("", target, seed, "short"),
    }
    if target == "forced":
        specs["plenty of target data"] = Trained("forced", target, seed, "none")
    return specs


def single_layers(case: Transfer) -> dict[str, Spec]:
    """Return every single layer of the seed that has them all."""
    return {
        name: Trained(case.base, case.target, LAYER_SEED, name) for name in layers(case, LAYER_SEED)
    }


def undamped(weight: float) -> list[Undamped]:
    """Return networks of one seed less so much of Smagorinsky."""
    networks = [Trained("forced", "forced", LAYER_SEED, "none")]
    networks += [Trained(case.base, case.target, LAYER_SEED, "none") for case in CASES]
    return [Undamped(network, weight) for network in networks]


def plan() -> Iterator[Spec]:
    """Yield all closures once, so that what is there at any time says most."""
    tables = {(seed, case): list(compared(case, seed).values()) for seed in SEEDS for case in CASES}
    first, *others = SEEDS
    last = CASES[-1]
    targets = dict.fromkeys(case.target for case in CASES)
    ordered: list[Spec] = []
    for case in reversed(CASES):
        ordered += tables[first, case]
    ordered += [Physics(name, target) for target in targets for name in PHYSICS | MIXED]
    ordered += single_layers(last).values()
    ordered += undamped(1.0)
    later = [spec for seed in others for spec in tables[seed, last]]
    ordered += [spec for spec in later if isinstance(spec, Trained) and spec.base == last.base]
    ordered += undamped(0.5)
    ordered += later
    ordered += [Trained(*pair, LAYER_SEED, "none") for pair in FOREIGN]
    ordered += undamped(0.25)
    for case in reversed(CASES[:-1]):
        for seed in others:
            ordered += tables[seed, case]
    for case in CASES[:-1]:
        ordered += single_layers(case).values()
    yield from dict.fromkeys(ordered)
