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
    squared_modulus,
)

__all__ = ["LayerSums"]


class LayerSums:
    """Sums over samples of the spectra of h, of g, and of their product, channel by channel.

    The modes of h are kept until g of the same batch arrives: an activation that works in place
    overwrites h itself.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.linear_samples: list[Tensor] = []
        self.nonlinear_samples: list[Tensor] = []
        self._linear: Tensor | None = None
        self._nonlinear: Tensor | None = None
        self._cross: Tensor | None = None
        self._paired: Tensor | None = None  # the part of `_linear` that a g followed
        self._last: Tensor | None = None
        self._modes: list[Tensor] = []

    def add_linear(self, values: Tensor) -> None:
        """Add h, (n, c, *grid.shape)."""
        power, self._modes, _ = self._spectra(values, [])
        self._last = power.sum(0)
        self._linear = _plus(self._linear, self._last)
        self.linear_samples.append(power.mean(1))

    def add_nonlinear(self, values: Tensor) -> None:
        """Add g, (n, c, *grid.shape), of the samples whose h was added last."""
        power, _, cross = self._spectra(values, self._modes)
        self.forget()
        assert self._last is not None
        assert cross is not None
        self._nonlinear = _plus(self._nonlinear, power.sum(0))
        self._cross = _plus(self._cross, cross.sum(0))
        self._paired = _plus(self._paired, self._last)
        self.nonlinear_samples.append(power.mean(1))

    def forget(self) -> None:
        """Drop the modes of h: no g follows."""
        self._modes = []

    @property
    def linear(self) -> Tensor:
        """Mean spectrum of h, (c, nk)."""
        assert self._linear is not None
        return self._linear / sum(map(len, self.linear_samples))

    @property
    def nonlinear(self) -> Tensor | None:
        """Mean spectrum of g, (c, nk)."""
        if self._nonlinear is None:
            return None
        return self._nonlinear / sum(map(len, self.nonlinear_samples))

    @property
    def moved(self) -> Tensor | None:
        """Mean spectrum of g − a h, (c, nk), with a the regression of g on h about their means."""
        if self._cross is None or self._paired is None or self._nonlinear is None:
            return None
        waves = self._paired[:, 1:].sum(1)
        a = self._cross[:, 1:].sum(1) / waves.masked_fill(waves == 0, 1.0)
        rest = self._nonlinear - 2 * a[:, None] * self._cross + a.square()[:, None] * self._paired
        return rest.clamp(min=0) / sum(map(len, self.nonlinear_samples))

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


def _plus(total: Tensor | None, added: Tensor) -> Tensor:
    return added if total is None else total + added
