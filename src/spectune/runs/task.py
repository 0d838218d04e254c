"""What a worker of a Dask cluster does: one group of members, as long as someone waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import torch
from distributed import get_worker
from distributed.core import Status

from spectune.errors import DataError, SpectuneError
from spectune.runs.group import GroupBusyError, GroupProgress, check_device, run_group

__all__ = ["settled", "simulate_group"]

# A worker tells of its group at most so often, in seconds; it passes through the scheduler.
REPORTS_APART = 0.2

# Between two looks at a group that another process still simulates.
LOOKS_APART = 0.5

# So long a cancelled run waits for its tasks to reach a snapshot and commit it, in seconds.
FAREWELL = 30.0

# Tasks in this process, by the topic of their run; those of a cancelled run leave at a snapshot.
_running: dict[str, int] = {}
_counting = threading.Lock()


def simulate_group(path: str, number: int, device: str, topic: str) -> bool | SpectuneError:
    """Simulate a group to the end of its run; may be started again, elsewhere, at any moment.

    A copy of the task that still runs, on a worker that the scheduler has lost sight of, holds the
    lock of the group: this one waits for its end, and goes on from what it has committed. A task
    that nobody waits for any more (Ctrl-C, or the master has died), or whose worker is about to
    close, commits and leaves.

    Args:
        path: store of the run, absolute.
        number: of the group.
        device: where its states live.
        topic: under which the scheduler passes on where the group is.

    Returns:
        Whether the group is at its end; False when the task left before. Or what the user can act
        on: no such device on the worker (CaseError), a run that has blown up (StabilityError), a
        store that the worker does not see or cannot write (DataError). To Dask these are results,
        so that it logs no failure.
    """
    torch.set_num_threads(1)  # as many tasks side by side as there are workers, each on its core
    if not Path(path).exists():
        return DataError(
            f"worker {get_worker().address} does not see {path}; workers need the file system of "
            "the machine that starts the run, under the same path"
        )
    tell = _Teller(topic)
    with _counting:
        _running[topic] = _running.get(topic, 0) + 1
    try:
        check_device(device)
        while _wanted():
            try:
                run_group(path, number, device=device, report=tell)
                return True
            except GroupBusyError:
                time.sleep(LOOKS_APART)
    except KeyboardInterrupt:
        pass  # of the teller; what there was is committed
    except SpectuneError as error:
        return error
    finally:
        with _counting:
            _running[topic] -= 1
    return False


async def settled(topic: str) -> None:
    """Return when no task of a cancelled run is left in this process, or none will leave soon."""
    last = time.monotonic() + FAREWELL
    while _running.get(topic, 0) and time.monotonic() < last:
        await asyncio.sleep(0.02)


class _Teller:
    """Passes on where a group is, and interrupts it when nobody waits for it any more."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._interval, self._told = 0.0, -REPORTS_APART

    def __call__(self, progress: GroupProgress) -> None:
        if not _wanted():
            raise KeyboardInterrupt
        self._interval += progress.interval
        now = time.monotonic()
        if now - self._told < REPORTS_APART and progress.time < progress.end:
            return
        message = {
            "number": progress.number,
            "time": progress.time,
            "interval": self._interval,
            "diagnostics": progress.diagnostics(),
        }
        get_worker().log_event(self._topic, {"progress": message})
        self._interval, self._told = 0.0, now


def _wanted() -> bool:
    """Whether to go on with the task: a thread that computes cannot be stopped from outside."""
    worker = get_worker()
    if worker.status not in (Status.running, Status.paused):
        return False
    task = worker.state.tasks.get(worker.get_current_task())
    return task is not None and task.state == "executing"
