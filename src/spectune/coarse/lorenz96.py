"""The exact subgrid term of two-scale Lorenz-96."""

from __future__ import annotations

from torch import Tensor

from spectune.systems.lorenz96 import Lorenz96

__all__ = ["Lorenz96CoarseGraining"]


class Lorenz96CoarseGraining:
    """Keep the slow variables and compute what the fast ones do to them.

        X̄_k = X_k,      Π_k = −(hc/b) Σ_j Y_{j,k}

    The filter is the projection on X: it commutes with every term of the equation of X, so that
    the one-scale system with this Π has the tendency of X to round-off, for any F, h, b, c. There
    is no coarser ring of X and no filter width.

    Args:
        dns: the two-scale system that was simulated.

    Source: Wilks 2005 (Q. J. R. Meteorol. Soc. 131).
    """

    def __init__(self, dns: Lorenz96) -> None:
        self.dns, self.les, self.grid = dns, dns.slow, dns.grid

    def filtered(self, state: Tensor) -> Tensor:
        """Return the state of the one-scale system, X (..., K, 1), of a two-scale one."""
        return state[..., :1]

    def pair(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return X and Π, each (..., K).

        Args:
            state: X and Y (..., K, 1 + J).
        """
        return state[..., 0], self.dns.exchange(state)[..., 0]
