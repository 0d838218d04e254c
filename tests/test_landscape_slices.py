"""Slices of the loss against closed forms and direct evaluation of the whole network."""

import math

import pytest
import torch
import xarray as xr
from torch import nn

from spectune.errors import DataError
from spectune.landscape import Curvature, convexity, landscape_slice, leading_eigenpairs


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def conv(c_in, c_out):
    return nn.Conv2d(c_in, c_out, 3, padding=1, padding_mode="circular")


def problem(*activations):
    torch.manual_seed(0)
    modules = [conv(2, 3)]
    for activation in activations:
        modules += [activation, conv(3, 3)]
    model = nn.Sequential(*modules[:-1], conv(3, 1)) if activations else conv(2, 1)
    inputs = torch.randn(5, 2, 6, 8, generator=generator(1), dtype=torch.float64)
    targets = torch.randn(5, 1, 6, 8, generator=generator(2), dtype=torch.float64)
    return model.double(), inputs, targets


def leading(curvature, count=2):
    return leading_eigenpairs(
        curvature.hessian_product,
        curvature.size,
        generator(),
        count=count,
        tolerance=1e-10,
        max_iterations=500,
        dtype=torch.float64,
    )


def test_a_linear_model_has_the_closed_form_of_a_quadratic():
    model, inputs, targets = problem()
    curvature = Curvature(model, ["weight", "bias"], inputs, targets)
    pairs = leading(curvature)
    found = landscape_slice(curvature, pairs.vectors, points=5, rise=0.3)
    slopes, values = pairs.vectors @ curvature.gradient(), pairs.values
    torch.testing.assert_close(found.slopes, slopes)
    torch.testing.assert_close(found.curvatures, values)
    expected = found.loss + slopes[:, None] * found.offsets + values[:, None] * found.offsets**2 / 2
    torch.testing.assert_close(found.lines, expected)
    plane = expected[0][:, None] + expected[1] - found.loss
    torch.testing.assert_close(found.plane, plane)
    torch.testing.assert_close(found.line_lowest_at, -slopes / values, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(found.line_lowest, found.loss - slopes**2 / values / 2)
    torch.testing.assert_close(found.widths, 2 * (0.6 / values).sqrt(), rtol=1e-6, atol=0)
    torch.testing.assert_close(found.lowest_at, -slopes / values, rtol=1e-8, atol=1e-10)
    assert found.lowest == pytest.approx(found.loss - float((slopes**2 / values / 2).sum()))


@pytest.mark.parametrize("names", [["0.weight"], ["2.weight", "2.bias"], ["4.weight"]])
def test_values_and_minima_are_those_of_the_whole_network(names):
    model, inputs, targets = problem(nn.ReLU(), nn.Tanh())
    curvature = Curvature(model, names, inputs, targets, batch_size=2)
    pairs = leading(curvature)
    found = landscape_slice(curvature, pairs.vectors, points=5)
    start = {name: model.get_parameter(name).detach().clone() for name in names}

    def direct(*offsets):
        step = curvature.map.unflatten(torch.tensor(offsets, dtype=torch.float64) @ pairs.vectors)
        with torch.no_grad():
            for name in names:
                model.get_parameter(name).copy_(start[name] + step[name])
            value = nn.functional.mse_loss(model(inputs), targets).item()
            for name in names:
                model.get_parameter(name).copy_(start[name])
        return value

    assert found.loss == pytest.approx(direct(0.0, 0.0), rel=1e-12)
    for i, line in enumerate(found.lines):
        for a, value in zip(found.offsets[i].tolist(), line.tolist(), strict=True):
            assert value == pytest.approx(direct(*((a, 0.0) if i == 0 else (0.0, a))), rel=1e-12)
        place = found.line_lowest_at[i].item()
        at = direct(*((place, 0.0) if i == 0 else (0.0, place)))
        assert found.line_lowest[i].item() == pytest.approx(at, rel=1e-12)
        assert found.line_lowest[i] <= line.min()
    for j, a in enumerate(found.offsets[0].tolist()):
        for k, b in enumerate(found.offsets[1].tolist()):
            assert found.plane[j, k].item() == pytest.approx(direct(a, b), rel=1e-12)
    assert found.lowest == pytest.approx(direct(*found.lowest_at.tolist()), rel=1e-12)
    assert found.lowest <= found.plane.min()
    # No point of a fine mesh around the lowest one is noticeably lower.
    near = [
        direct(found.lowest_at[0].item() + 0.02 * j, found.lowest_at[1].item() + 0.02 * k)
        for j in range(-3, 4)
        for k in range(-3, 4)
    ]
    assert found.lowest <= min(near) + 1e-3 * found.loss


def test_widths_end_where_the_loss_has_risen():
    model, inputs, targets = problem(nn.Tanh())
    curvature = Curvature(model, ["2.weight"], inputs, targets)
    v = leading(curvature, 1).vectors
    found = landscape_slice(curvature, v, points=5)
    edges = []
    for sign in (-1, 1):
        low, high = 0.0, 50.0
        for _ in range(60):
            middle = (low + high) / 2
            loss = curvature.loss_at((found.line_lowest_at[0] + sign * middle) * v[0])
            low, high = (
                (middle, high) if loss < found.line_lowest[0] + found.rise else (low, middle)
            )
        edges.append(high)
    assert found.widths[0].item() == pytest.approx(sum(edges), rel=1e-5)
    assert found.plane is None
    # Behind a saturated activation the loss never rises that much.
    first = Curvature(model, ["0.weight"], inputs, targets)
    v = leading(first, 1).vectors
    assert landscape_slice(first, v, points=3, rise=1e3).widths[0] == math.inf


def test_convexity_of_a_spectrum_and_of_networks():
    values = torch.cat((torch.linspace(-1, 0, 40), torch.linspace(0, 5, 60))).double()
    q, _ = torch.linalg.qr(torch.randn(100, 100, generator=generator(), dtype=torch.float64))
    matrix = q @ torch.diag(values) @ q.T
    share = 20 / (20 + 150)
    whole = convexity(matrix.mv, 100, generator(), tolerance=0, max_iterations=100, dtype=q.dtype)
    assert whole.smallest == pytest.approx(-1)
    assert whole.negative_share == pytest.approx(share)
    few = [
        convexity(matrix.mv, 100, generator(s), max_iterations=12, dtype=q.dtype) for s in range(9)
    ]
    assert sum(one.negative_share for one in few) / 9 == pytest.approx(share, rel=0.3)
    for activation, convex in ((nn.ReLU(), True), (nn.Tanh(), False)):
        model, inputs, targets = problem(activation)
        curvature = Curvature(model, ["0.weight"], inputs, 3 * targets)
        found = convexity(curvature.hessian_product, curvature.size, generator(), dtype=q.dtype)
        assert (found.negative_share < 1e-12) == convex
        assert (found.smallest > -1e-12) == convex


def test_dataset(tmp_path):
    model, inputs, targets = problem(nn.ReLU())
    curvature = Curvature(model, ["2.weight"], inputs, targets)
    found = landscape_slice(curvature, leading(curvature).vectors, points=3)
    data = found.to_dataset()
    assert data.loss_on_plane.shape == (3, 3)
    assert data.attrs["loss"] == found.loss
    data.to_netcdf(tmp_path / "slice.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "slice.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), data)


def test_refusals():
    model, inputs, targets = problem()
    curvature = Curvature(model, ["weight"], inputs, targets)
    v = torch.eye(curvature.size, dtype=torch.float64)
    for directions, options, message in (
        (v[:3], {}, "directions"),
        (v[:2] * 2, {}, "orthonormal"),
        (v[:1], {"points": 4}, "points"),
        (v[:1], {"radii": [0.0]}, "radii"),
        (v[:1], {"rise": 0.0}, "rise"),
        (v[:1], {"radii": [1e200]}, "not finite|use smaller radii"),
    ):
        with pytest.raises(DataError, match=message):
            landscape_slice(curvature, directions, **options)
    with torch.no_grad():
        perfect = Curvature(model, ["weight"], inputs, model(inputs))
    with pytest.raises(DataError, match="cannot double"):
        landscape_slice(perfect, v[:1])
