"""Clusters of kernels, changes over seeds, and whether a change follows the spectra."""

import math

import pytest
import torch

from spectune.errors import DataError
from spectune.grid import Grid
from spectune.spectra import (
    cluster_kernels,
    kernel_change,
    kernel_change_over_seeds,
    shell_wavenumbers,
    spectral_alignment,
)

GRID = Grid.square(32)


def gabor(angle, n=7):
    r = torch.arange(n, dtype=torch.float64) - n // 2
    y, x = torch.meshgrid(r, r, indexing="ij")
    u = x * math.cos(angle) + y * math.sin(angle)
    return torch.exp(-(x**2 + y**2) / 6) * torch.cos(0.5 * math.pi * u)


@pytest.mark.parametrize("kinds", [3, 5])
def test_planted_clusters(kinds):
    """Gabors of a few directions, of random scale and sign, with noise: found again."""
    generator = torch.Generator().manual_seed(0)
    angles = torch.arange(kinds) * (math.pi / kinds)
    shapes = torch.stack([gabor(float(angle)) for angle in angles])
    planted_in = torch.arange(12 * 20) % kinds
    sizes = torch.rand(240, generator=generator) * 4 - 2
    noise = 0.05 * torch.randn(240, 7, 7, generator=generator)
    weight = (sizes[:, None, None] * (shapes[planted_in] + noise)).reshape(12, 20, 7, 7)
    weight[3, 4] = 0
    clusters = cluster_kernels(weight)
    assert clusters.count == kinds
    assert int(clusters.labels[3, 4]) == -1
    found = clusters.labels.flatten()
    pairs = {(int(a), int(b)) for a, b in zip(planted_in, found, strict=True) if b >= 0}
    assert len(pairs) == kinds  # one cluster for each direction, and back
    chosen = clusters.numbers.tolist().index(kinds)
    assert clusters.silhouette[chosen] > 0.6
    assert clusters.silhouette.argmax() == chosen
    assert clusters.stability[chosen] == pytest.approx(1)


def test_random_kernels_are_no_clusters():
    weight = torch.randn(10, 20, 3, 3, generator=torch.Generator().manual_seed(0))
    clusters = cluster_kernels(weight, most=4)
    assert clusters.silhouette.max() < 0.25
    assert torch.equal(cluster_kernels(weight, most=4).labels, clusters.labels)


def test_too_few_kernels_to_choose():
    same = torch.ones(3, 2, 3) * torch.tensor([1.0, 2.0, -3.0])[:, None, None]
    clusters = cluster_kernels(same)
    assert (clusters.count, len(clusters.silhouette)) == (1, 0)
    assert clusters.labels.eq(0).all()
    with pytest.raises(DataError, match="every kernel is zero"):
        cluster_kernels(torch.zeros(2, 2, 3))


def test_noise_of_the_change_is_what_seeds_do_not_share():
    """ΔW_s = common + σ ε_s: noise² → K² σ², change² → ‖common‖² + K² σ²."""
    generator = torch.Generator().manual_seed(0)
    before, common = torch.randn(2, 30, 30, 5, 5, generator=generator, dtype=torch.float64)
    common[15:] = 0
    after = [
        before + common + 0.1 * torch.randn(before.shape, generator=generator, dtype=torch.float64)
        for _ in range(4)
    ]
    change = kernel_change_over_seeds(before, after, GRID)
    noise = change.weight_noise.square().mean().sqrt()
    assert float(noise) == pytest.approx(0.1 * 5, rel=0.02)
    expected = (common.flatten(2).square().sum(2) + 25 * 0.01).sqrt()
    torch.testing.assert_close(change.weight, expected, rtol=0.25, atol=0)
    # Where nothing is shared, the change is its own noise, and in gain likewise.
    for total, part in (
        (change.weight, change.weight_noise),
        (change.response, change.response_noise),
    ):
        assert float(total[15:].square().mean() / part[15:].square().mean()) == pytest.approx(
            1, rel=0.05
        )
        assert (total[:15] > 3 * part[:15]).float().mean() > 0.95
    assert (change.response <= change.weight * (1 + 1e-12)).all()
    one = kernel_change(before, after[0], GRID)
    assert one.weight_noise is None
    with pytest.raises(DataError, match="at least 2"):
        kernel_change_over_seeds(before, after[:1], GRID)


def test_a_dilated_kernel_changes_as_much():
    before, after = torch.randn(2, 2, 3, 3, 3, dtype=torch.float64)
    once, twice = (kernel_change(before, after, GRID, d) for d in (1, 2))
    torch.testing.assert_close(once.weight, twice.weight)
    # |Ŵ| itself has kinks, so that every second mode gives nearly its mean, not exactly.
    torch.testing.assert_close(once.response, twice.response, rtol=0.02, atol=0)


def steepened(sign):
    """Return a smoothing layer before, less smoothing after, and spectra that differ so or not."""
    generator = torch.Generator().manual_seed(2)
    low, delta = torch.ones(5, 5, dtype=torch.float64) / 25, torch.zeros(5, 5, dtype=torch.float64)
    delta[2, 2] = 1
    shares = 0.2 + 0.4 * torch.rand(6, 8, 1, 1, generator=generator, dtype=torch.float64)
    before, after = (low + share * delta for share in (shares, 1.5 * shares))
    k = shell_wavenumbers(GRID).clamp(min=1)
    return before, after, k**-3.0, k ** (-3.0 + sign)


@pytest.mark.parametrize("sign", [1, -1])
def test_alignment_has_the_sign_of_the_way_that_the_layer_goes(sign):
    before, after, base, target = steepened(sign)
    found = spectral_alignment(before, after, base, target, GRID)
    assert sign * found.value > 0.8
    # Base and target change places, and so does the sign.
    assert spectral_alignment(
        before, after, target, base, GRID, permutations=0
    ).value == pytest.approx(-found.value)


def test_alignment_is_a_weighted_correlation_of_the_two_curves():
    before, after, base, target = steepened(1)
    found = spectral_alignment(before, after, base, target, GRID, permutations=9)
    k = found.wavenumber
    inside = found.spectrum_ratio.isfinite()
    assert inside.tolist() == [1 <= value <= 16 for value in k.tolist()]
    w = 1 / k[inside] / (1 / k[inside]).sum()
    x, y = (v[inside] - (w * v[inside]).sum() for v in (found.response_ratio, found.spectrum_ratio))
    expected = (w * x * y).sum() / ((w * x * x).sum() * (w * y * y).sum()).sqrt()
    assert found.value == pytest.approx(float(expected))


def test_p_values_of_random_changes_are_uniform():
    """Random changes are called significant at 10 % in about 10 % of cases."""
    generator = torch.Generator().manual_seed(0)
    k = shell_wavenumbers(GRID).clamp(min=1)
    p = []
    for trial in range(60):
        before, change = torch.randn(2, 4, 4, 5, 5, generator=generator, dtype=torch.float64)
        found = spectral_alignment(
            before, before + 0.3 * change, k**-3, k**-2, GRID, permutations=99, seed=trial
        )
        p.append(found.p_value)
    assert min(p) >= 2 / 100
    assert sum(value <= 0.1 for value in p) <= 14  # binomial(60, 0.1): 6 ± 2.3
    assert sum(value > 0.5 for value in p) >= 18


def test_nothing_to_align():
    before, after, base, target = steepened(1)
    for arguments in ((before, before, base, target), (before, after, base, 3 * base)):
        found = spectral_alignment(*arguments, GRID, permutations=3)
        assert math.isnan(found.value)
        assert math.isnan(found.p_value)


def test_alignment_on_cosine_shells_and_coarse_inputs():
    before, after, _, _ = steepened(1)
    walls = Grid((32, 32), (1.0, 1.0), ("y", "x"), periodic=False)
    k = shell_wavenumbers(walls).clamp(min=1)
    assert spectral_alignment(before, after, k**-3, k**-2, walls, permutations=0).value > 0.8
    coarse = shell_wavenumbers(GRID.with_shape((16, 16))).clamp(min=1)
    found = spectral_alignment(before, after, coarse**-3, coarse**-2, GRID, permutations=0)
    assert int(found.spectrum_ratio.isfinite().sum()) == len(coarse) - 1
    with pytest.raises(DataError, match="at most"):
        spectral_alignment(before, after, torch.ones(99), torch.ones(99), GRID)
    with pytest.raises(DataError, match="as before"):
        spectral_alignment(before, after[:1], coarse, coarse, GRID)
