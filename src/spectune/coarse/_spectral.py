"""What the coarse-graining of every spectral system shares."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from spectune.coarse.filters import Filter, gaussian_filter
from spectune.grid import Grid, resize

__all__ = ["ForcedCoarseGraining", "ForcedSystem", "SpectralCoarseGraining", "SpectralSystem"]


class SpectralSystem(Protocol):
    """A system whose states are Fourier coefficients (..., *grid.half_shape)."""

    grid: Grid
    dtype: torch.dtype
    device: torch.device

    def advection(self, state: Tensor, /) -> Tensor:
        """Return the transform of the advection on the evolved modes."""


class ForcedSystem(SpectralSystem, Protocol):
    """A spectral system with a forcing in its tendency."""

    forcing: Tensor


S = TypeVar("S", bound=SpectralSystem)
F = TypeVar("F", bound=ForcedSystem)


class SpectralCoarseGraining(Generic[S]):
    r"""Filter a DNS state, truncate it to an LES grid and compare the advection on both sides.

        x̄ = G ∗ x truncated to |k_i| < N_LES/2,      Π = J(x̄) − \overline{J(x)}

    Args:
        dns: the system that was simulated.
        les: the same equations on the LES grid, with ``dealiasing="3/2"``.
        kernel: transfer function of the filter.
        width: Δ; by default 2 Δx_LES.
    """

    def __init__(
        self, dns: S, les: S, kernel: Filter = gaussian_filter, width: float | None = None
    ) -> None:
        self.dns, self.les, self.grid = dns, les, les.grid
        self.width = 2 * self.grid.spacing[0] if width is None else width
        self._response = kernel(dns.grid, self.width).to(dns.device, dns.dtype)

    def filtered(self, coefficients: Tensor) -> Tensor:
        """Filter and truncate DNS coefficients to those of the LES grid."""
        return resize(self._response * coefficients, self.dns.grid, self.grid)

    def _coarse_and_subgrid(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coefficients of x̄ and Π."""
        coarse = self.filtered(state)
        return coarse, self.les.advection(coarse) - self.filtered(self.dns.advection(state))


class ForcedCoarseGraining(SpectralCoarseGraining[F]):
    """A coarse-graining whose LES is forced with the filtered forcing."""

    def __init__(
        self, dns: F, les: F, kernel: Filter = gaussian_filter, width: float | None = None
    ) -> None:
        super().__init__(dns, les, kernel, width)
        self.hold()

    def hold(self) -> None:
        """Force the LES with the filtered forcing that the direct simulation has now."""
        self.les.forcing = self.filtered(self.dns.forcing)
