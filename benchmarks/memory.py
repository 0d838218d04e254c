"""Peak memory of this process, and what a call adds to it in a fresh one."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn


def peak_mib() -> float:
    """Return the largest resident memory of this process so far in MiB, imports included.

    Not that of `resource.getrusage`, which starts with what the parent process had at the fork.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def grown_mib(prepare: Callable[[], Callable[[int], object]], samples: int) -> float:
    """Return by how much a call raises the peak of a fresh process of one thread, in MiB.

    Args:
        prepare: makes the call in that process, a function at the top of a module. The call is
            given a number of samples; with two of them it first loads what is loaded once.
        samples: of the call that counts.
    """
    # What is freed goes back to the system at once, so that nothing hides in what is left over.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "32768"
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_grown_here, (prepare, samples))
    finally:
        del os.environ["MALLOC_MMAP_THRESHOLD_"]


def training_step(
    model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor
) -> Callable[[int], object]:
    """Return the call that takes one step of Adam on so many of the samples."""
    optimizer = torch.optim.Adam(model.parameters())

    def step(n: int) -> None:
        nn.functional.mse_loss(model(inputs[:n]), targets[:n]).backward()
        optimizer.step()

    return step


def _grown_here(prepare: Callable[[], Callable[[int], object]], samples: int) -> float:
    torch.set_num_threads(1)
    call = prepare()
    call(2)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = peak_mib()
    call(samples)
    return peak_mib() - before
