"""Base networks: one for each base flow and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.transfers.flows import FLOWS, Flow
from benchmarks.transfers.folders import RUNS
from spectune.data import Normalization, Pairs
from spectune.models import CNN, Network, load_network, save_network
from spectune.provenance import versions
from spectune.training import FitSettings, fit

SEEDS = (1, 2, 3)
WIDTH, DEPTH, KERNEL = 16, 8, 5
BUDGET = {"epochs": 40, "batch": 8, "learning_rate": 1e-3}


def folder(flow: Flow, seed: int) -> Path:
    """Return where a base network is kept."""
    return RUNS / "networks" / f"{flow.name}-{seed}"


def architecture(pairs: Pairs) -> dict[str, Any]:
    """Return the arguments of the CNN for such pairs."""
    return {
        "inputs": len(pairs.input_names),
        "outputs": len(pairs.target_names),
        "width": WIDTH,
        "depth": DEPTH,
        "kernel": KERNEL,
        "ndim": pairs.grid.ndim,
        "padding": "circular" if pairs.grid.periodic else "zeros",
    }


def train(flow: Flow, seed: int) -> None:
    """Train the base network of a flow, unless that is done."""
    path = folder(flow, seed)
    if (path / "network.json").exists():
        return
    training, _ = flow.pairs()
    normalization = Normalization.of(training, f"training set of {flow.name}")
    arguments = architecture(training)
    torch.manual_seed(seed)
    module = CNN(**arguments)
    path.mkdir(parents=True, exist_ok=True)
    fit(
        module,
        normalization.inputs(training.inputs),
        normalization.targets(training.targets),
        FitSettings(**BUDGET, seed=seed),
        state_path=path / "state.safetensors",
    )
    save_network(
        path,
        Network(module, normalization).eval(),
        factory="spectune.models:CNN",
        arguments=arguments,
        grid=training.grid,
        provenance={"flow": flow.name, "seed": seed} | versions(),
    )


def base_network(name: str, seed: int) -> tuple[nn.Module, Normalization]:
    """Return the bare network of a base flow and its normalisation."""
    network, module, _ = load_network(folder(FLOWS[name], seed))
    return module, network.normalization
