"""The groups of a run as tasks on a Dask cluster."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from spectune.errors import DataError, SpectuneError
from spectune.runs.group import GroupProgress, spelled
from spectune.runs.store import RunStore

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["run_groups"]

# Errors of as many groups are told in full.
TOLD = 3


def run_groups(
    client: Client,
    store: RunStore,
    *,
    device: str,
    report: Callable[[GroupProgress], Any] | None,
) -> None:
    """Simulate all groups of a run, each as a task.

    A task is the same wherever and however often it is run: it goes on from what its group has
    committed. So Dask starts that of a worker that died again, on another one. Dask gives a task up
    when several workers (`distributed.scheduler.allowed-failures`, by default 3) died with it; it
    is submitted again if the group has come further in between. The bytes are those of a run in
    one process with one thread: initial states depend on the number of threads in the last digit.

    A group that fails does not stop the others; its error is raised when they have ended. Errors
    that are no `SpectuneError` are bugs and end the run at once.

    Args:
        client: of the cluster; its scheduler and workers have the same packages, its workers see
            the store under the same path.
        store: of the run, under its absolute path; its master is the caller.
        device: where states live, on the worker.
        report: called in this thread with where a group is, several times a second at most.

    Raises:
        SpectuneError: that of the first group that failed, with those of the others told too.
        DataError: the scheduler was lost, or a group kills its workers.
    """
    _Ensemble(client, store, device, report).run()


class _Ensemble:
    """The tasks of a run and what is known of them."""

    def __init__(
        self,
        client: Client,
        store: RunStore,
        device: str,
        report: Callable[[GroupProgress], Any] | None,
    ) -> None:
        self._client, self._store = client, store
        self._device, self._report = device, report
        self._groups = store.settings.groups
        self._topic = f"spectune-{uuid.uuid4().hex}"
        # What the threads of the client hear, for the thread of the caller.
        self._heard: SimpleQueue[Future[Any] | dict[str, Any]] = SimpleQueue()
        self._tasks: dict[Future[Any], int] = {}
        self._commits: dict[int, int | None] = {}
        self._done = [0.0] * len(self._groups)
        self._errors: dict[int, SpectuneError] = {}

    def run(self) -> None:
        self._client.subscribe_topic(self._topic, lambda event: self._heard.put(event[1]))
        try:
            for number in range(len(self._groups)):
                self._submit(number)
            while self._tasks:
                heard = self._heard.get()
                if isinstance(heard, dict):
                    self._moved(**heard["progress"])
                else:
                    self._ended(heard)
        except BaseException:
            self._stop()
            raise
        if self._errors:
            raise _together(self._errors)

    def _submit(self, number: int) -> None:
        from spectune.runs.task import simulate_group

        self._commits[number] = self._commit_of(number)
        task = self._client.submit(
            simulate_group,
            str(self._store.path),
            number,
            self._device,
            self._topic,
            key=f"{self._topic}-{number}-{uuid.uuid4().hex}",
            pure=False,
        )
        self._tasks[task] = number
        task.add_done_callback(self._heard.put)

    def _commit_of(self, number: int) -> int | None:
        """Return what changes with each commit of a group."""
        path = self._store.restart_path(self._groups[number])
        return path.stat().st_mtime_ns if path.exists() else None

    def _moved(
        self, number: int, time: float, interval: float, diagnostics: dict[str, float]
    ) -> None:
        settings = self._store.settings
        end = settings.spinup + settings.time
        self._done[number] = time / end
        if self._report is not None:
            self._report(
                GroupProgress(
                    number,
                    len(self._groups),
                    self._groups[number],
                    time,
                    end,
                    interval,
                    self._store.parameters.time_unit,
                    lambda: diagnostics,
                    sum(self._done) / len(self._done),
                )
            )

    def _ended(self, task: Future[Any]) -> None:
        from distributed import KilledWorker

        number = self._tasks.pop(task)
        if task.cancelled():
            raise DataError(
                f"{self._store.path}: the connection to the scheduler was lost; what was committed "
                "is kept: resume the run when there is a scheduler again"
            )
        try:
            outcome: bool | SpectuneError = task.result()
        except KilledWorker as killed:
            outcome = False
            if self._commit_of(number) == self._commits[number]:
                outcome = DataError(
                    f"{self._store.path}: {killed.allowed_failures + 1} workers died one after "
                    f"another with {spelled(self._groups[number])}, which came no further; look "
                    "into their logs (for example for memory), and resume the run"
                )
        if outcome is True:
            self._done[number] = 1.0
        elif outcome is False:
            self._submit(number)
        else:
            self._errors[number] = outcome

    def _stop(self) -> None:
        """End all tasks; those that run commit what they have."""
        from spectune.runs.task import settled

        if self._client.status != "running":
            return
        self._client.cancel(list(self._tasks))
        self._client.run(settled, self._topic, on_error="ignore")


def _together(errors: dict[int, SpectuneError]) -> SpectuneError:
    """Return the error of several groups: that of the first, which tells those of the others."""
    told = list(dict.fromkeys(str(errors[number]) for number in sorted(errors)))
    if len(told) > TOLD:
        told[TOLD:] = [f"… and {len(told) - TOLD} more"]
    return type(errors[min(errors)])("\n".join(told))
