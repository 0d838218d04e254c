"""Train in three ways on so many target samples.

Costs are CPU seconds of one thread, which other processes do not change.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.data_needed.cases import CASES, RUNS, target_flow
from benchmarks.transfers.flows import BASE, FLOWS
from benchmarks.transfers.networks import DEPTH, KERNEL, SEEDS, WIDTH, base_network
from benchmarks.transfers.truth import BATCH, LEARNING_RATE, STEPS
from spectune.advice import advise
from spectune.atomic import write_text
from spectune.data import Normalization, Pairs
from spectune.models import CNN, Network
from spectune.training import FitSettings, History, fit, score, transfer

PERCENTAGES = (1, 2, 5, 10, 25, 50, 100)
SIZES = tuple(BASE * percentage // 100 for percentage in PERCENTAGES)
HELD_BACK = 5  # one sample in so many
SEEN = 10  # by the advice, of the target and of the base
SCRATCH_STEPS = 1000
WAYS = ("TLNN", "all layers", "scratch")


@dataclass(frozen=True)
class Training:
    """One network, trained on `samples` of a target.

    Attributes:
        way: one of `WAYS`.
        base: flow of the base network; empty from scratch, which the cases of a target share.
        target: flow.
        seed: of the base network or the first weights, and of the order of the samples.
        samples: those held back included.
    """

    way: str
    base: str
    target: str
    seed: int
    samples: int

    @property
    def path(self) -> Path:
        """Where its result is kept."""
        case = f"{self.base or 'scratch'}--{self.target}"
        return RUNS / "trainings" / case / f"{self.way}-{self.seed}-{self.samples}.json"

    def run(self) -> None:
        """Train, unless that is done."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self._result()))

    def _result(self) -> dict[str, Any]:
        pool, judged = target_flow(self.target).pairs()
        sample = pool.spread(self.samples)
        started = time.process_time()
        found: dict[str, Any] = {}
        if self.way == "scratch":
            module, normalization, history = self._scratch(sample)
        else:
            base, normalization = base_network(self.base, self.seed)
            layers = ["*"]
            if self.way == "TLNN":
                layers = self._advised(Network(base, normalization).eval(), sample)
                found["layers"] = layers
            found["advice_seconds"] = time.process_time() - started
            module, history = self._retrained(base, normalization, sample, layers)
        found["seconds"] = time.process_time() - started
        found |= {"best_epoch": history.best_epoch, "epochs": len(history.train)}
        return found | asdict(score(module, normalization, judged))

    def _advised(self, network: Network, sample: Pairs) -> list[str]:
        home, _ = FLOWS[self.base].pairs()
        return list(advise(network, sample, home.spread(SEEN), samples=SEEN).best)

    def _retrained(
        self, base: nn.Module, normalization: Normalization, sample: Pairs, layers: list[str]
    ) -> tuple[nn.Module, History]:
        training, held_back = split(sample)
        return transfer(
            base,
            normalization.inputs(training.inputs),
            normalization.targets(training.targets),
            layers,
            budget(len(training), STEPS, self.seed),
            held_out=_standardized(normalization, held_back),
        )

    def _scratch(self, sample: Pairs) -> tuple[nn.Module, Normalization, History]:
        training, held_back = split(sample)
        normalization = Normalization.of(training, f"{len(training)} samples of {self.target}")
        torch.manual_seed(self.seed)
        module = CNN(2, 1, width=WIDTH, depth=DEPTH, kernel=KERNEL)
        history = fit(
            module,
            *_standardized(normalization, training),
            budget(len(training), SCRATCH_STEPS, self.seed),
            held_out=_standardized(normalization, held_back),
        )
        return module, normalization, history


def split(sample: Pairs) -> tuple[Pairs, Pairs]:
    """Return what is trained on and what is held back, which is spread evenly over the sample."""
    held = max(1, len(sample) // HELD_BACK)
    chosen = torch.zeros(len(sample), dtype=torch.bool)
    chosen[((torch.arange(held) + 0.5) * len(sample) / held).long()] = True
    return sample.subset(~chosen), sample.subset(chosen)


def budget(samples: int, steps: int, seed: int) -> FitSettings:
    """Return settings that take about so many steps, and never stop before the last of them."""
    epochs = max(1, round(steps / math.ceil(samples / BATCH)))
    return FitSettings(epochs, BATCH, LEARNING_RATE, seed, patience=epochs)


def _standardized(normalization: Normalization, pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    return normalization.inputs(pairs.inputs), normalization.targets(pairs.targets)


def trainings() -> Iterator[Training]:
    """Yield all of them, the first seed of every case first."""
    for seed in SEEDS:
        for case in CASES:
            for samples in SIZES:
                for way in WAYS[:2]:
                    yield Training(way, case.base, case.target, seed, samples)
        for target in dict.fromkeys(case.target for case in CASES):
            for samples in SIZES:
                yield Training("scratch", "", target, seed, samples)
