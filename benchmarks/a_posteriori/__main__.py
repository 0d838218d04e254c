"""Run the whole comparison, or the parts named; see `benchmarks.a_posteriori`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import torch

from benchmarks.a_posteriori.figure import write_figure
from benchmarks.a_posteriori.memory import write_memory
from benchmarks.a_posteriori.record import write_record
from benchmarks.a_posteriori.retraining import SEEDS
from benchmarks.a_posteriori.scores import REFERENCES, SCORES, score


def pieces() -> Iterator[tuple[int, str, str]]:
    """Yield all scores by seed, way of re-training and what is scored, the dearest last."""
    for wanted in (("offline", "forecast"), ("les",)):
        for seed, ways in SEEDS.items():
            for way in (*(REFERENCES if seed == min(SEEDS) else ()), *ways):
                for what in wanted:
                    yield seed, way, what


def compute() -> None:
    """Re-train and score what is missing."""
    torch.set_num_threads(1)
    for piece in pieces():
        score(*piece)
        print("done:", *piece, flush=True)


PARTS: dict[str, Callable[[], None]] = {
    "compute": compute,
    "memory": write_memory,
    "record": write_record,
    "figure": write_figure,
}

if __name__ == "__main__":
    assert set(SCORES) == {what for *_, what in pieces()}
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
