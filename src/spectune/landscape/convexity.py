"""How convex the loss is: the negative part of a spectrum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.landscape.eigen import leading_eigenpairs

__all__ = ["Convexity", "convexity"]


@dataclass(frozen=True)
class Convexity:
    """The negative side of the spectrum of a symmetric matrix.

    Attributes:
        smallest: smallest eigenvalue found; the loss is convex in the layer where it is not
            negative.
        negative_share: Σ_{λ<0} |λ| / Σ |λ|, 0 for a convex loss, ½ for a saddle without preference.
    """

    smallest: float
    negative_share: float


def convexity(
    product: Callable[[Tensor], Tensor],
    size: int,
    generator: torch.Generator,
    *,
    tolerance: float = 0.02,
    max_iterations: int = 50,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Convexity:
    """Return the smallest eigenvalue and the share of negative ones by one Lanczos iteration.

        tr f(A) ≈ size · Σ_j s_1j² f(θ_j),      T s_j = θ_j s_j,      f(λ) = |λ| and max(−λ, 0)

    the Gauss quadrature of the spectrum from one random vector; the error of the share falls with
    the number of eigenvalues that carry it. Exact where the iteration spans the whole space.

    Args:
        product: v ↦ A v for (size,) vectors, such as `Curvature.hessian_product`.
        size: number of rows of A.
        generator: source of the first vector, on the CPU.
        tolerance: residual of the smallest eigenvalue, relative to the largest |θ|.
        max_iterations: largest number of products.
        dtype: dtype of the vectors.
        device: device of the vectors.

    Raises:
        DataError: if a product is NaN or infinite.

    Source: Ubaru, Chen and Saad 2017 (SIAM J. Matrix Anal. Appl. 38).
    """
    pairs = leading_eigenpairs(
        product,
        size,
        generator,
        count=1,
        ordering="smallest",
        tolerance=tolerance,
        max_iterations=max_iterations,
        dtype=dtype,
        device=device,
    )
    values, vectors = torch.linalg.eigh(pairs.projected)
    # The whole space has every eigenvalue once.
    weights = torch.ones_like(values) if len(values) == size else vectors[0].square()
    total = float((weights * values.abs()).sum())
    negative = float((weights * (-values).clamp(min=0)).sum())
    return Convexity(float(pairs.values[0]), negative / total if total else 0.0)
