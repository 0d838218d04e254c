"""The parts of a long computation, each a list of pieces that may run side by side."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch

__all__ = ["Work", "run_parts"]

Work = list[Callable[[], None]]


def run_parts(parts: Mapping[str, Callable[[], Iterable[Callable[[], None]]]]) -> None:
    """Run the parts that the command line names, or all, one after another.

    The pieces of a part run in a process of one thread for each core.
    """
    with ProcessPoolExecutor(
        max_workers=len(os.sched_getaffinity(0)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=partial(torch.set_num_threads, 1),
    ) as pool:
        for name in sys.argv[1:] or parts:
            for done in [pool.submit(piece) for piece in parts[name]()]:
                done.result()
