"""Run all parts, or those named, in a process of one thread for each core."""

from __future__ import annotations

from benchmarks.data_needed.cases import CASES, target_flow
from benchmarks.data_needed.results import write_results
from benchmarks.data_needed.trainings import trainings as every_training
from benchmarks.parts import Work, run_parts


def flows() -> Work:
    """Simulate the targets that are longer than those of the transfers."""
    return [target_flow(name).make for name in dict.fromkeys(case.target for case in CASES)]


def trainings() -> Work:
    """Train in all ways on every number of samples."""
    return [training.run for training in every_training()]


def table() -> Work:
    """Write the record, the table and the figure."""
    return [write_results]


PARTS = {part.__name__: part for part in (flows, trainings, table)}


if __name__ == "__main__":
    run_parts(PARTS)
