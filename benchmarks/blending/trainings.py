"""Base networks, and what they become on the target: from scratch, and along every trade-off."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.blending.fields import (
    POINTS,
    Patch,
    base_patches,
    fitted_length,
    grid,
    inputs,
    target_patches,
    whole,
    withheld,
)
from benchmarks.blending.tracks import interpolate
from benchmarks.transfers.folders import ROOT
from benchmarks.transfers.truth import BATCH, LEARNING_RATE, STEPS
from spectune.advice import advise
from spectune.atomic import write_text
from spectune.data import Normalization, Pairs
from spectune.models import CNN, Network, load_network, save_network
from spectune.provenance import versions
from spectune.training import (
    FitSettings,
    Observations,
    Pull,
    Replay,
    TradeOff,
    blend,
    fisher_diagonal,
    fit,
    match_layers,
    trade_off,
    trainable_layers,
)

RUNS = ROOT / "runs" / "blending"
SEEDS = (1, 2, 3)
OBSERVED = 20  # patches of the target that are observed
SCRATCH_STEPS = 1000
ARCHITECTURE: dict[str, Any] = {"width": 16, "depth": 8, "kernel": 5, "padding": "zeros"}
CURVES: dict[str, tuple[float, ...]] = {
    "nothing": (0.0,),
    "replay": (0.1, 0.3, 1.0, 3.0),
    "EWC": (0.1, 1.0, 10.0),
    "L²-SP": (0.01, 0.1, 1.0),
}
CHOICES = ("advised", "all")


@dataclass(frozen=True)
class Data:
    """Everything that is trained on and judged by.

    Attributes:
        base, base_held_out, target_held_out: pairs of what the network is given and what the
            interpolation of it misses.
        observed: patches of the target that are trained on.
        length: of the covariance of the base, by which the network's inputs are interpolated.
        target_length: of that of the target, by its observations.
    """

    base: Pairs
    base_held_out: Pairs
    target_held_out: Pairs
    held_out: list[Patch]
    observed: list[Patch]
    length: float
    target_length: float


@cache
def data() -> Data:
    """Return the data; always the same."""
    training, held_out = base_patches()
    pool, judged = target_patches()
    observed = [pool[(2 * i + 1) * len(pool) // (2 * OBSERVED)] for i in range(OBSERVED)]
    length = fitted_length(training[:: len(training) // 100])
    return Data(
        pairs(training, length),
        pairs(held_out, length),
        pairs(judged, length),
        judged,
        observed,
        length,
        fitted_length(observed),
    )


def pairs(patches: list[Patch], length: float) -> Pairs:
    """Return the inputs of patches, with what the interpolation misses of the fields."""
    given = inputs(patches, length)
    return _pairs(given, whole(patches) - given[:, :1])


def _pairs(given: Tensor, missing: Tensor) -> Pairs:
    return Pairs(given, missing, grid(), ("interpolated", "seen"), ("missing",))


def variance(fields: Pairs) -> float:
    """Return the variance of the fields about the mean of each."""
    field = fields.inputs[:, :1] + fields.targets
    return float((field - field.mean(dim=(2, 3), keepdim=True)).square().mean())


def base_network(seed: int) -> Network:
    """Return a network trained on the simulated patches; it is trained once."""
    path = RUNS / f"network-{seed}"
    if not (path / "network.json").exists():
        base = data().base
        normalization = Normalization.of(base, "simulated patches")
        torch.manual_seed(seed)
        module = CNN(2, 1, **ARCHITECTURE)
        path.mkdir(parents=True, exist_ok=True)
        fit(
            module,
            normalization.inputs(base.inputs),
            normalization.targets(base.targets),
            FitSettings(4, batch=8, seed=seed),
            state_path=path / "state.safetensors",
        )
        save_network(
            path,
            Network(module, normalization).eval(),
            factory="spectune.models:CNN",
            arguments={"inputs": 2, "outputs": 1} | ARCHITECTURE,
            grid=base.grid,
            provenance={"seed": seed} | versions(),
        )
    return load_network(path)[0].eval()


def observations(normalization: Normalization) -> Observations:
    """Return what is observed of the target, in standardised units."""
    given = inputs(data().observed, data().length)
    values, noise = withheld(data().observed)
    mask = torch.isfinite(values)
    unit = normalization.target_std.reshape(1, -1, 1, 1)
    return Observations(
        normalization.inputs(given),
        normalization.targets(values - given[:, :1]),
        mask=mask,
        variance=torch.where(mask, noise, 1.0) / unit**2,
    )


def advised(network: Network, seed: int) -> str:
    """Return the layer that is advised with an interpolation of all tracks as a stand-in."""
    path = RUNS / f"advice-{seed}.json"
    if not path.exists():
        given = inputs(data().observed, data().length)
        fields = np.stack(
            [interpolate(p.seen, POINTS, data().target_length) for p in data().observed]
        )
        missing = torch.tensor(fields[:, None], dtype=torch.float32) - given[:, :1]
        advice = advise(network, _pairs(given, missing), data().base.spread(20))
        write_text(path, json.dumps({"layers": list(advice.best), "why": advice.reason}))
    return str(json.loads(path.read_text(encoding="utf-8"))["layers"][0])


def run(seed: int) -> None:
    """Measure everything with one seed, unless that is done."""
    network = base_network(seed)
    module, normalization = network.module, network.normalization
    seen = observations(normalization)
    home = _standardized(normalization, data().base)
    names = {"advised": advised(network, seed), "all": "*"}
    judges = (
        _standardized(normalization, data().base_held_out),
        _standardized(normalization, data().target_held_out),
    )
    _kept(f"base-{seed}", lambda: trade_off(lambda _: module, [0.0], *judges))
    torch.manual_seed(seed)
    fresh = CNN(2, 1, **ARCHITECTURE)
    settings = FitSettings(SCRATCH_STEPS * BATCH // OBSERVED, BATCH, LEARNING_RATE, seed)
    _kept(
        f"scratch-{seed}",
        lambda: trade_off(lambda _: blend(fresh, seen, "*", settings)[0], [0.0], *judges),
    )
    settings = FitSettings(STEPS * BATCH // OBSERVED, BATCH, LEARNING_RATE, seed)
    for choice, layers in names.items():
        chosen = match_layers(trainable_layers(module), [layers])
        moving = [name for layer in chosen for name in layer.parameters]
        fisher = fisher_diagonal(module, moving, home[0][:100])
        terms: dict[str, Callable[[float], dict[str, Any]]] = {
            "nothing": lambda _: {},
            "replay": lambda weight: {"replay": Replay(*home, weight)},
            "EWC": partial(_pulled, fisher=fisher),
            "L²-SP": partial(_pulled, fisher=None),
        }
        for term, weights in CURVES.items():

            def retrained(
                weight: float,
                layers: str = layers,
                term: Callable[[float], dict[str, Any]] = terms[term],
            ) -> nn.Module:
                return blend(module, seen, layers, settings, **term(weight))[0]

            measure = partial(trade_off, retrained, weights, *judges)
            _kept(f"{choice}-{term}-{seed}", measure)


def _pulled(weight: float, fisher: dict[str, Tensor] | None) -> dict[str, Any]:
    return {"pull": Pull(weight, fisher)}


def _standardized(normalization: Normalization, given: Pairs) -> tuple[Tensor, Tensor]:
    return normalization.inputs(given.inputs), normalization.targets(given.targets)


def _kept(name: str, measure: Callable[[], list[TradeOff]]) -> None:
    path = RUNS / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps([asdict(point) for point in measure()]))
