"""Memory and time of one gradient through the solver, with and without checkpoints."""

from __future__ import annotations

import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch

from benchmarks.a_posteriori.bursts import DT, coarse_graining
from benchmarks.a_posteriori.folders import RUNS
from benchmarks.memory import peak_mib
from spectune.atomic import write_text
from spectune.models import CNN, fast_circular
from spectune.online import ThroughSolver
from spectune.systems import random_vorticity

LENGTHS, BATCH = (10, 40), 5
PATH = RUNS / "memory.json"


def write_memory() -> None:
    """Measure each length and kind in a process of its own, unless that is done."""
    if PATH.exists():
        return
    rows = []
    for steps in LENGTHS:
        for checkpointing in (True, False):
            # A process whose peak has no past.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                rows.append(pool.submit(gradient, steps, checkpointing).result())
    write_text(PATH, json.dumps(rows))


def gradient(steps: int, checkpointing: bool) -> dict[str, Any]:
    """Return what a gradient costs: of conv2 of the network of the comparison, a batch of 5."""
    torch.set_num_threads(1)
    flow = coarse_graining().les
    generator = torch.Generator().manual_seed(0)
    start = torch.stack(
        [random_vorticity(flow.grid, energy=1.0, generator=generator) for _ in range(BATCH)]
    ).float()
    objective = ThroughSolver(
        flow,
        torch.stack((start, 0.9 * start), 1),
        dt=DT,
        every=steps,
        checkpointing=checkpointing,
    )
    network = CNN(2, 1, width=16, depth=8, kernel=5, padding="circular")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("conv2"))
    batch = objective.draw(torch.arange(BATCH), generator)
    with fast_circular(network):
        with torch.no_grad():  # what is planned and compiled once
            objective.loss(network, *batch)
        before = peak_mib()
        started = time.process_time()
        objective.loss(network, *batch).backward()
    return {
        "steps": steps,
        "checkpointing": checkpointing,
        "extra_mib": peak_mib() - before,
        "seconds": time.process_time() - started,
    }
