"""Number of filled sites of a complex in each class, and whether particles fill sites independently.

A class is a mean of its particles. The number of filled sites varies between classes at most as much as between
particles (law of total variance): if it varies more than it could between particles that fill their sites
independently, they do not. Otherwise the question stays open: classes that do not differ in their sites hide the
variation inside them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_SURE = 2.0  # standard errors


class Filling(NamedTuple):
    """Copies of one ligand in several classes.

    Attributes
    ----------
    ligand : str
    sites : tuple of str
        Names of the parts.
    filled, se : ndarray (classes,)
        Sum of the occupancies of a class.
    share : ndarray (classes,)
        Of the particles.
    binomial : ndarray (sites + 1,)
        Probability of 0, 1, ... filled sites if each site is filled independently with the mean occupancy.
    observed : ndarray (sites + 1,)
        Share of the particles in classes with this number of filled sites, rounded.
    variance : float
        Of the number of filled sites between classes, less the contribution of errors.
    independent : float
        The largest variance between particles that fill their sites independently.
    together : bool
        Whether the variance exceeds that by more than its error.
    """

    ligand: str
    sites: tuple
    filled: np.ndarray
    se: np.ndarray
    share: np.ndarray
    binomial: np.ndarray
    observed: np.ndarray
    variance: float
    independent: float
    together: bool


def filling(ligand: str, sites: Sequence[str], occupancy: np.ndarray, se: np.ndarray, share: np.ndarray) -> Filling:
    """Compare the number of filled sites in each class with independent sites.

    Parameters
    ----------
    ligand : str
    sites : sequence of str
    occupancy, se : ndarray (classes, sites)
    share : ndarray (classes,)
        Of the particles; normalised to a sum of 1.

    Returns
    -------
    Filling
    """
    share = np.asarray(share, float) / np.sum(share)
    n = len(sites)
    total, error = occupancy.sum(1), np.sqrt(np.square(se).sum(1))
    mean = float(share @ total)
    of_site = np.clip(share @ occupancy, 0, 1)
    independent = float((of_site * (1 - of_site)).sum())
    variance = float(share @ (total - mean) ** 2 - (share * (1 - share)) @ error**2)
    # error of a sum of squares: twice each deviation times its error
    spread = float(np.sqrt((np.square(2 * share * (total - mean) * error)).sum()))
    observed = np.zeros(n + 1)
    np.add.at(observed, np.clip(np.rint(total), 0, n).astype(int), share)
    return Filling(ligand, tuple(sites), total, error, share, _counts(np.full(n, of_site.mean())), observed, variance,
                   independent, bool(variance - _SURE * spread > independent))


def _counts(probabilities):
    """Probability of 0, 1, ... successes of independent trials."""
    out = np.ones(1)
    for p in probabilities:
        out = np.convolve(out, [1 - p, p])
    return out
