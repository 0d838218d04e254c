"""The two-scale Lorenz-96 system."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spectune.grid import Grid

__all__ = ["Lorenz96"]


class Lorenz96:
    """K slow variables on a ring, each coupled to J fast ones.

        dX_k/dt = −X_{k−1}(X_{k−2} − X_{k+1}) − X_k + F − (hc/b) Σ_j Y_{j,k}
        dY_{j,k}/dt = −cb Y_{j+1,k}(Y_{j+2,k} − Y_{j−1,k}) − c Y_{j,k} + (hc/b) X_k

    with X_{k+K} = X_k and all Y on one ring, Y_{j+J,k} = Y_{j,k+1}. Everything is dimensionless.
    J = 0 is the one-scale system, to which Π of the two-scale one is added.

    A state is *real*, (..., K, 1 + J) with X in column 0 and Y in the others, and any number of
    leading ensemble axes. The equations are local in place, not in wavenumber, and no term is
    diagonal in Fourier space but the damping, which is diagonal here too. What follows from that,
    beside a system whose states are Fourier coefficients:

    - `linear` (1 + J,) is the damping, −1 and −c; `tendency` is the rest; the time schemes that
      take both work as they are;
    - `grid` is the ring of the K slow variables, for the spectra of X and the pairs; it is not the
      grid of the state, which has no coarser version, so there is no `on`: the reduced system is
      `slow`;
    - `project` changes no mode and only casts and completes a state; there is no `mask`, as every
      number is evolved, and no dealiasing, as no product is formed on a grid.

    Args:
        slow_count: K, at least 4.
        fast_count: J; 0 for the one-scale system.
        forcing: F.
        coupling: h.
        time_ratio: c, how much faster Y is than X.
        space_ratio: b, how much smaller Y is than X.
        dtype: float32 or float64.
        device: where states live.

    Raises:
        ValueError: fewer than four variables on a ring.

    Source: Lorenz 1996, Predictability: a problem partly solved (ECMWF), eq. 2 and 3, and his
    values as defaults (K = 36, J = 10, F = b = c = 10, h = 1).
    """

    def __init__(
        self,
        slow_count: int = 36,
        fast_count: int = 10,
        *,
        forcing: float = 10.0,
        coupling: float = 1.0,
        time_ratio: float = 10.0,
        space_ratio: float = 10.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if slow_count < 4 or 0 < slow_count * fast_count < 4:
            raise ValueError(
                f"expected K ≥ 4 slow variables and J ≥ 0 fast ones for each, "
                f"found K = {slow_count} and J = {fast_count}"
            )
        if fast_count < 0:
            raise ValueError(f"expected J ≥ 0 fast variables, found J = {fast_count}")
        self.grid = Grid((slow_count,), (float(slow_count),), ("k",))
        self.slow_count, self.fast_count = slow_count, fast_count
        self.parameters: dict[str, Any] = {
            "forcing": forcing,
            "coupling": coupling,
            "time_ratio": time_ratio,
            "space_ratio": space_ratio,
        }
        self.dtype, self.device = dtype, torch.device(device)
        self.linear = torch.tensor(
            [-1.0] + fast_count * [-time_ratio], dtype=dtype, device=self.device
        )
        self._exchange = coupling * time_ratio / space_ratio
        self._fast_rate = time_ratio * space_ratio

    @property
    def slow(self) -> Lorenz96:
        """The one-scale system with the same K and F."""
        return Lorenz96(self.slow_count, 0, dtype=self.dtype, device=self.device, **self.parameters)

    def advection(self, state: Tensor) -> Tensor:
        """Return X_{k−1}(X_{k−2} − X_{k+1}) and cb Y_{j+1}(Y_{j+2} − Y_{j−1}), shaped as the state.

        Args:
            state: X and Y (..., K, 1 + J), real.
        """
        x, y = state[..., 0], state[..., 1:].flatten(-2)
        slow = x.roll(1, -1) * (x.roll(2, -1) - x.roll(-1, -1))
        # The fast ring runs the other way round: j + 1 is where k − 1 was.
        fast = self._fast_rate * y.roll(-1, -1) * (y.roll(-2, -1) - y.roll(1, -1))
        return self._joined(slow, fast)

    def exchange(self, state: Tensor) -> Tensor:
        """Return −(hc/b) Σ_j Y_{j,k} for X and (hc/b) X_k for Y, shaped as the state."""
        fast = state[..., :1].expand_as(state[..., 1:])
        slow = -state[..., 1:].sum(-1, keepdim=True)
        return self._exchange * torch.cat((slow, fast), -1)

    def tendency(self, state: Tensor) -> Tensor:
        """Return the part of the rate of change that is stepped explicitly: all but the damping."""
        rate = self.exchange(state) - self.advection(state)
        rate[..., 0] += self.parameters["forcing"]
        return rate

    def project(self, field: Tensor) -> Tensor:
        """Return a state (..., K, 1 + J) of X alone (..., K), with Y = 0, or of a whole state."""
        field = field.to(self.device, self.dtype)
        if field.shape[-2:] == (self.slow_count, 1 + self.fast_count):
            return field.clone()
        if field.shape[-1] != self.slow_count:
            raise ValueError(
                f"expected X (..., {self.slow_count}) or a state (..., {self.slow_count}, "
                f"{1 + self.fast_count}), found shape {tuple(field.shape)}"
            )
        return torch.cat((field[..., None], field.new_zeros(*field.shape, self.fast_count)), -1)

    def courant_rate(self, state: Tensor) -> float:
        """Return a bound on the frequencies of small disturbances of the state (1/time).

            max over rows of Σ |∂(tendency)/∂(variable)|

        No grid spacing and speed make a Courant number here; the largest row sum of the Jacobian
        takes their place: no eigenvalue exceeds it.
        """
        x, y = state[..., 0], state[..., 1:].flatten(-2)
        slow = (x.roll(2, -1) - x.roll(-1, -1)).abs() + 2 * x.roll(1, -1).abs()
        bound = float(slow.max()) + self.fast_count * abs(self._exchange)
        if self.fast_count:
            fast = (y.roll(-2, -1) - y.roll(1, -1)).abs() + 2 * y.roll(-1, -1).abs()
            bound = max(bound, abs(self._fast_rate) * float(fast.max()) + abs(self._exchange))
        return bound

    def _joined(self, slow: Tensor, fast: Tensor) -> Tensor:
        fast = fast.reshape(*slow.shape, self.fast_count)
        return torch.cat((slow[..., None], fast), -1)
