"""p values of many comparisons, corrected: so that the many do not make one of them look significant by chance."""

import numpy as np

SMALLEST = 1e-12
"""Smallest p value that is told: nobody knows the tails beyond."""


def holm(p):
    """Corrected p values after Holm (1979, Scand. J. Stat. 6, 65).

    Called significant below 0.05, the chance that even one of all that are called so is none is at most 0.05, however
    the comparisons depend on each other.

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


def two_sided(z, freedom):
    """Chance that a difference this many standard errors from 0, or farther, comes from noise.

    Parameters
    ----------
    z : (n,) array
    freedom : (n,) array
        Degrees of freedom behind each standard error; infinite where it is known.

    Returns
    -------
    (n,) float64 array
    """
    from scipy.special import ndtr, stdtr

    z, freedom = np.broadcast_arrays(-np.abs(np.asarray(z, np.float64)), np.asarray(freedom, np.float64))
    known = ~np.isfinite(freedom)
    return np.maximum(2 * np.where(known, ndtr(z), stdtr(np.where(known, 1.0, freedom), z)), SMALLEST)
