"""Leading eigenpairs of a symmetric matrix that is known by its products only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from spectune.errors import DataError

__all__ = ["Eigenpairs", "Ordering", "dense_eigenpairs", "leading_eigenpairs"]

Ordering = Literal["largest", "smallest", "magnitude"]


@dataclass(frozen=True)
class Eigenpairs:
    """Approximate eigenpairs, in the order asked for.

    Attributes:
        values: (count,) eigenvalues λ, float64.
        vectors: (count, size) unit eigenvectors, one in each row, in the dtype of the products.
        residuals: (count,) estimate of ‖A v − λ v‖ from the recurrence, float64; some eigenvalue
            of A lies within this distance of λ, up to rounding.
        iterations: number of products used.
        converged: whether all residuals met the tolerance.
        basis: (iterations, size) Q, the orthonormal vectors that A was applied to, in rows.
        projected: (iterations, iterations) Q A Qᵀ, float64; tridiagonal from Lanczos.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    iterations: int
    converged: bool
    basis: Tensor
    projected: Tensor


def leading_eigenpairs(
    product: Callable[[Tensor], Tensor],
    size: int,
    generator: torch.Generator,
    *,
    count: int = 2,
    ordering: Ordering = "largest",
    tolerance: float = 1e-4,
    max_iterations: int = 100,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Eigenpairs:
    """Return the leading eigenpairs of a symmetric matrix by Lanczos iteration.

        A Q_m = Q_m T_m + β_m q_{m+1} e_mᵀ,   T_m s = θ s   ⇒   λ ≈ θ,  v ≈ Q_m s,
        ‖A v − θ v‖ = β_m |s_m|

    with Q_m orthonormal by two passes of Gram–Schmidt against all earlier vectors, so no spurious
    copies of an eigenvalue appear. Memory: one vector for each iteration. It stops once every
    residual is at most tolerance · |θ|, when the whole space is spanned, or at `max_iterations`.
    Smallest eigenvalues may vanish, so that their residuals are measured by max|θ| instead. An
    exhausted Krylov space is left by a new random direction, which finds repeated eigenvalues of
    small matrices.

    Args:
        product: v ↦ A v for (size,) vectors, A symmetric, such as `Curvature.hessian_product`.
        size: number of rows of A.
        generator: source of the first vector, on the CPU.
        count: number of eigenpairs.
        ordering: "largest" or "smallest" by value, or "magnitude" by absolute value.
        tolerance: relative residual. Residuals of less than ten times the dtype's epsilon, relative
            to max|θ|, are rounding and count as met.
        max_iterations: largest number of products.
        dtype: dtype of the vectors; `Curvature.dtype` for a model's.
        device: device of the vectors.

    Returns:
        `Eigenpairs`; look at `converged` and `residuals`.

    Raises:
        DataError: if `count` is not between 1 and min(size, max_iterations), or a product is NaN
            or infinite.

    Source: Paige (1972); Golub and Van Loan, Matrix Computations (2013), §10.1 and §10.3.
    """
    limit = min(size, max_iterations)
    if not 1 <= count <= limit:
        raise DataError(f"count: found {count}, expected 1 to {limit} (size, iterations)")
    basis = torch.zeros(limit, size, dtype=dtype, device=device)
    diagonal: list[float] = []
    coupling: list[float] = []
    small = 10 * torch.finfo(dtype).eps
    direction = _random_direction(basis[:0], generator)
    while True:
        m = len(diagonal)
        basis[m] = direction
        image = product(direction).detach().to(device=device, dtype=dtype)
        diagonal.append(float(direction.to(torch.float64) @ image.to(torch.float64)))
        rest = _orthogonal_part(image, basis[: m + 1])
        beta = float(rest.norm())
        if not torch.isfinite(torch.tensor([beta, diagonal[-1]])).all():
            raise DataError("product: found NaN or infinite values; the loss is not finite here")
        theta, s = torch.linalg.eigh(_tridiagonal(diagonal, coupling))
        scale = float(theta.abs().max())
        exhausted = beta <= small * max(scale, torch.finfo(dtype).tiny)
        residuals = torch.zeros_like(theta) if exhausted else beta * s[-1].abs()
        chosen = _order(theta, ordering)[:count]
        bounds = (0.0, tolerance * scale) if ordering == "smallest" else (tolerance, small * scale)
        full = m + 1 == limit
        spanned = m + 1 == size
        # An exhausted space proves nothing about the directions outside it, unless a random one
        # is exhausted at once: then all the rest is one eigenspace.
        alone = m == 0 or coupling[-1] == 0
        reached = (
            len(chosen) == count
            and (alone or not exhausted)
            and _met(residuals[chosen], theta[chosen], bounds)
        )
        if full or reached:
            break
        coupling.append(0.0 if exhausted else beta)
        direction = _random_direction(basis[: m + 1], generator) if exhausted else rest / beta
    vectors = s[:, chosen].T.to(device=device, dtype=dtype) @ basis[: len(diagonal)]
    if spanned:
        residuals = torch.zeros_like(residuals)
    return Eigenpairs(
        values=theta[chosen],
        vectors=vectors / vectors.norm(dim=1, keepdim=True),
        residuals=residuals[chosen],
        iterations=len(diagonal),
        converged=_met(residuals[chosen], theta[chosen], bounds),
        basis=basis[: len(diagonal)],
        projected=_tridiagonal(diagonal, coupling),
    )


def dense_eigenpairs(
    product: Callable[[Tensor], Tensor],
    size: int,
    *,
    count: int = 2,
    ordering: Ordering = "largest",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Eigenpairs:
    """Return the leading eigenpairs of a small symmetric matrix, formed whole by its products.

    The basis is that of unit vectors, and the projected matrix is A. Arguments and errors are
    those of `leading_eigenpairs`; residuals are 0, which leaves rounding out.
    """
    if not 1 <= count <= size:
        raise DataError(f"count: found {count}, expected 1 to {size}")
    basis = torch.eye(size, dtype=dtype, device=device)
    matrix = torch.stack([product(unit).detach().cpu().to(torch.float64) for unit in basis])
    matrix = (matrix + matrix.T) / 2
    if not bool(matrix.isfinite().all()):
        raise DataError("product: found NaN or infinite values; the loss is not finite here")
    values, vectors = torch.linalg.eigh(matrix)
    chosen = _order(values, ordering)[:count]
    return Eigenpairs(
        values=values[chosen],
        vectors=vectors.T[chosen].to(basis),
        residuals=torch.zeros(count, dtype=torch.float64),
        iterations=size,
        converged=True,
        basis=basis,
        projected=matrix,
    )


def _met(residuals: Tensor, theta: Tensor, bounds: tuple[float, float]) -> bool:
    relative, absolute = bounds
    return bool((residuals <= (relative * theta.abs()).clamp(min=absolute)).all())


def _orthogonal_part(vector: Tensor, basis: Tensor) -> Tensor:
    """Return the part of a vector outside the span of the rows of `basis`."""
    for _ in range(2):  # once leaves rounding of the size of what was removed; twice is enough
        vector = vector - basis.T @ (basis @ vector)
    return vector


def _random_direction(basis: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random unit vector orthogonal to the rows of `basis`."""
    vector = torch.randn(basis.shape[1], generator=generator, dtype=torch.float64).to(basis)
    vector = _orthogonal_part(vector, basis)
    unit: Tensor = vector / vector.norm()
    return unit


def _tridiagonal(diagonal: list[float], coupling: list[float]) -> Tensor:
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    if coupling:
        beside = torch.tensor(coupling, dtype=torch.float64)
        matrix = matrix + torch.diag(beside, 1) + torch.diag(beside, -1)
    return matrix


def _order(theta: Tensor, ordering: Ordering) -> Tensor:
    key = {"largest": theta, "smallest": -theta, "magnitude": theta.abs()}[ordering]
    return key.argsort(descending=True)
