"""Exponential and logarithm in plain arithmetic, which compiled loops vectorise.

Numba calls the C library's once a number; a loop over these takes a third of the time. Code that is
not compiled gets numpy's.
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload


def exponential(exponent: Any) -> Any:
    """Return exp(exponent) of a number not above 0.

    Its relative error is below (2 + |exponent|) times the resolution of the number's type, hardly
    more than rounding the exponent makes. Below exp(-80), or exp(-700) in 64 bits, the result stays
    there: numbers a little smaller are denormal, and slow down a pass threefold.
    """
    return np.exp(exponent)


@overload(exponential)
def _exponential_of(exponent: Any) -> Any:
    """Return `exponential` for a type: 2^n, by its bits, times the Taylor series of the rest."""
    narrow: tuple[Any, ...] = (np.float32, np.int32, 23, 127, 7, -80.0)
    wide: tuple[Any, ...] = (np.float64, np.int64, 52, 1023, 13, -700.0)
    kind = narrow if exponent == types.float32 else wide
    real, whole, fraction_bits, bias, degree, least = kind
    exponent_min, log_2, per_log_2 = real(least), real(math.log(2)), real(1 / math.log(2))
    series = tuple(real(1 / math.factorial(power)) for power in range(degree, -1, -1))

    def compiled(exponent: Any) -> Any:
        exponent = max(exponent, exponent_min)
        twos = np.rint(exponent * per_log_2)
        rest = exponent - twos * log_2
        total = real(0)
        for term in series:
            total = total * rest + term
        # By way of 32 bits, as processors have no vector instruction from 64 bits to 64.
        power_of_two = whole((whole(np.int32(twos)) + bias) << fraction_bits).view(real)
        return total * power_of_two

    return compiled


def logarithm(number: Any) -> Any:
    """Return log(number) of a positive 64-bit number that is not denormal.

    Its error is below 1e-15, or twice the resolution of the result where that is larger.
    """
    return np.log(number)


@overload(logarithm)
def _logarithm_of(number: Any) -> Any:  # noqa: ARG001 (numba names it)
    """Return `logarithm`: of 2^n times a number around the root of 2, whose logarithm is a series.

    With s = (x - 1) / (x + 1), log(x) = 2 (s + s^3 / 3 + s^5 / 5 + ...).
    """
    series = tuple(1 / (2 * power + 1) for power in range(10, -1, -1))
    root, log_2 = math.sqrt(2), math.log(2)
    fraction_bits, bias, fraction, one = 52, 1023, (1 << 52) - 1, 1023 << 52

    def compiled(number: Any) -> Any:
        bits = np.float64(number).view(np.int64)
        twos = np.int32(bits >> fraction_bits) - bias
        rest = np.int64(bits & fraction | one).view(np.float64)
        ratio = (rest - root) / (rest + root)
        square = ratio * ratio
        total = 0.0
        for term in series:
            total = total * square + term
        return (twos + 0.5) * log_2 + 2.0 * ratio * total

    return compiled
