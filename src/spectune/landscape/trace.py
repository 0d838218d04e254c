"""Trace of a matrix that is known by its products only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.errors import DataError
from spectune.landscape.eigen import Eigenpairs

__all__ = ["TraceEstimate", "deflated_trace", "hutchinson_trace"]

# Fewer say too little about the spread of the probes.
_DIFFERENCES = 6


@dataclass(frozen=True)
class TraceEstimate:
    """Estimate of a trace.

    Attributes:
        value: the estimate.
        standard_error: its standard deviation.
        samples: (probes,) the estimate from each probe alone, float64.
    """

    value: float
    standard_error: float
    samples: Tensor


def hutchinson_trace(
    product: Callable[[Tensor], Tensor],
    size: int,
    generator: torch.Generator,
    *,
    probes: int = 32,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> TraceEstimate:
    """Return Hutchinson's estimate of a trace.

        tr A ≈ (1/p) Σ_i z_iᵀ A z_i,      z entries ±1 with probability ½ each

    It is unbiased, with variance 2 Σ_{m≠n} A_mn² / p for symmetric A: exact for a diagonal one.

    Args:
        product: v ↦ A v for (size,) vectors, such as `Curvature.hessian_product`.
        size: number of rows of A.
        generator: source of the signs, on the CPU, so that a seed means the same on every device.
        probes: number p of products, at least 2 for a standard error.
        dtype: dtype of the vectors; `Curvature.dtype` for a model's.
        device: device of the vectors.

    Returns:
        A `TraceEstimate`.

    Raises:
        DataError: with fewer than 2 probes, or if a product is NaN or infinite.

    Source: Hutchinson, Commun. Stat. Simul. 19 (1990).
    """
    if probes < 2 or size < 1:
        raise DataError(f"found {probes} probes and size {size}, expected at least 2 and 1")
    values = []
    for _ in range(probes):
        z = _signs(size, generator).to(device=device, dtype=dtype)
        values.append(float(z.to(torch.float64) @ product(z).detach().to(torch.float64)))
    return _estimate(values)


def deflated_trace(
    forms: Callable[[Callable[[], Tensor]], Tensor],
    pairs: Eigenpairs,
    generator: torch.Generator,
    *,
    tolerance: float = 0.02,
    max_probes: int = 100,
) -> TraceEstimate:
    """Return an estimate of a trace that uses what Lanczos iteration has found already.

        A = Σ_s A_s,     tr A = tr QAQᵀ + tr PAP,     P = I − QᵀQ
        tr PAP ≈ (1/p) Σ_i Σ_s (P z_is)ᵀA_s (P z_is)

    with Q the Krylov basis, in which A is known, and z random signs, independent of Q. It
    is unbiased. Hutchinson's estimate with one z for all s has the variance 2 Σ_{m≠n} A_mn² / p;
    here the large eigenvalues of A, from which most of it comes, are in the basis, and with a z for
    each of n alike summands the rest is n times smaller.

    Args:
        forms: from a function that draws vectors (size,) to the terms zᵀA_s z, (n,), each with a
            vector of its own, such as `Curvature.gauss_newton_forms`.
        pairs: of A, by `leading_eigenpairs`.
        generator: source of the signs, on the CPU.
        tolerance: standard error, relative to |tr A|, at which probing ends. Before, the spread is
            known from at least 6 differences, or it could be small by chance.
        max_probes: most probes p, at least 2.

    Returns:
        A `TraceEstimate`; look at `standard_error`. It is exact, without probes, when the basis
        spans the whole space.

    Raises:
        DataError: with fewer than 2 probes, or if a form is NaN or infinite.

    Source: Meyer et al. 2021 (SIAM SOSA), Hutch++; the basis here is Lanczos' instead of random.
    """
    if max_probes < 2:
        raise DataError(f"max_probes: found {max_probes}, expected at least 2")
    basis, found = pairs.basis, float(pairs.projected.trace())
    size = basis.shape[1]
    if len(basis) == size:
        return TraceEstimate(found, 0.0, torch.zeros(0, dtype=torch.float64))

    def draw() -> Tensor:
        z = _signs(size, generator).to(basis)
        return z - basis.T @ (basis @ z)

    probes: list[Tensor] = []
    while True:
        probes.append(forms(draw))
        terms = torch.stack(probes)
        if not bool(terms[-1].isfinite().all()):
            raise DataError("forms: found NaN or infinite values; the loss is not finite here")
        p, n = terms.shape
        if p == 1 or (p < max_probes and n * (p - 1) < _DIFFERENCES):
            continue
        samples = found + terms.sum(1)
        error = math.sqrt(float(terms.var(0).sum()) / p)
        if p == max_probes or error <= tolerance * abs(float(samples.mean())):
            return TraceEstimate(float(samples.mean()), error, samples)


def _signs(size: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8) * 2 - 1


def _estimate(values: list[float]) -> TraceEstimate:
    samples = torch.tensor(values, dtype=torch.float64)
    if not bool(samples.isfinite().all()):
        raise DataError("product: found NaN or infinite values; the loss is not finite here")
    return TraceEstimate(
        value=float(samples.mean()),
        standard_error=float(samples.std()) / math.sqrt(len(values)),
        samples=samples,
    )
