"""Run all parts, or those named, in a process of one thread for each core."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch

from benchmarks.data_needed.cases import CASES, target_flow
from benchmarks.data_needed.results import write_results
from benchmarks.data_needed.trainings import trainings as every_training

Work = list[Callable[[], None]]


def flows() -> Work:
    """Simulate the targets that are longer than those of the transfers."""
    return [target_flow(name).make for name in dict.fromkeys(case.target for case in CASES)]


def trainings() -> Work:
    """Train in all ways on every number of samples."""
    return [training.run for training in every_training()]


def table() -> Work:
    """Write the record, the table and the figure."""
    return [write_results]


PARTS = {part.__name__: part for part in (flows, trainings, table)}


def main() -> None:
    """Run the parts one after another."""
    with ProcessPoolExecutor(
        max_workers=len(os.sched_getaffinity(0)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=partial(torch.set_num_threads, 1),
    ) as pool:
        for name in sys.argv[1:] or PARTS:
            work: Iterable[Callable[[], None]] = PARTS[name]()
            for done in [pool.submit(one) for one in work]:
                done.result()


if __name__ == "__main__":
    main()
