"""How many samples reach an error, on curves whose answer is known."""

import pytest
from benchmarks.data_needed.needed import samples_needed

SIZES = (2, 4, 10, 20, 50, 100, 200)


def power_law(size: float) -> float:
    return 0.7 * size**-0.3


@pytest.mark.parametrize("size", [2.5, 10, 33.0, 200])
def test_a_power_law_is_inverted_between_the_points(size: float) -> None:
    errors = [power_law(n) for n in SIZES]

    assert samples_needed(SIZES, errors, power_law(size)) == pytest.approx(size)


def test_what_the_smallest_sample_reaches_needs_no_more_than_it() -> None:
    assert samples_needed(SIZES, [0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01], 0.6) == 2


def test_what_no_sample_reaches_has_no_number() -> None:
    assert samples_needed(SIZES, [power_law(n) for n in SIZES], power_law(201)) is None


def test_a_bad_training_in_between_puts_nothing_off() -> None:
    """0.8 is first reached between 2 and 4; the failure at 4 and 10 comes from chance."""
    straight = samples_needed((2, 4, 10), [1.0, 0.5, 0.9], 0.8)
    failing = samples_needed((2, 4, 10), [1.0, 3.0, 0.5], 0.8)

    assert straight == pytest.approx(2 * 2 ** (0.2231435513 / 0.6931471806))
    assert failing is not None
    assert 4 < failing < 10
