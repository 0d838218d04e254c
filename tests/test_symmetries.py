"""What turning, mirroring or moving the flow does to ψ, ω, Π and the run.

With ∇²ψ = −ω, u = ∂ψ/∂y and v = −∂ψ/∂x, a rotation carries ω, ψ and Π along as they are, and a
reflection, which turns the sense of rotation round, changes the sign of all three.
"""

import math

import pytest
import torch

from spectune.coarse import CoarseGraining
from spectune.grid import Grid
from spectune.systems import IntegratingFactorRK4, NavierStokes2D, random_vorticity

FRICTION = {"reynolds": 200.0, "drag": 0.1, "hyperviscosity": 1e-8, "hypoviscosity": 0.2}


def backwards(field, dim):
    """f(−x) on a grid with a point at 0."""
    return field.flip(dim).roll(1, dim)


SYMMETRIES = {
    "mirror in x": (lambda f: -backwards(f, -1)),
    "mirror in y": (lambda f: -backwards(f, -2)),
    "mirror in the diagonal": (lambda f: -f.transpose(-2, -1)),
    "quarter turn": (lambda f: backwards(f, -2).transpose(-2, -1)),
    "half turn": (lambda f: backwards(backwards(f, -1), -2)),
}


def evolved(system, field, steps=20):
    scheme = IntegratingFactorRK4(system.linear, system.tendency, 0.01)
    state = system.project(field)
    for _ in range(steps):
        state = scheme.step(state)
    return system.grid.inverse(state)


def turbulence(grid, seed=5):
    return 3 * random_vorticity(grid, peak=5, generator=torch.manual_seed(seed))


@pytest.mark.parametrize("name", SYMMETRIES)
def test_stream_function_subgrid_term_and_run_follow_the_vorticity(name):
    image = SYMMETRIES[name]
    system = NavierStokes2D(Grid.square(48), **FRICTION)
    coarse = CoarseGraining(system, Grid.square(16))
    field = turbulence(system.grid)
    fields, images = (coarse.pair(system.project(f)) for f in (field, image(field)))
    for found, expected in zip(images, fields, strict=True):
        torch.testing.assert_close(found, image(expected), atol=1e-12, rtol=0)
    end = image(evolved(system, field))
    torch.testing.assert_close(evolved(system, image(field)), end, atol=1e-11, rtol=0)
    assert (end - image(field)).abs().max() > 0.1  # it has moved


def test_a_mirror_in_x_and_not_in_y_needs_another_beta():
    """−βv keeps its form under y → −y only: waves go west, and a mirror in x sends them east."""
    system = NavierStokes2D(Grid.square(32), beta=4.0, **FRICTION)
    field = turbulence(system.grid)
    end = evolved(system, field)
    for name, kept in (("mirror in y", True), ("mirror in x", False)):
        image = SYMMETRIES[name]
        difference = (evolved(system, image(field)) - image(end)).abs().max()
        assert (float(difference) < 1e-11) == kept, name


def test_the_forced_run_has_the_mirror_of_its_forcing():
    """f is even and ω odd under a mirror; moved on by half a wavelength, −f is f."""
    k = 4
    system = NavierStokes2D(Grid.square(32), forcing_wavenumber=k, **FRICTION)
    half = 32 // (2 * k)

    def image(f):
        return -backwards(f, -1).roll((half, half), (-2, -1))

    field = turbulence(system.grid)
    end = image(evolved(system, field))
    torch.testing.assert_close(evolved(system, image(field)), end, atol=1e-11, rtol=0)
    unmoved = SYMMETRIES["mirror in x"]
    assert (evolved(system, unmoved(field)) - unmoved(evolved(system, field))).abs().max() > 0.1


@pytest.mark.parametrize("dealiasing", ["2/3", "3/2", "none"])
def test_galilean_invariance(dealiasing):
    """A flow carried by a uniform wind is the flow, moved: also by fractions of a grid spacing.

    The wind −i(k·U)ω̂ is linear, which the scheme steps exactly; what is tested is that products
    do not know where the grid points are. With aliasing they do.
    """
    system = NavierStokes2D(Grid.square(32), dealiasing=dealiasing, **FRICTION)
    ky, kx = system.grid.wavenumbers()
    wind, t = 1j * (0.7 * kx - 0.3 * ky), 0.2
    start = system.project(
        2 * random_vorticity(system.grid, peak=9, generator=torch.manual_seed(2))
    )
    ends = []
    for linear in (system.linear, system.linear - wind):
        scheme, state = IntegratingFactorRK4(linear, system.tendency, t / 20), start
        for _ in range(20):
            state = scheme.step(state)
        ends.append(state)
    at_rest, carried = ends
    moved = torch.exp(-wind * t) * at_rest
    error = float((carried - moved).abs().max() / moved.abs().max())
    if dealiasing == "none":
        assert error > 1e-5
    else:
        assert error < 1e-12


def test_a_flow_of_one_direction_stays_so():
    """Nothing seeds the other direction: u(y) alone has no advection, to the last bit."""
    grid = Grid.square(32)
    y = grid.coordinates()[0][:, None].expand(grid.shape)
    system = NavierStokes2D(grid, **FRICTION)
    end = evolved(system, torch.sin(3 * y) + torch.cos(5 * y), 100)
    assert (end.std(dim=-1) < 1e-15).all()
    expected = sum(
        wave * math.exp(-(k**2 / 200 + 0.1 + 1e-8 * k**8 + 0.2 / k**2))
        for k, wave in ((3, torch.sin(3 * y)), (5, torch.cos(5 * y)))
    )
    torch.testing.assert_close(end, expected, atol=1e-13, rtol=0)
