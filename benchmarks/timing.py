"""Wall time of a call, interleaved with what it is compared to."""

import statistics
import time
from collections.abc import Callable


def interleaved(calls: dict[str, Callable[[], object]], repeats: int = 7) -> dict[str, float]:
    """Return the median wall time of each call in seconds, run in turn so that drift cancels."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}
