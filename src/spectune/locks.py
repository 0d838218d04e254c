"""Locks between processes; they end with the process that holds them, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["alone", "in_turn"]


@contextmanager
def alone(path: Path, refusal: Exception) -> Iterator[None]:
    """Hold the lock file `path`, or raise `refusal` where another process holds it."""
    if fcntl is None:
        yield
        return
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise refusal from error
        yield


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for others that hold it: for short pieces of work."""
    if fcntl is None:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
