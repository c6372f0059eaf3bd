"""Comparison of the copies of one ligand: equal within their errors, or different."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from occupy_jit.estimation.comparison.multiple_testing import LEVEL

if TYPE_CHECKING:
    from occupy_jit.estimation.ligands.occupancy import LigandOccupancy

_COMMON = 0.03
"""Of the occupancy: systematic errors are the same in all copies, and removed from their errors."""


class Copies(NamedTuple):
    """Copies of one molecule.

    Attributes
    ----------
    ligand : str
    sites : tuple of int
        Rows of the table.
    occupancy, se : float
        Mean, weighted by the errors, and its standard error.
    p : float
        Probability that equal copies scatter this much.
    equal : bool
    differing : tuple of int
        Rows that differ from the majority; empty if there is no majority.
    filled : float
        Sum of the occupancies.
    """

    ligand: str
    sites: tuple
    occupancy: float
    se: float
    p: float
    equal: bool
    differing: tuple
    filled: float


def compare_copies(rows: list[LigandOccupancy], kinds: list[str]) -> tuple[list[Copies], list[LigandOccupancy]]:
    """Compare the copies of every ligand.

    Parameters
    ----------
    rows : list of LigandOccupancy
    kinds : list of str
        The same for copies; empty for ligands without copies.

    Returns
    -------
    list of Copies
    rows : list of LigandOccupancy
        With the mean of the copies, and whether each row differs from the others.
    """
    found, rows = [], list(rows)
    for kind in dict.fromkeys(kind for kind in kinds if kind):
        sites = [i for i, other in enumerate(kinds) if other == kind]
        if len(sites) < 2:
            continue
        one = _compared(kind, sites, rows)
        found.append(one)
        for i in sites:
            rows[i] = rows[i]._replace(copies_mean=one.occupancy, differs=i in one.differing)
    return found, rows


def _compared(kind, sites, rows):
    occupancy = np.array([rows[i].occupancy for i in sites])
    weights = 1 / np.array([_error(rows[i]) for i in sites]) ** 2
    mean, p = _agreement(occupancy, weights)
    differing = ()
    if p < LEVEL:
        differing = tuple(sites[i] for i in _outliers(occupancy, weights))
    return Copies(kind, tuple(sites), mean, float(weights.sum() ** -0.5), p, p >= LEVEL, differing,
                  float(occupancy.sum()))


def _agreement(occupancy, weights):
    """Weighted mean, and the probability that equal copies scatter this much around it."""
    from scipy.special import chdtrc

    mean = float(weights @ occupancy / weights.sum())
    return mean, float(chdtrc(len(occupancy) - 1, weights @ (occupancy - mean) ** 2))


def _outliers(occupancy, weights):
    """Copies that differ from the others; empty if these would be half of the copies or more."""
    left, out = list(range(len(occupancy))), []
    while len(left) > 1 and _agreement(occupancy[left], weights[left])[1] < LEVEL:
        total, product = weights[left].sum(), weights[left] @ occupancy[left]
        others = total - weights[left]
        apart = (occupancy[left] - (product - weights[left] * occupancy[left]) / others)
        out.append(left.pop(int(np.argmax(np.abs(apart) / np.sqrt(1 / weights[left] + 1 / others)))))
    return sorted(out) if 2 * len(out) < len(occupancy) else []


def _error(row):
    half = (row.high - row.low) / 3.92
    return np.sqrt(max(half**2 - (_COMMON * row.occupancy) ** 2, (0.3 * half) ** 2))
