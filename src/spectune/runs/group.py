"""Simulate one group of members into the store of a run: what one worker does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from spectune.errors import CaseError, DataError, StabilityError
from spectune.locks import alone
from spectune.runs.restart import write_snapshot
from spectune.runs.settings import RunSettings
from spectune.runs.stepper import Stepper
from spectune.runs.store import RunStore
from spectune.runs.writer import GroupWriter
from spectune.systems import Snapshot

__all__ = ["GroupBusyError", "GroupProgress", "check_device", "run_group", "spelled"]

# Between two commits to disk at most so long, or a chunk: what a killed run has to compute again.
COMMIT_SECONDS = 10.0


class GroupBusyError(DataError):
    """Another process simulates the group."""


@dataclass(frozen=True)
class GroupProgress:
    """Where a group is.

    Attributes:
        number: of the group.
        groups: number of groups.
        members: the group.
        time: simulated time since the initial state.
        end: time of the last snapshot.
        interval: simulated time since the last report.
        time_unit: unit of these times.
        diagnostics: returns means over the box and the members of a few quadratic quantities.
        done: share of the whole run, 0 to 1; `run_group` takes the groups before it as finished.
    """

    number: int
    groups: int
    members: range
    time: float
    end: float
    interval: float
    time_unit: str
    diagnostics: Callable[[], dict[str, float]]
    done: float


def check_device(device: torch.device | str) -> None:
    """Raise a CaseError when states cannot live on a device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CaseError(f"device '{device}' cannot be used: {reason}; give cpu") from error


def run_group(
    path: str | Path,
    number: int,
    *,
    device: torch.device | str = "cpu",
    report: Callable[[GroupProgress], Any] | None = None,
) -> None:
    """Simulate a group to the planned end of its run; go on where an earlier call stopped.

    Groups of a run are independent: their calls can be made one after another or side by side, in
    any process that sees the store.

    Args:
        path: store of the run.
        number: of the group.
        device: where its states live.
        report: called at each snapshot that is made.

    Raises:
        StabilityError: the step is too large or the run has blown up. The store keeps every
            snapshot before that, and beside them the last state that passed the checks.
        GroupBusyError: another process simulates this group.
        DataError: the store cannot be written.
    """
    store = RunStore.open(path)
    settings = store.settings
    members = settings.groups[number]
    refusal = GroupBusyError(
        f"{store.path}: another process is simulating {spelled(members)}; wait for "
        "it to end, or choose another store"
    )
    with alone(store.lock_path(f"members-{members.start:04}"), refusal):
        setup = store.setup(members, device)
        start = store.restart(members, device)
        stepper = Stepper(setup, settings, start, members.start)
        spinup = settings.spinup_intervals
        recorded = 0 if start is None else max(0, stepper.intervals - spinup + 1)
        writer = GroupWriter(store, members, setup.variables, recorded)
        # A kill may have come between the commit of the group and that of the length.
        store.show(recorded)
        if start is None:
            writer.take(stepper.last_good, None if spinup else stepper.fields())
        try:
            for snapshot in _advance(stepper, writer, settings):
                if report is not None:
                    reached = stepper.intervals * settings.every
                    end = settings.spinup + settings.time
                    report(
                        GroupProgress(
                            number,
                            len(settings.groups),
                            members,
                            reached,
                            end,
                            settings.every,
                            store.parameters.time_unit,
                            partial(setup.diagnostics, snapshot.state),
                            (number + reached / end) / len(settings.groups),
                        )
                    )
        except StabilityError as error:
            writer.commit()
            raise _blown_up(error, store, members, stepper.last_good) from error
        except KeyboardInterrupt:
            writer.commit()
            raise


def _advance(stepper: Stepper, writer: GroupWriter, settings: RunSettings) -> Iterator[Snapshot]:
    """Yield the snapshots up to the end of the run, after they were taken."""
    spinup = settings.spinup_intervals
    last = spinup + settings.snapshots - 1
    committed = time.monotonic()
    while stepper.intervals < last:
        snapshot = stepper.advance()
        recorded = stepper.intervals >= spinup
        writer.take(snapshot, stepper.fields() if recorded else None)
        late = time.monotonic() - committed > COMMIT_SECONDS
        if (recorded and writer.full) or late or stepper.intervals == last:
            writer.commit()
            committed = time.monotonic()
        yield snapshot


def _blown_up(
    error: StabilityError, store: RunStore, members: range, last_good: Snapshot
) -> StabilityError:
    path = store.restart_path(members).with_suffix(".last-good.safetensors")
    try:
        write_snapshot(path, last_good)
    except OSError as full:
        raise store.unwritable(full) from error
    return StabilityError(
        f"{spelled(members)}: {error}. {store.path} keeps the snapshots before that and, "
        f"in {path.name}, the last good state; to run with another step, choose another store or "
        "remove this one"
    )


def spelled(members: range) -> str:
    """Return "member 3" or "members 0 to 3"."""
    last = members.stop - 1
    return f"member {last}" if len(members) == 1 else f"members {members.start} to {last}"
