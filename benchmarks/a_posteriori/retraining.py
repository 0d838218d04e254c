"""The ways of re-training that are compared, each with its budget.

Costs are counted in CPU seconds of one thread, which other processes do not change.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor, nn

import spectune as st
from benchmarks.a_posteriori.bursts import DT, SNAPSHOTS, STEPS, bursts, coarse_graining
from benchmarks.a_posteriori.folders import RUNS
from benchmarks.transfers.networks import base_network
from spectune.atomic import write_bytes, write_text
from spectune.data import Normalization
from spectune.online import ThroughSolver

BASE, LAYER = "small-scale", "conv2"
BATCH, LEARNING_RATE = 5, 1e-3
OFFLINE_STEPS, REFINING_STEPS = 300, 100

# What each is called, in the order of tables.
NONE = "base network"
OFFLINE = "offline"
MORE = "offline, equal steps"
LONG = "offline, equal CPU"
REFINED = "offline, then solver"
SOLVER = "solver"
LONG_OFFLINE = "equal CPU, then offline"
LONG_REFINED = "equal CPU, then solver"
WAYS = (NONE, OFFLINE, MORE, REFINED, LONG, LONG_OFFLINE, LONG_REFINED, SOLVER)
# All ways of one base network take about 11 minutes of one core, their scores 20; the others say
# whether what the first one shows is the seed's.
SEEDS = {1: WAYS, **dict.fromkeys((2, 3), (NONE, OFFLINE, MORE, REFINED))}


class Retraining:
    """One way of re-training one base network.

    Args:
        seed: of the base network and of the order of the samples.
        way: one of `WAYS`.
    """

    def __init__(self, seed: int, way: str) -> None:
        self.seed, self.way = seed, way
        self.folder = RUNS / f"{seed}" / way.replace(", ", "-").replace(" ", "-")

    def network(self) -> tuple[nn.Module, Normalization]:
        """Return the network in evaluation mode, with its normalisation."""
        module, normalization = base_network(BASE, self.seed)
        if self.way != NONE:
            self.run()
            module.load_state_dict(load_file(self._weights))
        return module.eval(), normalization

    @property
    def _weights(self) -> Path:
        return self.folder / "weights.safetensors"

    def cost(self) -> dict[str, Any]:
        """Return optimizer steps and CPU seconds, those of what it started from included."""
        if self.way == NONE:
            return {"steps": 0, "seconds": 0.0}
        self.run()
        cost: dict[str, Any] = json.loads((self.folder / "cost.json").read_text())
        return cost

    def run(self) -> None:
        """Re-train, unless that is done; go on where it was killed."""
        if self._weights.exists():
            return
        tuned, cost = {
            OFFLINE: self._offline,
            MORE: lambda: self._further(OFFLINE, REFINING_STEPS),
            LONG: self._long,
            REFINED: lambda: self._refined(OFFLINE),
            LONG_OFFLINE: lambda: self._further(LONG, self._steps_for(REFINED) - OFFLINE_STEPS),
            LONG_REFINED: lambda: self._refined(LONG),
            SOLVER: self._solver,
        }[self.way]()
        write_text(self.folder / "cost.json", json.dumps(cost))
        write_bytes(self._weights, save(tuned.state_dict()))

    def _offline(self) -> tuple[nn.Module, dict[str, Any]]:
        """As in benchmarks.transfers: 300 steps on 50 pairs, here the starts of the bursts."""
        return self._on_pairs(bursts().training[:, 0], OFFLINE_STEPS)

    def _long(self) -> tuple[nn.Module, dict[str, Any]]:
        """On all 250 snapshots, for the time that re-training offline and then online takes."""
        return self._on_pairs(bursts().training.flatten(0, 1), self._steps_for(REFINED))

    def _further(self, way: str, steps: int) -> tuple[nn.Module, dict[str, Any]]:
        """On all 250 snapshots, from a network that was re-trained on pairs."""
        before = Retraining(self.seed, way)
        tuned, cost = self._on_pairs(bursts().training.flatten(0, 1), steps, before)
        return tuned, _with(cost, before)

    def _steps_for(self, way: str) -> int:
        """Return the steps on pairs that take as long as another way."""
        there, offline = (Retraining(self.seed, one).cost()["seconds"] for one in (way, OFFLINE))
        return round(OFFLINE_STEPS * there / offline)

    def _on_pairs(
        self, fields: Tensor, steps: int, before: Retraining | None = None
    ) -> tuple[nn.Module, dict[str, Any]]:
        module, normalization = (before or Retraining(self.seed, NONE)).network()
        x = normalization.inputs(fields[:, :2].contiguous())
        y = normalization.targets(fields[:, 2:].contiguous())
        settings = self._settings(steps, len(x))
        return self._timed(
            settings,
            len(x),
            lambda **kept: st.transfer(module, x, y, LAYER, settings, **kept),
        )

    def _refined(self, way: str) -> tuple[nn.Module, dict[str, Any]]:
        """From a network that was re-trained offline."""
        before = Retraining(self.seed, way)
        tuned, cost = self._through_solver(*before.network(), REFINING_STEPS)
        return tuned, _with(cost, before)

    def _solver(self) -> tuple[nn.Module, dict[str, Any]]:
        """From the base network, with the optimizer steps of the offline re-training."""
        return self._through_solver(*base_network(BASE, self.seed), OFFLINE_STEPS)

    def _through_solver(
        self, module: nn.Module, normalization: Normalization, steps: int
    ) -> tuple[nn.Module, dict[str, Any]]:
        objective = ThroughSolver(
            coarse_graining().les,
            bursts().training[:, :, 1],
            dt=DT,
            every=STEPS // SNAPSHOTS,
            normalization=normalization,
            checkpointing=False,  # a batch of five small networks fits into memory
        )
        settings = self._settings(steps, len(objective))
        return self._timed(
            settings,
            len(objective),
            lambda **kept: st.transfer(
                module, None, None, LAYER, settings, objective=objective, **kept
            ),
        )

    def _settings(self, steps: int, samples: int) -> st.FitSettings:
        return st.FitSettings(round(steps * BATCH / samples), BATCH, LEARNING_RATE, self.seed)

    def _timed(
        self,
        settings: st.FitSettings,
        samples: int,
        train: Callable[..., tuple[nn.Module, Any]],
    ) -> tuple[nn.Module, dict[str, Any]]:
        """Train and return the steps and CPU seconds; of a resumed run those of its last part."""
        self.folder.mkdir(parents=True, exist_ok=True)
        epochs: list[int] = []
        started = time.process_time()
        tuned, _ = train(
            state_path=self.folder / "state.safetensors",
            log_path=self.folder / "log.csv",
            progress=epochs.append,
        )
        each = (time.process_time() - started) / max(len(epochs), 1)
        steps = settings.epochs * samples // BATCH
        return tuned, {"steps": steps, "seconds": each * settings.epochs}


def _with(cost: dict[str, Any], before: Retraining) -> dict[str, Any]:
    """Return what a re-training cost together with the one that it started from."""
    return {name: value + before.cost()[name] for name, value in cost.items()}
