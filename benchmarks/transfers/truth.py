"""The truth: layers and sets of layers of every base network, re-trained on every target.

The budget of a re-training is a number of optimizer steps, the same for every number of samples.
Its cost is counted in CPU seconds of one thread, which other processes do not change.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.transfers.flows import FLOWS, TRANSFERS, Transfer
from benchmarks.transfers.folders import RUNS
from benchmarks.transfers.networks import SEEDS, base_network
from spectune.atomic import write_text
from spectune.data import Normalization
from spectune.training import FitSettings, score, trainable_layers, transfer

# 10 % and 2 % of the 500 samples that a user with plenty of data would train on.
SIZES = (50, 10)
STEPS, BATCH, LEARNING_RATE = 300, 5, 1e-3
# What stands beside the single layers: all of them together, and no re-training.
ALL, NONE = ("*",), ()


@dataclass(frozen=True)
class Sweep:
    """All re-trainings of one base network for one target with one number of samples."""

    transfer: Transfer
    seed: int
    samples: int

    @property
    def folder(self) -> Path:
        """Where its results are kept."""
        return RUNS / "truth" / self.transfer.folder / f"{self.seed}-{self.samples}"

    def choices(self, sets: bool) -> list[tuple[str, ...]]:
        """Return what is re-trained: each layer and all, or each pair of layers."""
        module, _ = base_network(self.transfer.base, self.seed)
        names = [layer.name for layer in trainable_layers(module)]
        if sets:
            return list(combinations(names, 2))
        return [NONE, *((name,) for name in names), ALL]

    def run(self, sets: bool = False) -> None:
        """Re-train what has not been."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for layers in self.choices(sets):
            path = self.folder / f"{name_of(layers)}.json"
            if not path.exists():
                write_text(path, json.dumps(self._retrained(layers)))

    def network(self, layers: Sequence[str]) -> tuple[nn.Module, Normalization]:
        """Return the bare network with some layers re-trained, and its normalisation."""
        module, normalization = base_network(self.transfer.base, self.seed)
        if not layers:
            return module, normalization
        pool, _ = FLOWS[self.transfer.target].pairs()
        training = pool.spread(self.samples)
        tuned, _ = transfer(
            module,
            normalization.inputs(training.inputs),
            normalization.targets(training.targets),
            layers,
            FitSettings(STEPS * BATCH // self.samples, BATCH, LEARNING_RATE, self.seed),
        )
        return tuned, normalization

    def _retrained(self, layers: Sequence[str]) -> dict[str, Any]:
        _, held_out = FLOWS[self.transfer.target].pairs()
        started = time.process_time()
        tuned, normalization = self.network(layers)
        seconds = time.process_time() - started
        return asdict(score(tuned, normalization, held_out)) | {"seconds": seconds}

    def results(self) -> dict[str, dict[str, Any]]:
        """Return what is there, by what was re-trained (`name_of`)."""
        return {path.stem: json.loads(path.read_text()) for path in self.folder.glob("*.json")}


def name_of(layers: Sequence[str]) -> str:
    """Return the name of what was re-trained: ``none``, ``conv2``, ``conv2+conv3`` or ``all``."""
    return "+".join(layers).replace("*", "all") or "none"


def sweeps(transfers: Sequence[Transfer] = TRANSFERS) -> Iterator[Sweep]:
    """Yield all sweeps, the first seed of all transfers first."""
    for seed in SEEDS:
        for transfer_ in transfers:
            for samples in SIZES:
                yield Sweep(transfer_, seed, samples)
