"""What a training run did, epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from spectune.atomic import write_text

__all__ = ["History"]


@dataclass
class History:
    """Errors by epoch.

    Attributes:
        train: mean loss over the epoch; the mean squared error in standardised units.
        held_out: mean squared error on held-out samples after the epoch; empty without them.
        spectrum: error of the spectrum on them (`spectune.spectra.spectrum_error`); empty without
            a grid.
    """

    train: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    spectrum: list[float] = field(default_factory=list)

    @property
    def score(self) -> list[float]:
        """What early stopping judges by epoch: √(error · spectrum error), or the error alone.

        The product has no unit that would set one against the other: an epoch is better if it
        gains more of the one, relatively, than it loses of the other.
        """
        if not self.spectrum:
            return self.held_out
        return [math.sqrt(e * s) for e, s in zip(self.held_out, self.spectrum, strict=True)]

    @property
    def best_epoch(self) -> int:
        """Number of the epoch with the lowest score, from 1; of the last without held-out data."""
        return 1 + min(
            range(len(self.score)), key=self.score.__getitem__, default=len(self.train) - 1
        )

    def columns(self) -> dict[str, list[float]]:
        """Return what was recorded, by name."""
        return {name: values for name, values in vars(self).items() if values}

    def write_csv(self, path: Path) -> None:
        """Write one line an epoch: number, learning objective and held-out errors."""
        columns = self.columns()
        lines = [",".join(("epoch", *columns))]
        for epoch, row in enumerate(zip(*columns.values(), strict=True), start=1):
            lines.append(",".join((str(epoch), *(repr(value) for value in row))))
        write_text(path, "\n".join(lines) + "\n")
