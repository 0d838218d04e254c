"""Random forcing of a ring of wavenumbers with a given power."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor

from spectune.errors import CaseError
from spectune.systems.wiener import standard_increment

__all__ = ["RingForcing"]


class RingForcing:
    """Forcing that is white in time and isotropic in a ring, with a given mean power.

        dω̂ = (…) dt + σ(k) dW_k,      σ(k) = |k| √(ε/M)      for k_f − δ ≤ |k| ≤ k_f + δ

    with independent complex Wiener processes, ⟨|W_k|²⟩ = t and W₋ₖ = W_k*, on the M pairs ±k in
    the ring. As ½ Σ_k σ²/|k|² = ε, the mean rate at which it feeds the kinetic energy
    ½ Σ_k |ω̂|²/|k|² is ε exactly, whatever the step, the modes in the ring and the flow (Itô's
    formula; white noise is not correlated with the state that it meets). Each pair gets the same
    share; the enstrophy ½⟨ω²⟩ is fed at the rate ε ⟨|k|²⟩, the mean over the ring.

    The noise of a step is a function of seed, member and number of the step alone (see
    `standard_increment`), and that of a mode does not depend on the grid.

    Args:
        wavenumber: k_f.
        half_width: δ; |k| = 0 is never forced.
        rate: ε, energy per unit mass and time (L²/T³).
        seed: of the noise, 0 to 2⁶⁴ − 1.
        cutoff: largest evolved mode number.
        dtype: float32 or float64, of the states.
        device: where the states live.

    Raises:
        CaseError: no mode, or one that is not evolved, lies in the ring, ε is negative or the seed
            is out of range.

    Source: Alvelius 1999 (Phys. Fluids 11) for the power of white noise; Boffetta & Ecke 2012
    (Annu. Rev. Fluid Mech. 44), section 2, for its use in 2D turbulence.
    """

    def __init__(
        self,
        *,
        wavenumber: float,
        half_width: float,
        rate: float,
        seed: int,
        cutoff: int,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        if rate < 0:
            raise CaseError(f"expected an energy injection rate ε ≥ 0, found {rate}")
        if not 0 <= seed < 2**64:
            raise CaseError(f"expected a noise seed from 0 to 2⁶⁴ − 1, found {seed}")
        low, high = wavenumber - half_width, wavenumber + half_width
        if high > cutoff:
            raise CaseError(
                f"the forced ring reaches |k| = {high:g}, but the grid evolves the modes up "
                f"to {cutoff}: force larger scales or use more points"
            )
        # One of each pair ±k, in an order that no grid changes.
        reach = max(math.floor(high), 0)
        modes = [
            (ky, kx)
            for kx in range(reach + 1)
            for ky in range(-reach if kx else 1, reach + 1)
            if low <= math.hypot(ky, kx) <= high
        ]
        if not modes:
            raise CaseError(
                f"no wavenumber of the box lies in the forced ring {low:g} ≤ |k| ≤ {high:g}: "
                "widen it, or move it to an integer"
            )
        self.seed = seed
        self.dtype, self.device = dtype, torch.device(device)
        self._modes = torch.tensor(modes)
        share = (rate / len(modes)) ** 0.5
        self._strength = share * self._modes.double().norm(dim=1)
        self._place(cutoff)

    def _place(self, cutoff: int) -> None:
        self._evolved = (self._modes.abs() <= cutoff).all(1)
        ky, kx = self._modes[self._evolved].T
        # The column k_x = 0 holds both modes of a pair; a negative k_y counts rows from the end.
        self._both = kx == 0
        self._rows = torch.cat((ky, -ky[self._both])).to(self.device)
        self._columns = torch.cat((kx, kx[self._both])).to(self.device)

    def on(self, cutoff: int, response: Tensor | None = None) -> RingForcing:
        """Return the same noise on another grid of the box.

        Args:
            cutoff: largest mode number evolved there; the modes beyond it are left out.
            response: Ĝ (ny, nx/2 + 1) on the grid that the noise has now, real: a filter that it
                passes on the way. None for none.
        """
        other = copy.copy(self)
        if response is not None:
            ky, kx = self._modes[self._evolved].T
            other._strength = self._strength.clone()
            other._strength[self._evolved] *= response.cpu().double()[ky, kx]
        other._place(cutoff)
        return other

    def kick(
        self, state: Tensor, dt: float, *, step: int, substeps: int = 1, first_member: int = 0
    ) -> Tensor:
        """Add √Δt σ Z to a state in place and return it.

        Args:
            state: ω̂ (..., *half_shape) at the end of a step, complex; its members are counted
                through all leading axes, the last one fastest.
            dt: Δt.
            step: number of the step from the start of the run, the first one 0.
            substeps: steps that share an increment of the noise, see `standard_increment`.
            first_member: number of the first member of `state` in the whole ensemble.
        """
        leading = state.shape[:-2]
        draws = [
            standard_increment(
                len(self._modes), seed=self.seed, member=member, step=step, substeps=substeps
            )
            for member in range(first_member, first_member + math.prod(leading))
        ]
        noise = torch.from_numpy(np.stack(draws)) * (self._strength * dt**0.5)
        noise = noise[:, self._evolved]
        noise = torch.cat((noise, noise[:, self._both].conj()), dim=1)
        state[..., self._rows, self._columns] += noise.to(state).reshape(*leading, -1)
        return state
