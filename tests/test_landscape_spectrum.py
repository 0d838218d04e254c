"""Trace and eigenpairs against dense float64 matrices."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spectune.errors import DataError
from spectune.landscape import Curvature, hutchinson_trace, leading_eigenpairs


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def symmetric(eigenvalues, seed=0):
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    n = len(values)
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=generator(seed), dtype=torch.float64))
    return q @ torch.diag(values) @ q.T


def small_net():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        nn.GroupNorm(1, 3),
        nn.Tanh(),
        nn.Conv2d(3, 1, 3, padding=1, padding_mode="circular"),
    ).double()
    inputs = torch.randn(6, 2, 6, 6, dtype=torch.float64)
    targets = 3 * torch.randn(6, 1, 6, 6, dtype=torch.float64)
    return Curvature(model, ["0.weight", "0.bias"], inputs, targets)


@pytest.mark.parametrize("kind", ["hessian_product", "gauss_newton_product"])
@pytest.mark.parametrize("ordering", ["largest", "smallest", "magnitude"])
def test_eigenpairs_of_a_network(kind, ordering):
    curvature = small_net()
    product = getattr(curvature, kind)
    matrix = torch.stack([product(e) for e in torch.eye(curvature.size, dtype=torch.float64)])
    assert (matrix - matrix.T).abs().max() < 1e-14 * curvature.size
    values, vectors = torch.linalg.eigh(matrix)
    key = {"largest": values, "smallest": -values, "magnitude": values.abs()}[ordering]
    order = key.argsort(descending=True)[:3]
    found = leading_eigenpairs(
        product,
        curvature.size,
        generator(),
        count=3,
        ordering=ordering,
        tolerance=1e-10,
        dtype=curvature.dtype,
    )
    assert found.converged
    scale = values.abs().max().item()
    torch.testing.assert_close(found.values, values[order], rtol=1e-8, atol=1e-10 * scale)
    for value, vector, residual, exact in zip(
        found.values, found.vectors, found.residuals, vectors.T[order], strict=True
    ):
        true_residual = (matrix @ vector - value * vector).norm()
        assert true_residual <= residual + 1e-9 * scale
        if kind == "hessian_product" or ordering != "smallest":  # those of G may be degenerate
            assert abs((vector @ exact).item()) == pytest.approx(1, abs=1e-6)
    gram = found.vectors @ found.vectors.T
    torch.testing.assert_close(gram, torch.eye(3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_lanczos_needs_few_products_for_a_few_large_eigenvalues():
    matrix = symmetric([100.0, 50.0, 25.0, *torch.linspace(-1, 1, 297).tolist()])
    found = leading_eigenpairs(
        matrix.mv, 300, generator(), count=3, tolerance=1e-8, dtype=torch.float64
    )
    assert found.converged
    assert found.iterations <= 15
    torch.testing.assert_close(
        found.values, torch.tensor([100.0, 50.0, 25.0], dtype=torch.float64), rtol=1e-10, atol=0
    )


def test_too_few_iterations_are_admitted():
    matrix = symmetric(torch.linspace(0, 1, 200))
    found = leading_eigenpairs(
        matrix.mv, 200, generator(), tolerance=1e-10, max_iterations=10, dtype=torch.float64
    )
    assert not found.converged
    assert found.iterations == 10
    true = (found.vectors @ matrix - found.values[:, None] * found.vectors).norm(dim=1)
    torch.testing.assert_close(found.residuals, true, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("eigenvalues", "count", "most"),
    [
        ([2.0] * 8, 3, 3),
        ([5.0, 5.0, 1.0, 1.0, 1.0, 1.0], 2, 6),
        ([3.0, 1.0] + [0.0] * 30, 2, 5),
        ([0.0] * 9, 2, 2),
        ([-4.0, 7.0], 2, 2),
        ([1.5], 1, 1),
    ],
)
def test_repeated_and_vanishing_eigenvalues(eigenvalues, count, most):
    matrix = symmetric(eigenvalues)
    found = leading_eigenpairs(
        matrix.mv, len(eigenvalues), generator(3), count=count, dtype=torch.float64
    )
    assert found.converged
    assert found.iterations <= most
    expected = torch.tensor(sorted(eigenvalues, reverse=True)[:count], dtype=torch.float64)
    torch.testing.assert_close(found.values, expected, rtol=1e-8, atol=1e-12)
    true = (found.vectors @ matrix - found.values[:, None] * found.vectors).norm(dim=1)
    assert true.max() < 1e-4 * max(1.0, expected.abs().max().item())


@given(seed=st.integers(0, 2**16), n=st.integers(2, 30), count=st.integers(1, 2))
def test_whole_space_gives_exact_eigenvalues(seed, n, count):
    values = torch.randn(n, generator=generator(seed), dtype=torch.float64)
    matrix = symmetric(values, seed)
    found = leading_eigenpairs(
        matrix.mv, n, generator(seed), count=count, tolerance=1e-12, dtype=torch.float64
    )
    expected = values.sort(descending=True).values[:count]
    torch.testing.assert_close(found.values, expected, rtol=1e-8, atol=1e-10)


def test_float32_eigenpairs():
    matrix = symmetric([10.0, 4.0, *torch.linspace(0, 1, 60).tolist()]).float()
    found = leading_eigenpairs(matrix.mv, 62, generator())
    assert found.converged
    assert found.vectors.dtype == torch.float32
    assert found.values.tolist() == pytest.approx([10, 4], rel=1e-5)


def test_hutchinson_is_exact_for_a_diagonal():
    diagonal = torch.randn(50, generator=generator(), dtype=torch.float64)
    estimate = hutchinson_trace(
        lambda v: diagonal * v, 50, generator(), probes=4, dtype=torch.float64
    )
    assert estimate.value == pytest.approx(diagonal.sum().item(), rel=1e-12)
    assert estimate.standard_error < 1e-12


def test_hutchinson_has_the_known_variance():
    matrix = symmetric(torch.linspace(-1, 3, 40))
    probes = 4000
    estimate = hutchinson_trace(matrix.mv, 40, generator(), probes=probes, dtype=torch.float64)
    outside = matrix - torch.diag(matrix.diagonal())
    predicted = (2 * outside.square().sum() / probes).sqrt().item()
    assert estimate.standard_error == pytest.approx(predicted, rel=0.1)
    assert abs(estimate.value - matrix.trace().item()) < 4 * predicted


def test_trace_of_a_network_and_repeatability():
    curvature = small_net()
    product = curvature.gauss_newton_product
    exact = sum(
        product(e)[i].item() for i, e in enumerate(torch.eye(curvature.size, dtype=torch.float64))
    )
    first, again = (
        hutchinson_trace(product, curvature.size, generator(5), dtype=curvature.dtype)
        for _ in range(2)
    )
    assert torch.equal(first.samples, again.samples)
    assert abs(first.value - exact) < 4 * first.standard_error
    assert len(first.samples) == 32


def test_refusals():
    with pytest.raises(DataError, match="probes"):
        hutchinson_trace(lambda v: v, 3, generator(), probes=1)
    with pytest.raises(DataError, match="NaN"):
        hutchinson_trace(lambda v: v * torch.nan, 3, generator())
    with pytest.raises(DataError, match="count"):
        leading_eigenpairs(lambda v: v, 3, generator(), count=4)
    with pytest.raises(DataError, match="NaN"):
        leading_eigenpairs(lambda v: v * torch.nan, 3, generator())
