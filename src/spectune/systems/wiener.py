"""A Wiener process whose increments are a pure function of seed, member and time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["standard_increment"]


def standard_increment(
    size: int, *, seed: int, member: int, step: int, substeps: int = 1
) -> NDArray[np.complex128]:
    """Return the increment of independent complex Wiener processes over one step, over √Δt.

        ΔW/√Δt = Z = (ξ + iη)/√2,      ξ, η ~ N(0, 1),      ⟨|Z|²⟩ = 1

    Nothing is drawn from a sequence: the counter of a Philox generator is set to the place of the
    increment, so that a run goes on anywhere with the same noise and keeps no state of it, and a
    member has its noise whoever runs beside it.

    An interval may be walked in several `substeps`. Of n = b 2ᵃ substeps, b odd, the b pieces are
    drawn independently and each is halved a times with a Brownian bridge,

        Z₂ⱼ = (Zⱼ + Ẑ)/√2,      Z₂ⱼ₊₁ = (Zⱼ − Ẑ)/√2,      Ẑ a new draw,

    so that 2n substeps walk the same path as n, only finer: a run that repeats an interval with a
    smaller step because the noise drove it too fast does not thereby choose its noise.

    Args:
        size: number of processes; the first of them do not depend on it.
        seed: a number from 0 to 2⁶⁴ − 1.
        member: number of the ensemble member.
        step: number of the step, counted in substeps from the start of the run.
        substeps: n, steps to an interval; with 1 every step has a draw of its own.

    Returns:
        Z (size,).

    Source: Salmon et al. 2011 (Proc. SC11) for Philox; Lévy's construction of Brownian motion,
    Karatzas & Shreve 1991, section 2.3, for the bridge.
    """
    interval, piece = divmod(step, substeps)
    halvings = (substeps & -substeps).bit_length() - 1
    parts = substeps >> halvings

    def draw(level: int, place: int) -> NDArray[np.complex128]:
        bits = np.random.Philox(
            key=np.array((seed, member), dtype=np.uint64),
            counter=np.array((0, interval, place, (parts << 32) + level), dtype=np.uint64),
        )
        # Two numbers a process, side by side, so that the first ones do not depend on `size`.
        xi, eta = np.random.Generator(bits).standard_normal((size, 2)).T
        draws: NDArray[np.complex128] = (xi + 1j * eta) * 0.5**0.5
        return draws

    increment = draw(0, piece >> halvings)
    for level in range(1, halvings + 1):
        place = piece >> (halvings - level)
        half = draw(level, place >> 1)  # one for both halves of a piece
        increment = (increment + (-half if place & 1 else half)) * 0.5**0.5
    return increment
