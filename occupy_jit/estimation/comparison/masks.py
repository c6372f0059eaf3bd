"""Significance of differences in occupancy of the same regions between several maps on one scale.

A region is a median over the same structure in all maps: uneven structure moves the medians of all maps
alike. The contributions of each block of space to both medians are therefore subtracted between the maps before they
are squared and summed.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from occupy_jit.estimation.comparison.multiple_testing import LEVEL, holm, two_sided

FEWEST_WINDOWS = 2.5
"""With fewer windows of 30 Å their spread is not informative: eight blocks around one corner, of 15 Å each, are 2.4."""


class TargetDifference(NamedTuple):
    """One region in two maps.

    Attributes
    ----------
    mask, more, less : str
        Of the region, and of the maps with the higher and the lower occupancy.
    occupancy_more, occupancy_less, difference : float
    se : float or None
        None if the region is too small for an error.
    p, p_corrected : float or None
        Of Student's t; corrected for all comparisons after Holm.
    significant : bool
    """

    mask: str
    more: str
    less: str
    occupancy_more: float
    occupancy_less: float
    difference: float
    se: float | None
    p: float | None
    p_corrected: float | None
    significant: bool


def compare_targets(targets: Any, classes: Sequence[str], full_scale_error: float = 0.0
                   ) -> list[TargetDifference]:
    """Test the differences of every region between all pairs of maps.

    Parameters
    ----------
    targets : sequence of list of dict
        For each map, the result of `occupy_jit.estimation.regions.occupancy_in_masks.occupancy_of_masks` with the same
        masks, with one full scale.
    classes : sequence of str
        Names of the maps.
    full_scale_error : float
        Relative standard error of full scale, which differences are proportional to.

    Returns
    -------
    list of TargetDifference
        The most significant first; regions without an occupancy in one of the maps are left out.
    """
    rows = []
    for (i, first), (j, second) in combinations(enumerate(targets), 2):
        for one, two in zip(first, second, strict=True):
            if one["occupancy"] is None or two["occupancy"] is None:
                continue
            (more, high), (less, low) = ((i, one), (j, two)) if one["occupancy"] >= two["occupancy"] else ((j, two),
                                                                                                           (i, one))
            difference = high["occupancy"] - low["occupancy"]
            se = p = None
            sure = _error(one, two, difference * full_scale_error)
            if sure is not None:
                se, freedom = sure
                p = float(two_sided([difference / max(se, 1e-12)], [freedom])[0])
            rows.append(TargetDifference(one["mask"], classes[more], classes[less], high["occupancy"], low["occupancy"],
                                         difference, se, p, None, False))
    tested = [k for k, row in enumerate(rows) if row.p is not None]
    for k, p in zip(tested, holm([rows[k].p for k in tested]), strict=True):
        rows[k] = rows[k]._replace(p_corrected=float(p), significant=bool(p < LEVEL))
    return sorted(rows, key=lambda row: (2.0 if row.p is None else row.p, -row.difference))


def _error(one, two, of_full_scale):
    """Standard error of a difference and its degrees of freedom; None if either region is too small for an error.

    Noise of low resolution extends from one block into the next. The sum of squares of the blocks therefore includes
    products with the neighbours, with a weight of one half along each axis (Bartlett's window: as if the region were
    divided into blocks of 30 Å in all possible ways). The median of the same blocks lowers this sum by a known share,
    which is added again.
    """
    first, second = one["in_blocks"], two["in_blocks"]
    if first is None or second is None:
        return None
    places = np.array(sorted(first.keys() | second.keys()))
    grid = np.zeros((2, *(np.ptp(places, axis=0) + 1)))
    nothing = (0.0, 0.0)
    for place, at in zip(map(tuple, places.tolist()), map(tuple, (places - places.min(axis=0)).tolist()), strict=True):
        a, b = first.get(place, nothing), second.get(place, nothing)
        grid[(0, *at)] = (a[0] + b[0]) / 2
        grid[(1, *at)] = a[1] - b[1]
    windowed = grid
    for axis in (1, 2, 3):
        windowed = _with_neighbours(windowed, axis)
    taken, variance = (grid * windowed).sum(axis=(1, 2, 3))
    windows = 1 / taken
    if windows < FEWEST_WINDOWS:
        return None
    return math.sqrt(max(variance, 0.0) / (1 - taken) + of_full_scale**2), windows - 1


def _with_neighbours(grid, axis):
    """Sum of every cell and half of both neighbours along an axis."""
    out = grid.copy()
    before, after = [slice(None)] * grid.ndim, [slice(None)] * grid.ndim
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    out[tuple(before)] += grid[tuple(after)] / 2
    out[tuple(after)] += grid[tuple(before)] / 2
    return out
