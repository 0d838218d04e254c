"""The cases: the paper's three transfers at desk size, with 200 target samples each.

The base networks are those of `benchmarks.transfers`, and so are the target flows, except that of
case 2: it gives 50 samples there, so it is simulated for longer here.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.transfers.flows import BASE, FLOWS, TRANSFERS, Flow
from benchmarks.transfers.folders import ROOT

RUNS = ROOT / "runs" / "data_needed"
CASES = tuple(transfer for transfer in TRANSFERS if transfer.paper)


def target_flow(name: str) -> Flow:
    """Return a target flow with 200 samples to train on."""
    flow = FLOWS[name]
    if not isinstance(flow, Flow):
        raise TypeError(f"{name}: found an observed flow, expected a simulated one")
    if flow.training == BASE:
        return flow
    return replace(flow, training=BASE, folder=RUNS / "flows")
