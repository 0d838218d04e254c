"""Π without its smallest scales."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spectune.closures._limiter import Counts, Limiter
from spectune.closures._operators import operators
from spectune.closures.model import SubgridModel
from spectune.grid import Grid

__all__ = ["SpectralDamping"]


class SpectralDamping(Limiter):
    """Fade Π out towards the smallest scales, where networks err most.

        Π̂(k) ← exp(−(|k|/k_d)^p) Π̂(k)

    `report` gives the share of ⟨Π²⟩ that was removed.

    Args:
        model: the closure to limit.
        grid: the LES grid.
        wavenumber: k_d; by default two thirds of the Nyquist wavenumber π/Δx.
        power: p; the larger, the sharper.

    Raises:
        ValueError: k_d or p is not positive.

    Source: Hou & Li 2007 (J. Comput. Phys. 226) for filters of this form, with p = 36.
    """

    def __init__(
        self,
        model: SubgridModel,
        grid: Grid,
        *,
        wavenumber: float | None = None,
        power: float = 8.0,
    ) -> None:
        if wavenumber is None:
            wavenumber = 2 / 3 * math.pi / max(grid.spacing)
        if wavenumber <= 0 or power <= 0:
            raise ValueError(
                f"expected a positive wavenumber and power of the damping, found {wavenumber} and "
                f"{power}"
            )
        super().__init__(model, "damped", {"wavenumber": wavenumber, "power": power})
        self._grid, self._wavenumber, self._power = grid, wavenumber, power

    def _limited(self, inputs: Tensor, pi: Tensor) -> tuple[Tensor, Counts]:
        grid = self._grid
        k2 = operators(grid, inputs.dtype, inputs.device).k2
        response = torch.exp(-((k2 / self._wavenumber**2) ** (self._power / 2)))
        damped = grid.inverse(response * grid.transform(pi))
        whole = pi.square().sum()
        return damped, {"share of variance": (whole - damped.square().sum(), whole)}
