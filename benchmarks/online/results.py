"""Everything that is committed of the online benchmark."""

from benchmarks.online.figure import write_figure
from benchmarks.online.record import write_record
from benchmarks.online.table import write_tables
from benchmarks.online.warning import write_warning

__all__ = ["write_results"]


def write_results() -> None:
    """Write scores, early warning, tables and figure of what has been run."""
    record = write_record()
    write_tables(record, write_warning())
    write_figure(record)
