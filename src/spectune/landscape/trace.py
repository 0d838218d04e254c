"""Trace of a matrix that is known by its products only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spectune.errors import DataError

__all__ = ["TraceEstimate", "hutchinson_trace"]


@dataclass(frozen=True)
class TraceEstimate:
    """Estimate of a trace.

    Attributes:
        value: mean over probes.
        standard_error: standard deviation of that mean.
        samples: (probes,) zᵀA z of each probe, float64.
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
        signs = torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8) * 2 - 1
        z = signs.to(device=device, dtype=dtype)
        values.append(float(z.to(torch.float64) @ product(z).detach().to(torch.float64)))
    samples = torch.tensor(values, dtype=torch.float64)
    if not bool(samples.isfinite().all()):
        raise DataError("product: found NaN or infinite values; the loss is not finite here")
    return TraceEstimate(
        value=float(samples.mean()),
        standard_error=float(samples.std()) / math.sqrt(probes),
        samples=samples,
    )
