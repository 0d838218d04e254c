"""Running sums of the spectra before and after a nonlinearity, and of what it moves."""

from __future__ import annotations

import torch
from torch import Tensor

from spectune.grid import Grid
from spectune.spectra._bins import binned, shell_bins
from spectune.spectra._core import (
    blocks_of_rows,
    check_field,
    coefficients,
    refuse_not_finite,
    shell_wavenumbers,
    squared_modulus,
)

__all__ = ["LayerSums"]


class LayerSums:
    """Sums over samples of the spectra of h, of g, and of their product, channel by channel.

    The modes of h are kept until g of the same batch arrives: an activation that works in place
    overwrites h itself. All that lives longer than a batch is allocated once and added to in
    place: small arrays between large temporary ones would keep the heap from being used again.
    """

    def __init__(self, grid: Grid, channels: int, samples: int) -> None:
        self.grid = grid
        shells = len(shell_wavenumbers(grid))
        shape = (channels, shells)
        self._linear, self._nonlinear, self._cross, self._paired, self._last = (
            torch.zeros(shape, dtype=torch.float64) for _ in range(5)
        )
        self._samples = torch.zeros(samples, shells, dtype=torch.float64)
        self._calls = torch.zeros(samples, 1, dtype=torch.float64)
        self._before = self._after = 0
        self._modes: list[Tensor] = []

    def add_linear(self, values: Tensor, batch: slice) -> None:
        """Add h, (n, c, *grid.shape), of the samples of a batch."""
        power, self._modes, _ = self._spectra(values, [])
        self._last.copy_(power.sum(0))
        self._linear += self._last
        self._before += len(values)
        rows, spectra = self._samples[batch], power.mean(1)
        # A layer that folds parts of the box into the samples has several spectra for each.
        parts = len(spectra) // len(rows) if len(spectra) % len(rows) == 0 else 0
        rows += spectra.reshape(len(rows), parts, -1).mean(1) if parts else spectra.mean(0)
        self._calls[batch] += 1

    def add_nonlinear(self, values: Tensor) -> None:
        """Add g, (n, c, *grid.shape), of the samples whose h was added last."""
        power, _, cross = self._spectra(values, self._modes)
        self.forget()
        assert cross is not None
        self._nonlinear += power.sum(0)
        self._cross += cross.sum(0)
        self._paired += self._last
        self._after += len(values)

    def forget(self) -> None:
        """Drop the modes of h: no g follows."""
        self._modes = []

    @property
    def linear(self) -> Tensor:
        """Mean spectrum of h, (c, nk)."""
        return self._linear / self._before

    @property
    def linear_samples(self) -> Tensor:
        """Spectrum of h of each sample, averaged over channels, (n, nk)."""
        return self._samples / self._calls

    @property
    def nonlinear(self) -> Tensor | None:
        """Mean spectrum of g, (c, nk)."""
        return self._nonlinear / self._after if self._after else None

    @property
    def moved(self) -> Tensor | None:
        """Mean spectrum of g − a h, (c, nk), with a the regression of g on h about their means."""
        if not self._after:
            return None
        waves = self._paired[:, 1:].sum(1)
        a = (self._cross[:, 1:].sum(1) / waves.masked_fill(waves == 0, 1.0))[:, None]
        rest = self._nonlinear - 2 * a * self._cross + a.square() * self._paired
        return rest.clamp(min=0) / self._after

    def _spectra(
        self, values: Tensor, partner: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Return power (n, c, nk), modes by block, and the cospectrum with a partner's modes."""
        if values.dtype not in (torch.float32, torch.float64):
            values = values.to(torch.float32)
        check_field(values, self.grid)
        bins = shell_bins(self.grid, values.device)
        weight = bins.weight.to(values.dtype)
        power, modes, cross = [], [], []
        for i, block in enumerate(blocks_of_rows(values.reshape(-1, *self.grid.shape))):
            x = coefficients(block, self.grid)
            power.append(binned(squared_modulus(x) * weight, bins))
            if partner:
                cross.append(binned((x * partner[i].conj()).real * weight, bins))
            else:
                modes.append(x)
        total = torch.cat(power)
        # A single NaN spreads over its whole transform, so the small result tells for the field.
        if not bool(total.isfinite().all()):
            refuse_not_finite(values)
        shape = (*values.shape[:2], -1)
        product = torch.cat(cross).reshape(shape).double().cpu() if cross else None
        return total.reshape(shape).double().cpu(), modes, product
