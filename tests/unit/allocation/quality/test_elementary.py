"""Compiled elementary functions keep the error they promise."""

import numpy as np
import pytest
from numba import njit

from allocation.quality.elementary import exponential, logarithm
from allocation.quality.kernels import Reals
from allocation.quality.passes import Precision
from allocation.quality.votes import Floats


@njit(nogil=True)
def exponentials(exponents: Reals) -> Reals:
    found = np.empty_like(exponents)
    for each in range(len(exponents)):
        found[each] = exponential(exponents[each])
    return found


@njit(nogil=True)
def logarithms(numbers: Floats) -> Floats:
    found = np.empty_like(numbers)
    for each in range(len(numbers)):
        found[each] = logarithm(numbers[each])
    return found


@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_a_compiled_exponential_is_exact_to_the_rounding_of_its_exponent(
    precision: Precision,
) -> None:
    # Given numbers down to the least there is
    least = -80.0 if precision is np.float32 else -700.0
    exponents: Reals = np.append(np.linspace(least, 0.0, 100_001), [-1e-30, 0.0]).astype(precision)

    # When they are exponentiated, and some below as well
    found = exponentials(exponents)
    lower: Reals = np.array([2 * least, -np.inf], dtype=precision)
    below = exponentials(lower)

    # Then they are right to the promised digit, and nothing is denormal
    exact = np.exp(exponents.astype(np.longdouble))
    error = np.abs(found / exact - 1) / np.finfo(precision).eps
    assert found.dtype == precision
    assert (error <= 2 + np.abs(exponents)).all()
    np.testing.assert_array_equal(below, found[0])
    assert below.min() > np.finfo(precision).tiny


def test_a_compiled_logarithm_is_as_exact_as_it_says() -> None:
    # Given numbers of every size, many of them about 1, and those where the series begins anew
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-300, 300, 50_000)
    about_1 = 1.0 + rng.uniform(-0.5, 1.0, 50_000) * 10.0 ** rng.uniform(-16, 0, 50_000)
    powers = 2.0 ** np.arange(-1_000, 1_000)
    numbers: Floats = np.concatenate([sizes, about_1, powers, np.nextafter(powers, 0.0)])

    # When their logarithms are taken
    found = logarithms(numbers)

    # Then they are right to the promised digit
    exact = np.log(numbers.astype(np.longdouble))
    resolution = np.finfo(np.float64).eps
    assert (np.abs(found - exact) <= np.maximum(1e-15, 2 * resolution * np.abs(exact))).all()
