"""Run all parts, or those named, in a process of one thread for each core."""

from __future__ import annotations

from functools import partial

from benchmarks.parts import Work, run_parts
from benchmarks.transfers.advice import ask
from benchmarks.transfers.flows import FLOWS, TRANSFERS
from benchmarks.transfers.networks import SEEDS, train
from benchmarks.transfers.results import write_results
from benchmarks.transfers.truth import sweeps


def flows() -> Work:
    """Simulate and coarse-grain."""
    return [flow.make for flow in FLOWS.values()]


def networks() -> Work:
    """Train the base networks."""
    bases = dict.fromkeys(transfer.base for transfer in TRANSFERS)
    return [partial(train, FLOWS[base], seed) for seed in SEEDS for base in bases]


def truth() -> Work:
    """Re-train each layer, and all."""
    return [sweep.run for sweep in sweeps()]


def sets() -> Work:
    """Re-train each pair of layers in the paper's cases."""
    paper = [transfer for transfer in TRANSFERS if transfer.paper]
    return [partial(sweep.run, sets=True) for sweep in sweeps(paper) if sweep.samples == 50]


def advice() -> Work:
    """Ask every criterion."""
    return [partial(ask, sweep) for sweep in sweeps()]


def table() -> Work:
    """Gather everything into tables and figures."""
    return [write_results]


PARTS = {part.__name__: part for part in (flows, networks, truth, sets, advice, table)}


if __name__ == "__main__":
    run_parts(PARTS)
