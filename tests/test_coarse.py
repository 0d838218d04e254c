"""Filters and the exact subgrid term."""

import math

import pytest
import torch

from spectune.coarse import CoarseGraining, box_filter, gaussian_filter, sharp_filter
from spectune.grid import Grid, resize
from spectune.systems import NavierStokes2D, random_vorticity


def flow(n=96, dtype=torch.float64):
    return NavierStokes2D(Grid.square(n), reynolds=500.0, forcing_wavenumber=4, dtype=dtype)


def test_gaussian_filter_is_the_transform_of_a_gaussian():
    """G(r) = sqrt(6/πΔ²) exp(−6r²/Δ²) in each direction."""
    grid, width = Grid((256,), (2 * math.pi,), ("x",)), 0.5
    (x,) = grid.coordinates()
    distance = torch.minimum(x, 2 * math.pi - x)
    kernel = math.sqrt(6 / (math.pi * width**2)) * torch.exp(-6 * distance**2 / width**2)
    transform = grid.transform(kernel).real * 2 * math.pi
    torch.testing.assert_close(transform, gaussian_filter(grid, width), atol=1e-12, rtol=0)


def test_box_and_sharp_filters():
    grid, width = Grid((64,), (2 * math.pi,), ("x",)), 2 * math.pi / 8
    k = grid.wavenumbers()[0]
    inside = torch.where(k == 0, 1.0, torch.sin(k * width / 2) / (k * width / 2).clamp(min=1e-9))
    torch.testing.assert_close(box_filter(grid, width), inside)
    assert sharp_filter(grid, width).sum() == 9 / 2 + 0.5  # k = 0 … 4


@pytest.mark.parametrize("kernel", [gaussian_filter, box_filter, sharp_filter])
def test_filtered_dns_plus_subgrid_term_has_the_filtered_tendency(kernel):
    dns = flow()
    coarse = CoarseGraining(dns, Grid.square(32), kernel)
    les = coarse.les
    omega = dns.project(random_vorticity(dns.grid, generator=torch.manual_seed(0)) * 5)
    truth = coarse.filtered(dns.tendency(omega) + dns.linear * omega)
    _, filtered, subgrid = coarse.pair(omega)
    state = les.project(filtered)
    model = les.tendency(state) + les.linear * state + les.project(subgrid)
    scale = float(truth.abs().max())
    torch.testing.assert_close(model, truth, atol=1e-13 * scale, rtol=0)


def test_subgrid_term_equals_the_definition_at_dns_resolution():
    """Π computed on the DNS grid, then truncated, is the same field."""
    dns, grid = flow(), Grid.square(32)
    coarse = CoarseGraining(dns, grid)
    omega = dns.project(random_vorticity(dns.grid, generator=torch.manual_seed(1)))
    wide = dns.on(dns.grid, dealiasing="3/2")
    response = gaussian_filter(dns.grid, coarse.width)
    ky, kx = dns.grid.wavenumbers()
    filtered = response * omega * ((kx.abs() < 16) & (ky.abs() < 16))
    by_definition = wide.advection(filtered) - response * wide.advection(omega)
    expected = grid.inverse(resize(by_definition, dns.grid, grid))
    # dns.advection drops modes above its 2/3 cutoff; none of them is kept on the LES grid.
    torch.testing.assert_close(coarse.pair(omega)[2], expected, atol=1e-12, rtol=1e-10)


def test_stream_function_inverts_the_filtered_vorticity():
    dns, grid = flow(), Grid.square(32)
    omega = dns.project(random_vorticity(dns.grid, generator=torch.manual_seed(2)))
    psi, filtered, _ = CoarseGraining(dns, grid).pair(omega)
    laplacian = grid.inverse(-grid.squared_wavenumber() * grid.transform(psi))
    torch.testing.assert_close(laplacian, -filtered, atol=1e-12, rtol=0)


def test_single_precision_pairs_agree_with_double():
    fields = random_vorticity(Grid.square(96), generator=torch.manual_seed(3))
    results = []
    for dtype in (torch.float32, torch.float64):
        dns = flow(dtype=dtype)
        results.append(CoarseGraining(dns, Grid.square(32)).pair(dns.project(fields.to(dtype))))
    for single, double in zip(*results, strict=True):
        assert single.dtype == torch.float32
        assert float((single - double).std() / double.std()) < 1e-5


def curl_of_divergence(grid, xx, xy, yy):
    """∇×(∇·τ) = ∂x(∂x τ_xy + ∂y τ_yy) − ∂y(∂x τ_xx + ∂y τ_xy)."""
    ky, kx = grid.wavenumbers()
    xx, xy, yy = (grid.transform(component) for component in (xx, xy, yy))
    along_x, along_y = 1j * kx * xx + 1j * ky * xy, 1j * kx * xy + 1j * ky * yy
    return grid.inverse(1j * kx * along_y - 1j * ky * along_x)


@pytest.mark.parametrize("kernel", [gaussian_filter, box_filter, sharp_filter])
@pytest.mark.parametrize("les", [32, 80])  # 80: finer than the evolved modes of the DNS
def test_subgrid_term_is_minus_the_curl_of_the_divergence_of_the_stress(kernel, les):
    dns, grid = flow(), Grid.square(les)
    coarse = CoarseGraining(dns, grid, kernel)
    fields = torch.stack(
        [random_vorticity(dns.grid, generator=torch.manual_seed(seed)) for seed in (4, 5)]
    )
    omega = dns.project(fields)
    _, _, subgrid = coarse.pair(omega)
    scale = float(coarse.les.advection(coarse.filtered(omega)).abs().max())
    found = -curl_of_divergence(grid, *coarse.stress(omega))
    torch.testing.assert_close(found, subgrid, atol=1e-12 * scale, rtol=0)


def test_stress_equals_its_definition_on_the_fine_grid():
    """Velocities by differentiation, products and filter on 96² points; modes ≤ 15 compared."""
    dns, grid = flow(), Grid.square(32)
    coarse = CoarseGraining(dns, grid)
    omega = dns.project(random_vorticity(dns.grid, generator=torch.manual_seed(6)))
    ky, kx = dns.grid.wavenumbers()
    kept = (kx.abs() < 16) & (ky.abs() < 16)
    psi, response = dns.stream_function(omega), gaussian_filter(dns.grid, coarse.width) * kept

    def velocity(psi):
        return dns.grid.inverse(1j * ky * psi), dns.grid.inverse(-1j * kx * psi)

    def filtered(field):
        return dns.grid.transform(field) * response

    whole, resolved = velocity(psi), velocity(response * psi)
    for found, (i, j) in zip(coarse.stress(omega), ((0, 0), (0, 1), (1, 1)), strict=True):
        product = dns.grid.transform(resolved[i] * resolved[j]) * kept
        expected = grid.inverse(resize(filtered(whole[i] * whole[j]) - product, dns.grid, grid))
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_gaussian_stress_is_realisable_on_average():
    """A positive filter makes τ_xx a variance: its mean is not negative."""
    dns = flow()
    coarse = CoarseGraining(dns, Grid.square(32))
    xx, _, yy = coarse.stress(
        dns.project(random_vorticity(dns.grid, generator=torch.manual_seed(7)))
    )
    assert xx.mean() > 0
    assert yy.mean() > 0
