"""Simulate both flows of a case side by side, one process and one thread each."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import torch

from spectune.errors import SpectuneError
from spectune.experiments.case import Case
from spectune.experiments.generate import generate_pairs
from spectune.progress import Report
from spectune.provenance import versions

__all__ = ["simulate_flows"]

FLOWS = ("base", "target")


def simulate_flows(case: Case, folder: Path, report: Report) -> None:
    """Write ``base.zarr`` and ``target.zarr``; go on with what an earlier run left.

    Two processes of one thread are faster than one of two: a 256² transform is too small to share.

    Raises:
        SpectuneError: from either process; the other one is stopped, and keeps what it has stored.
    """
    context = multiprocessing.get_context("spawn")
    messages: Queue[tuple[str, str, Any]] = context.Queue()
    processes = {
        name: context.Process(target=_simulate, args=(case, name, folder, messages), daemon=True)
        for name in FLOWS
    }
    done = dict.fromkeys(FLOWS, 0.0)
    try:
        with _deaf_to_interrupts():
            for process in processes.values():
                process.start()
        while any(fraction < 1 for fraction in done.values()):
            try:
                kind, name, value = messages.get(timeout=1.0)
            except queue.Empty:
                dead = [n for n, p in processes.items() if done[n] < 1 and not p.is_alive()]
                if dead and messages.empty():  # what it had to say has been heard
                    raise _ended(dead[0], processes[dead[0]].exitcode) from None
                continue
            if kind == "error":
                raise value
            done[name] = value
            report(sum(done.values()) / len(done))
    finally:
        for process in processes.values():
            if process.pid is not None:
                process.terminate()
                process.join()


def _ended(name: str, exitcode: int | None) -> SpectuneError:
    return SpectuneError(
        f"the simulation of the {name} flow was ended from outside (exit code {exitcode}); what it "
        "stored is kept: run the same command to go on"
    )


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Hold back Ctrl-C; processes started meanwhile never hear it, not even while they start.

    It reaches every process of a terminal, and the parent decides what to do with it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _simulate(case: Case, name: str, folder: Path, messages: Queue[tuple[str, str, Any]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # An orphan would go on writing into the store that the next run continues.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        generate_pairs(
            case,
            getattr(case, name),
            folder / f"{name}.zarr",
            seed=case.seed + FLOWS.index(name),
            provenance={"case": case.name, "versions": versions()},
            progress=lambda fraction: messages.put(("progress", name, min(fraction, 0.999))),
        )
        messages.put(("progress", name, 1.0))
    except SpectuneError as error:
        messages.put(("error", name, type(error)(f"{name} flow: {error}")))
    except OSError as error:
        messages.put(("error", name, error))
