"""A Dask cluster, of this machine or of many."""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spectune.errors import CaseError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["connected", "one_place"]

# A scheduler that does not answer within so many seconds is not there.
PATIENCE = 5.0


def one_place(*, scheduler: str | None, workers: int | None) -> bool:
    """Say whether everything is to run in this process, with neither scheduler nor workers.

    Raises:
        CaseError: both are given, or no workers at all.
    """
    if scheduler is not None and workers is not None:
        raise CaseError(
            f"both a scheduler ({scheduler}) and a number of local workers ({workers}) are given; "
            "expected one of them"
        )
    if workers is not None and workers < 1:
        raise CaseError(f"workers = {workers}; expected 1 or more")
    return scheduler is None and workers is None


@contextmanager
def connected(*, scheduler: str | None, workers: int) -> Iterator[Client]:
    """Hold a client of a Dask cluster: the one at an address, or processes of this machine.

    Args:
        scheduler: address of the scheduler, for example tcp://node1:8786.
        workers: number of processes, where there is no such address.

    Raises:
        CaseError: `distributed` is not installed, no scheduler answers at the address, or local
            processes cannot be started.
    """
    try:
        import distributed
        from distributed.utils import silence_logging_cmgr
    except ImportError as error:
        raise CaseError(
            f"to run on several workers Dask is needed ({error}); install it with "
            "`pip install 'spectune[cluster]'`"
        ) from error
    from spectune.workers.interrupts import DeafToInterrupts

    # What goes wrong is raised; the client would log its attempts to reconnect as well.
    with silence_logging_cmgr(logging.CRITICAL, root="distributed.client"):
        if scheduler is not None:
            with _client_of(scheduler) as client:
                yield client
            return
        # The memory of a process is not limited here, as that of a run in one process is not.
        try:
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:
            raise CaseError(
                f"{workers} local workers could not be started ({error}); a script that simulates "
                'on several workers has to do so under `if __name__ == "__main__":`'
            ) from error
        with cluster, distributed.Client(cluster, set_as_default=False) as client:
            client.register_plugin(DeafToInterrupts())
            yield client


def _client_of(scheduler: str) -> Client:
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    try:
        # First by hand: a client without a scheduler takes long to give up, and complains.
        socket.create_connection(get_address_host_port(scheduler), PATIENCE).close()
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except Exception as error:  # whatever comes of talking to something that is no scheduler
        reason = str(error).splitlines()[0] or type(error).__name__
        raise CaseError(
            f"no Dask scheduler answers at {scheduler!r} ({reason}); start one with `dask "
            "scheduler` and give the address that it prints, such as tcp://node1:8786"
        ) from error
    if not client.scheduler_info()["workers"]:
        warnings.warn(
            f"the scheduler at {scheduler} has no workers yet; the run waits for them (`dask "
            f"worker {scheduler} --nthreads 1`)",
            stacklevel=1,
        )
    return client
