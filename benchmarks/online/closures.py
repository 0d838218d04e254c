"""The closures that are compared: physics, and networks by what they were trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.online.folders import RUNS
from benchmarks.transfers.flows import BASE, FLOWS, Transfer
from benchmarks.transfers.networks import BUDGET, architecture, base_network
from benchmarks.transfers.truth import ALL, BATCH, LEARNING_RATE, STEPS, Sweep
from spectune.closures import (
    DynamicLeith,
    DynamicSmagorinsky,
    GradientModel,
    Leith,
    NetworkClosure,
    Smagorinsky,
    SubgridModel,
)
from spectune.data import Normalization
from spectune.grid import Grid
from spectune.models import CNN, Network, load_network, save_network
from spectune.provenance import versions
from spectune.training import FitSettings, fit

SAMPLES = 50
BASE_STEPS = int(BUDGET["epochs"] * BASE / BUDGET["batch"])
"""Optimizer steps of a base network."""

PHYSICS: dict[str, Callable[[Grid], SubgridModel | None]] = {
    "no closure": lambda _: None,
    "Smagorinsky": Smagorinsky,
    "Leith": Leith,
    "dynamic Smagorinsky": DynamicSmagorinsky,
    "dynamic Leith": DynamicLeith,
}


def _mixed(gradient: float, viscous: float) -> Callable[[Grid], SubgridModel]:
    return lambda grid: gradient * GradientModel(grid) + viscous * Smagorinsky(grid)


# From closures that are too diffusive to ones that feed the small scales, by weights of the
# gradient model and of Smagorinsky; for the early warning.
MIXED: dict[str, Callable[[Grid], SubgridModel | None]] = {
    f"{gradient:g} gradient model {'-' if viscous < 0 else '+'} {abs(viscous):g} Smagorinsky": (
        _mixed(gradient, viscous)
    )
    for gradient, viscous in (
        *((1.0, weight) for weight in (0.0, 0.1, 0.5, -0.1, -0.2, -0.3, -0.5)),
        *((weight, 0.0) for weight in (1.5, 2.0, 3.0, 4.0)),
        *((0.0, weight) for weight in (-0.05, -0.1, -0.2, -0.4)),
    )
}


@dataclass(frozen=True)
class Trained:
    """A network of one seed by what it was trained on.

    Attributes:
        base: the flow of the base network, or "" for one trained on the target alone.
        target: the flow that it was re-trained for, and runs in.
        seed: of the base network and of the order of samples.
        what: "none", a layer, "all"; of a network trained on the target alone "scratch", with as
            many steps as a base network, or "short", with those of a re-training.
    """

    base: str
    target: str
    seed: int
    what: str

    @property
    def name(self) -> str:
        """Name of its folders."""
        return "-".join(part for part in (self.base, self.what, str(self.seed)) if part)

    def closure(self, grid: Grid) -> SubgridModel:  # noqa: ARG002 (as of `Physics`)
        """Return the network as a closure."""
        return NetworkClosure(self.network(), name=self.name)

    def network(self) -> Network:
        """Return the network, trained unless that is done; its weights are kept."""
        if self.what == "none":
            module, normalization = base_network(self.base, self.seed)
            return Network(module, normalization).eval()
        folder = RUNS / "networks" / self.target / self.name
        if not (folder / "network.json").exists():
            self._train(folder)
        return load_network(folder)[0]

    def _train(self, folder: Path) -> None:
        pairs, _ = FLOWS[self.target].pairs()
        if not self.base:
            steps = {"scratch": BASE_STEPS, "short": STEPS}[self.what]
            module, normalization = _from_scratch(self.target, self.seed, steps)
        else:
            sweep = Sweep(Transfer(self.base, self.target, ""), self.seed, SAMPLES)
            module, normalization = sweep.network(ALL if self.what == "all" else (self.what,))
        save_network(
            folder,
            Network(module, normalization).eval(),
            factory="spectune.models:CNN",
            arguments=architecture(pairs),
            grid=pairs.grid,
            provenance={"target": self.target, "seed": self.seed, "of": self.name} | versions(),
        )


def _from_scratch(target: str, seed: int, steps: int) -> tuple[torch.nn.Module, Normalization]:
    """Train on the samples of the target alone."""
    flow = FLOWS[target]
    pool, _ = flow.pairs()
    training = pool.spread(SAMPLES)
    normalization = Normalization.of(training, f"{SAMPLES} samples of {target}")
    torch.manual_seed(seed)
    module = CNN(**architecture(training))
    fit(
        module,
        normalization.inputs(training.inputs),
        normalization.targets(training.targets),
        FitSettings(steps * BATCH // SAMPLES, BATCH, LEARNING_RATE, seed),
    )
    return module, normalization


@dataclass(frozen=True)
class Physics:
    """A closure without weights."""

    name: str
    target: str

    def closure(self, grid: Grid) -> SubgridModel | None:
        """Return it."""
        return (PHYSICS | MIXED)[self.name](grid)


@dataclass(frozen=True)
class Undamped:
    """A network less a part of Smagorinsky: one that diffuses too little, for the early warning."""

    network: Trained
    weight: float

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.network.name} - {self.weight:g} Smagorinsky"

    @property
    def target(self) -> str:
        """The flow that it runs in."""
        return self.network.target

    def closure(self, grid: Grid) -> SubgridModel:
        """Return it."""
        return self.network.closure(grid) - self.weight * Smagorinsky(grid)


Spec = Trained | Physics | Undamped
"""A closure in a flow, with `name`, `target` and `closure`."""
