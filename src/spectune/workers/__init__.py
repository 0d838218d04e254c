"""Work on several processes or machines, by Dask."""

from spectune.workers.cluster import connected, one_place

__all__ = ["connected", "one_place"]
