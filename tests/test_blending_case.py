"""The parts of the worked blending case that have an answer in closed form."""

import numpy as np
import pytest
from benchmarks.blending.fields import refined
from benchmarks.blending.tracks import Seen, interpolate, observe


def test_refining_a_wave_is_exact() -> None:
    x = np.arange(16) / 16
    fine = np.arange(40) / 40
    wave = np.sin(2 * np.pi * (3 * x[:, None] - 2 * x[None]) + 0.4)
    expected = np.sin(2 * np.pi * (3 * fine[:, None] - 2 * fine[None]) + 0.4)

    assert refined(wave[None], 40)[0] == pytest.approx(expected, abs=1e-12)


def test_tracks_see_one_point_a_row_where_they_pass() -> None:
    field = np.arange(64.0).reshape(8, 8)
    seen = observe(field, np.array([1e-9, 1e-9, 0.5]), np.random.default_rng(0))

    exact = seen.of(2)
    assert exact.value == pytest.approx(field[exact.row, exact.column], abs=1e-6)
    assert set(seen.of(2, rest=True).track.tolist()) == {2}
    for track in range(3):
        rows = seen.row[seen.track == track]
        assert len(rows) > 0
        assert len(set(rows.tolist())) == len(rows)
    assert set(seen.variance.tolist()) == {1e-18, 0.25}


def one_point(value: float, variance: float) -> Seen:
    """Return two observations at one point, so that their mean is not the value."""
    return Seen(
        row=np.array([2, 2]),
        column=np.array([1, 5]),
        track=np.array([0, 0]),
        value=np.array([value, -value]),
        variance=np.array([variance, variance]),
    )


def test_interpolation_of_two_points_in_closed_form() -> None:
    """With d = (v, −v): ŷ = v (C₁ − C₂)/(1 − c + σ²), c the covariance of the two points."""
    length, variance, value = 2.0, 0.3, 1.7

    def covariance(distance: float) -> float:
        return (1 + distance / length) * np.exp(-distance / length)

    field = interpolate(one_point(value, variance), 8, length)

    for row, column in ((0, 0), (2, 1), (7, 4)):
        first, second = np.hypot(row - 2, column - 1), np.hypot(row - 2, column - 5)
        expected = (covariance(first) - covariance(second)) / (1 - covariance(4.0) + variance)
        assert field[row, column] == pytest.approx(value * expected)


def test_interpolation_meets_exact_observations() -> None:
    field = interpolate(one_point(1.7, 1e-12), 8, 2.0)

    assert field[2, 1] == pytest.approx(1.7)
    assert field[2, 5] == pytest.approx(-1.7)
