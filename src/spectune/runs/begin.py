"""Begin a run or go on with one, as its only master."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectune.atomic import remove_leftovers
from spectune.errors import CaseError, DataError
from spectune.locks import alone
from spectune.provenance import versions
from spectune.runs.catalog import SystemParameters
from spectune.runs.settings import RunSettings
from spectune.runs.store import RunStore

__all__ = ["begun"]


@contextmanager
def begun(
    path: Path,
    parameters: SystemParameters,
    settings: RunSettings,
    *,
    resume: bool,
    command: str,
) -> Iterator[RunStore]:
    """Hold the store of a run, ready for its groups to be simulated to the end of `settings`.

    Args:
        path: the store, created if there is none.
        parameters: of the system.
        settings: of the run.
        resume: whether to go on with a store that is there.
        command: for its history.

    Raises:
        CaseError: the store is of other parameters or settings, or is planned to be longer.
        DataError: the store is there and not to be resumed, is that of something else or in use,
            or the disk is full or not writable.
    """
    if resume and path.exists():
        store = RunStore.open(path)
    else:
        store = RunStore.create(path, parameters, settings, versions=versions(), command=command)
    refusal = DataError(
        f"{path} is in use by another run; wait for it to end, or choose another store"
    )
    with alone(store.lock_path("run"), refusal):
        _same(RunStore.open(path), parameters, settings)
        remove_leftovers(path)
        # Stores that were killed at their birth; nobody else can give birth to this one any more.
        for leftover in path.parent.glob(f".{path.name}.*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)
        store.plan(settings)
        store.note(versions(), command)
        yield store
        # What a worker that was killed in the middle of a file has left behind.
        remove_leftovers(path)


def _same(store: RunStore, parameters: SystemParameters, settings: RunSettings) -> None:
    if store.parameters.name != parameters.name:
        raise CaseError(
            f"{store.path} is a run of {store.parameters.name}, not of {parameters.name}; choose "
            "another store"
        )
    there = store.parameters.model_dump() | store.settings.model_dump()
    asked = parameters.model_dump() | settings.model_dump()
    differ = [name for name in there if name != "time" and there[name] != asked[name]]
    if differ:
        lines = [
            f"  {name}: {there[name]} in the store, {asked[name]} asked for" for name in differ
        ]
        raise CaseError(
            f"{store.path} cannot be resumed with other parameters; give those of the store, or "
            "choose another one:\n" + "\n".join(lines)
        )
    if settings.snapshots < store.settings.snapshots:
        raise CaseError(
            f"{store.path} is planned for a time of {store.settings.time:g}, {settings.time:g} is "
            "asked for; give that time to finish it, or a longer one to extend it"
        )
