"""Everything that is committed of the transfers."""

from benchmarks.transfers.advice import write_forecasts
from benchmarks.transfers.figure import write_figure
from benchmarks.transfers.record import write_truth
from benchmarks.transfers.table import write_tables

__all__ = ["write_results"]


def write_results() -> None:
    """Write truth, forecasts, tables and the figure."""
    write_truth()
    write_forecasts()
    write_tables()
    write_figure()
