"""Workers that share the terminal of whoever started them."""

from __future__ import annotations

import signal

from distributed import Worker, WorkerPlugin

__all__ = ["DeafToInterrupts"]


class DeafToInterrupts(WorkerPlugin):
    """For workers at the terminal of the master, whom alone Ctrl-C is meant for."""

    def setup(self, worker: Worker) -> None:  # noqa: ARG002
        """Ignore interrupts."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
