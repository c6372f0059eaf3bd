"""Corrected p values of many comparisons.

Student's t is implemented here because scipy is an extra and comparisons of target masks do not need it; a test
compares it with scipy's.
"""

import math
from typing import Any

import numpy as np

LEVEL = 0.05
"""Corrected p values below this are significant."""

SMALLEST = 1e-12
"""Smallest p value reported: smaller tails are unknown."""

_MOST_TERMS, _TINY = 10_000, 1e-300


def holm(p: Any) -> np.ndarray:
    """Corrected p values after Holm (1979, Scand. J. Stat. 6, 65).

    Significant below 0.05 at a family-wise error rate of 5%, whatever the dependence between the comparisons.

    Parameters
    ----------
    p : (n,) array

    Returns
    -------
    (n,) float64 array
        At most 1.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1)
    return corrected


def two_sided(z: Any, freedom: Any) -> np.ndarray:
    """Probability that noise causes a difference of at least this many standard errors.

    Parameters
    ----------
    z : (n,) array
    freedom : (n,) array
        Degrees of freedom of each standard error; infinite if the error is known.

    Returns
    -------
    (n,) float64 array
        At least `SMALLEST`.
    """
    z, freedom = np.broadcast_arrays(np.abs(np.asarray(z, np.float64)), np.asarray(freedom, np.float64))
    p = [_student(float(t), float(n)) for t, n in zip(z.ravel(), freedom.ravel(), strict=True)]
    return np.maximum(np.reshape(p, z.shape), SMALLEST)


def _student(t, freedom):
    """Both tails of Student's t: the regularised incomplete beta function I_x(n/2, 1/2) at x = n / (n + t^2)."""
    if freedom > 1e6:
        return math.erfc(t / math.sqrt(2))
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    if x >= 1:
        return 1.0
    if x <= 0:
        return 0.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # the continued fraction converges fast below the mean of the beta distribution
    if x < (a + 1) / (a + b + 2):
        return min(front * _fraction(a, b, x) / a, 1.0)
    return max(1 - front * _fraction(b, a, 1 - x) / b, 0.0)


def _fraction(a, b, x):
    """Continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8) by Lentz's method."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value


def _away(number):
    """Return the number, or a tiny one instead of 0."""
    return number if abs(number) > _TINY else _TINY
