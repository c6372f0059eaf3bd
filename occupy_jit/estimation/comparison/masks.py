"""The occupancy of the same regions in several maps on one scale: how sure their differences are.

A region is a median over places of the same structure in all maps: how uneven that is moves the medians of all maps
alike. By how much each block of space moves the median of either map is therefore subtracted between the maps before it
is squared and summed.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from occupy_jit.estimation.comparison.multiple_testing import LEVEL, holm, two_sided

FEWEST_WINDOWS = 2.5
"""With fewer windows of 30 Å their spread says nothing: eight blocks around one corner, a place of 15 Å, are 2.4."""


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
        For each map what `occupy_jit.estimation.regions.occupancy_in_masks.occupancy_of_masks` returns, of the same
        masks, with one full scale.
    classes : sequence of str
        Names of the maps.
    full_scale_error : float
        Relative standard error of full scale, which differences are proportional to.

    Returns
    -------
    list of TargetDifference
        The surest first; regions without an occupancy in one of the maps are left out.
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
    """Standard error of a difference and its degrees of freedom; None where either region is too small for one.

    Noise of low resolution reaches from one block into the next. The sum of the squares of the blocks is therefore one
    of products with the neighbours, too, which count half along each axis (Bartlett's window: as if the region were
    divided into blocks of 30 Å in all ways). The median is taken of the same blocks, which takes a share off; that is
    put back.
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
    """The sum of every cell and half of either neighbour along an axis."""
    out = grid.copy()
    before, after = [slice(None)] * grid.ndim, [slice(None)] * grid.ndim
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    out[tuple(before)] += grid[tuple(after)] / 2
    out[tuple(after)] += grid[tuple(before)] / 2
    return out
