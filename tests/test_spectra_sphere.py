"""Spectra on the sphere: Parseval, single harmonics, solid rotation, on every kind of grid."""

import math
import sys

import ducc0
import numpy as np
import pytest
import scipy.special
import torch

from spectune.errors import DataError
from spectune.spectra import SphereGrid, spherical_spectrum, wind_spectrum

NLON = 48


def latitudes(geometry, n):
    if geometry == "CC":
        return np.linspace(90, -90, n)
    if geometry == "F1":
        return 90 - (np.arange(n) + 0.5) * 180 / n
    return np.degrees(np.arcsin(scipy.special.roots_legendre(n)[0][::-1]))


def grid_of(geometry, n=25, north_first=True):
    latitude = latitudes(geometry, n)
    sphere = SphereGrid.from_coordinates(
        latitude if north_first else latitude[::-1], np.arange(NLON) * 360 / NLON, radius=2.0
    )
    assert sphere.geometry == geometry
    assert sphere.north_first == north_first
    phi = torch.from_numpy(np.radians(latitude if north_first else latitude[::-1].copy()))
    east = torch.arange(NLON, dtype=torch.float64) * (2 * math.pi / NLON)
    return sphere, phi[:, None].expand(-1, NLON), east.expand(len(phi), -1)


def harmonic(degree, order, phi, east, phase=0.3):
    """Real harmonic from scipy: Re Y_lm exp(i phase)."""
    y = scipy.special.sph_harm_y(degree, order, math.pi / 2 - phi.numpy(), east.numpy())
    return torch.from_numpy((y * np.exp(1j * phase)).real)


kinds = pytest.mark.parametrize(
    ("geometry", "n", "north_first"),
    [("CC", 25, True), ("CC", 24, False), ("F1", 24, True), ("F1", 25, False), ("GL", 24, True)],
)


@kinds
def test_parseval_and_degrees_of_single_harmonics(geometry, n, north_first):
    sphere, phi, east = grid_of(geometry, n, north_first)
    top = sphere.highest_degree
    assert top == (22 if (geometry, n) == ("CC", 24) else 23)
    field, expected = 0.7 * torch.ones_like(phi), torch.zeros(top + 1, dtype=torch.float64)
    expected[0] = 0.49
    for degree, order, amplitude in ((1, 0, 2.0), (5, 3, -1.0), (8, 8, 0.5), (top, top, 3.0)):
        field = field + amplitude * harmonic(degree, order, phi, east, phase=0.0)
        # ∫ Y² dΩ = 1, and Re Y_lm has half of it for m > 0.
        expected[degree] += amplitude**2 / (4 * math.pi) / (2 if order else 1)
    found = spherical_spectrum(torch.stack((field, 2 * field)), sphere)
    torch.testing.assert_close(found.power[0], expected, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found.power[1], 4 * expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.power[0].sum(), expected.sum(), rtol=1e-12, atol=0)
    assert found.wavenumber[1].item() == pytest.approx(math.sqrt(2) / 2)


def test_parseval_of_random_fields_by_gaussian_quadrature():
    """Gauss–Legendre weights of numpy integrate x² exactly, whatever the transform does."""
    n = 24
    sphere, _, _ = grid_of("GL", n)
    top = sphere.highest_degree
    rng = np.random.default_rng(0)
    size = (top + 1) * (top + 2) // 2
    modes = rng.standard_normal((1, size)) + 1j * rng.standard_normal((1, size))
    modes[:, : top + 1].imag = 0
    field = ducc0.sht.synthesis_2d(
        alm=modes, spin=0, lmax=top, mmax=top, ntheta=n, nphi=NLON, geometry="GL"
    )[0]
    weight = np.polynomial.legendre.leggauss(n)[1] / 2
    mean_square = (weight[:, None] * field**2).sum() / NLON
    total = spherical_spectrum(torch.from_numpy(field), sphere).power.sum().item()
    assert total == pytest.approx(mean_square, rel=1e-12)


@kinds
def test_solid_rotation_is_all_in_degree_one(geometry, n, north_first):
    """u = U cos φ about any axis: energy U²/3, vorticity 2 U sin φ / a."""
    sphere, phi, east = grid_of(geometry, n, north_first)
    about_the_pole = (3 * torch.cos(phi), torch.zeros_like(phi))
    about_the_equator = (-3 * torch.sin(phi) * torch.cos(east), 3 * torch.sin(east))
    for u, v in (about_the_pole, about_the_equator):
        found = wind_spectrum(u, v, sphere)
        assert found.rotational[1].item() == pytest.approx(3.0, rel=1e-12)
        rest = found.rotational.clone()
        rest[1] = 0
        assert rest.abs().max() < 1e-13
        assert found.divergent.abs().max() < 1e-13
    vorticity = spherical_spectrum(2 * 3 * torch.sin(phi) / 2.0, sphere).power
    assert vorticity[1].item() == pytest.approx(3.0, rel=1e-12)
    # ½ a² |ζ|²/(l(l + 1)) is the energy again.
    assert 0.5 * 4 * vorticity[1].item() / 2 == pytest.approx(3.0, rel=1e-12)


@kinds
def test_a_velocity_potential_diverges_without_rotation(geometry, n, north_first):
    """χ = sin φ of degree 1 and χ = cos² φ cos 2λ of degree 2, (u, v) = ∇χ."""
    sphere, phi, east = grid_of(geometry, n, north_first)
    u = -2 * torch.cos(phi) * torch.sin(2 * east) / 2.0
    v = (torch.cos(phi) - 2 * torch.cos(phi) * torch.sin(phi) * torch.cos(2 * east)) / 2.0
    found = wind_spectrum(u, v, sphere)
    assert found.rotational.abs().max() < 1e-13
    # ½ l(l + 1)/a² ⟨χ²⟩ with ⟨sin² φ⟩ = 1/3 and ⟨cos⁴ φ cos² 2λ⟩ = 4/15.
    assert found.divergent[1].item() == pytest.approx(0.5 * 2 / 4 / 3, rel=1e-12)
    assert found.divergent[2].item() == pytest.approx(0.5 * 6 / 4 * 4 / 15, rel=1e-12)
    assert found.divergent[3:].max() < 1e-13


def test_slope_of_a_power_law():
    sphere, _, _ = grid_of("F1", 24)
    top = sphere.highest_degree
    degree = np.concatenate([np.arange(m, top + 1) for m in range(top + 1)])
    rng = np.random.default_rng(1)
    modes = rng.standard_normal((40, len(degree))) + 1j * rng.standard_normal((40, len(degree)))
    modes *= np.where(degree > 0, np.maximum(degree, 1.0) ** -2, 0)  # 2l + 1 orders: E ∝ l^−3
    fields = [
        ducc0.sht.synthesis_2d(
            alm=mode[None], spin=0, lmax=top, mmax=top, ntheta=24, nphi=NLON, geometry="F1"
        )[0]
        for mode in modes
    ]
    power = spherical_spectrum(torch.from_numpy(np.stack(fields)), sphere).power.mean(0)
    slope = np.polyfit(np.log(np.arange(4, top)), power[4:top].log().numpy(), 1)[0]
    assert slope == pytest.approx(-3, abs=0.1)


def test_refusals(monkeypatch):
    sphere, phi, _ = grid_of("CC")
    field = phi.clone()
    with pytest.raises(DataError, match=r"\(25, 47\)"):
        spherical_spectrum(field[:, :-1], sphere)
    with pytest.raises(DataError, match="v: found shape"):
        wind_spectrum(field, field[:-1], sphere)
    field[3, 4] = torch.nan
    with pytest.raises(DataError, match="v: found 1 NaN"):
        wind_spectrum(phi, field, sphere)
    east = np.arange(NLON) * 7.5
    with pytest.raises(DataError, match="repeated meridian"):
        SphereGrid.from_coordinates(latitudes("CC", 25), np.linspace(0, 360, NLON + 1))
    with pytest.raises(DataError, match="expected the whole sphere"):
        SphereGrid.from_coordinates(np.linspace(60, -60, 25), east)
    monkeypatch.setitem(sys.modules, "ducc0", None)
    with pytest.raises(DataError, match=r"spectune\[sphere\]"):
        spherical_spectrum(phi, sphere)
