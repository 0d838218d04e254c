"""The log of a training run, written after every epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spectune.errors import DataError
from spectune.training.history import History

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["EpochLog"]


class EpochLog:
    """Errors by epoch, in the form that the path asks for.

    Args:
        path: a file whose name ends in ``.csv``, or without an ending a folder of event files for
            TensorBoard, with a curve for each column of the table. None writes nothing.
        epoch: epochs done. What an interrupted run wrote after them is dropped.

    Raises:
        DataError: the name has another ending, or TensorBoard is asked for and not installed.
    """

    def __init__(self, path: Path | None, epoch: int = 0) -> None:
        self.path, self._writer = path, None
        if path is None or path.suffix == ".csv":
            return
        if path.suffix:
            raise DataError(
                f"log {path}: found the ending '{path.suffix}', expected '.csv', or none for a "
                "folder of TensorBoard"
            )
        self._writer = _summary_writer(path, epoch)

    def write(self, history: History) -> None:
        """Write the epochs so far."""
        if self._writer is not None:
            for name, values in history.columns().items():
                self._writer.add_scalar(name, values[-1], len(values))
            self._writer.flush()
        elif self.path is not None:
            history.write_csv(self.path)


def _summary_writer(path: Path, epoch: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise DataError(
            f"log {path}: a folder is for TensorBoard, which is not installed; "
            "pip install 'spectune[tensorboard]', or give a file that ends in '.csv'"
        ) from error
    return SummaryWriter(path, purge_step=epoch + 1)
