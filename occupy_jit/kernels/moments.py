"""Range, mean, standard deviation and sums of voxels of a volume, each in one pass.

Sums are taken slice by slice in float64; no result depends on the number of threads. Included voxels: all, those
of the inscribed sphere (`inside`), with `thin` every other one on each axis, counted from the centre so that flips of
the box select the same voxels; and of these, voxels with a second volume at or below a limit (quiet voxels:
power <= threshold).
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np

from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.binned import selection
from occupy_jit.kernels.grid.sphere import left_out, sphere_row, taken
from occupy_jit.kernels.jit.decorator import kernel, launch

# Columns of the table with one row per slice. The last three ignore the selection of voxels.
_COUNT, _TOTAL, _SQUARES, _LOWEST, _HIGHEST, _ODD, _COLUMNS = range(7)
_LANES = 16  # sums that are kept side by side along a row


def volume_range(volume: np.ndarray, inside: bool = False) -> tuple[float, float, int]:
    """Smallest and largest value, and the number of values that are NaN or infinite.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    inside : bool
        Only the inscribed sphere.

    Returns
    -------
    minimum, maximum : float
        Of the finite values; inf, -inf if there are none.
    non_finite : int
    """
    volume = as_volume(volume)
    table = _survey(volume, volume, np.inf, False, inside)
    return *_extremes(table), int(table[:, _ODD].sum())


def quiet_moments(volume: np.ndarray, power: np.ndarray, threshold: float, thin: bool = False
                 ) -> tuple[float, float, int]:
    """Mean and standard deviation over the voxels of the inscribed sphere with power <= threshold.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    power : ndarray, real, of the same shape or of `cells.cell_shape`
    threshold : float
    thin : bool
        Use one voxel in eight.

    Returns
    -------
    mean, deviation : float
        NaN if there is no such voxel.
    count : int
    """
    return quiet_survey(volume, power, threshold, thin)[:3]


def quiet_survey(volume: np.ndarray, power: np.ndarray, threshold: float, thin: bool = False) -> tuple[Any, ...]:
    """`quiet_moments` plus the smallest and largest value of the whole inscribed sphere, in one pass."""
    volume, power, _, at = selection(volume, power)
    # Sums of deviations from an existing value, without cancellation for maps far from 0.
    shift = float(volume[tuple(n // 2 for n in volume.shape)]) if volume.size else 0.0
    table = _survey(volume, power, threshold, True, True, shift, thin, at)
    count = int(table[:, _COUNT].sum())
    lowest, highest = _extremes(table)
    if count == 0:
        return math.nan, math.nan, 0, lowest, highest
    first, second = table[:, _TOTAL].sum() / count, table[:, _SQUARES].sum() / count
    return float(shift + first), math.sqrt(max(0.0, second - first * first)), count, lowest, highest


class Moments(NamedTuple):
    """Result of `moments`.

    Attributes
    ----------
    minimum, maximum : float
        Of the finite values.
    mean, deviation : float
        NaN if a value is not finite.
    non_finite : int
        Number of values that are NaN or infinite.
    """

    minimum: float
    maximum: float
    mean: float
    deviation: float
    non_finite: int


def moments(volume: np.ndarray) -> Moments:
    """Smallest and largest value, mean and standard deviation, and the number of values that are NaN or infinite.

    Parameters
    ----------
    volume : ndarray (z, y, x), real

    Returns
    -------
    Moments
    """
    volume = as_volume(volume)
    # deviations from an existing value, without cancellation for maps far from 0
    shift = float(volume[0, 0, 0])
    table = _survey(volume, volume, np.inf, False, False, shift)
    first, second = table[:, _TOTAL].sum() / volume.size, table[:, _SQUARES].sum() / volume.size
    deviation = math.sqrt(max(0.0, second - first * first)) if math.isfinite(second) else math.nan
    return Moments(*_extremes(table), float(shift + first), deviation, int(table[:, _ODD].sum()))


def sums_above(volume: np.ndarray, threshold: float) -> tuple[int, float, float]:
    """Number and sum of the values above a threshold, and the largest of all.

    Parameters
    ----------
    volume : ndarray (z, y, x), real, without NaN
    threshold : float

    Returns
    -------
    count : int
    total : float
    largest : float
    """
    volume = as_volume(volume)
    table = np.zeros((len(volume), 3))
    launch(_sum_slices_above, volume, np.float32(threshold), table)
    return int(table[:, 0].sum()), float(table[:, 1].sum()), float(table[:, 2].max(initial=-np.inf))


def mean_inside(volume: np.ndarray, thin: bool = False) -> float:
    """Mean over the inscribed sphere, with `thin` over every other voxel on each axis; 0 if there is none."""
    volume = as_volume(volume)
    table = _survey(volume, volume, np.inf, False, True, 0.0, thin)
    number = table[:, _COUNT].sum()
    return table[:, _TOTAL].sum() / number if number else 0.0


def _survey(volume, where, limit, selects, inside, shift=0.0, thin=False, at=None):
    """For every slice: number, sum and sum of squares of volume - shift; minimum, maximum and number of non-finite.

    The last three ignore `where`.
    """
    table = np.zeros((len(volume), _COLUMNS))
    at = selection(volume, where)[3] if at is None else at
    launch(_survey_slices, volume, where, at, np.float32(limit), selects, inside, thin, float(shift), table)
    return table


def _extremes(table):
    """Smallest and largest value in a table; inf, -inf if there is none."""
    return float(table[:, _LOWEST].min(initial=np.inf)), float(table[:, _HIGHEST].max(initial=-np.inf))


# Not the methods of arrays: kernels that call them take longer to load than to run.
@kernel
def _sum(lanes):
    total = np.float64(0)
    for value in lanes:
        total += value
    return total


@kernel
def _lowest(lanes):
    lowest = np.inf
    for value in lanes:
        lowest = value if value < lowest else lowest
    return lowest


@kernel
def _highest(lanes):
    highest = -np.inf
    for value in lanes:
        highest = value if value > highest else highest
    return highest


@kernel(parallel=True)
def _sum_slices_above(volume, threshold, table):
    for z in numba.prange(len(volume)):
        # lanes of their own, so that the compiler may go through several voxels at once
        count, total, highest = np.zeros(_LANES, np.int64), np.zeros(_LANES), np.full(_LANES, -np.inf, np.float32)
        for y in range(volume.shape[1]):
            line = volume[z, y]
            for x in range(0, len(line) // _LANES * _LANES, _LANES):
                for k in range(_LANES):
                    value = line[x + k]
                    above = value > threshold
                    count[k] += above
                    total[k] += value if above else np.float32(0)
                    highest[k] = value if value > highest[k] else highest[k]
            for x in range(len(line) // _LANES * _LANES, len(line)):
                value = line[x]
                if value > threshold:
                    count[0] += 1
                    total[0] += value
                highest[0] = value if value > highest[0] else highest[0]
        table[z, 0], table[z, 1], table[z, 2] = _sum(count), _sum(total), _highest(highest)


@kernel
def _survey_rows(section, shift, row_of_table):
    """One row of the table of `_survey`, of all voxels; false if it has to be done again, as a value is not finite."""
    total, squares = np.zeros(_LANES), np.zeros(_LANES)
    lowest, highest = np.full(_LANES, np.inf, np.float32), np.full(_LANES, -np.inf, np.float32)
    for y in range(section.shape[0]):
        line = section[y]
        whole = len(line) // _LANES * _LANES
        for x in range(0, whole, _LANES):
            for k in range(_LANES):
                value = line[x + k]
                lowest[k] = value if value < lowest[k] else lowest[k]
                highest[k] = value if value > highest[k] else highest[k]
                deviation = np.float64(value) - shift
                total[k] += deviation
                squares[k] += deviation * deviation
        for x in range(whole, len(line)):
            value = line[x]
            lowest[0] = value if value < lowest[0] else lowest[0]
            highest[0] = value if value > highest[0] else highest[0]
            deviation = np.float64(value) - shift
            total[0] += deviation
            squares[0] += deviation * deviation
    row_of_table[_COUNT], row_of_table[_TOTAL], row_of_table[_SQUARES] = section.size, _sum(total), _sum(squares)
    row_of_table[_LOWEST], row_of_table[_HIGHEST], row_of_table[_ODD] = _lowest(lowest), _highest(highest), 0
    return abs(row_of_table[_TOTAL]) < np.inf  # infinite and NaN values leave their mark on the sum


@kernel
def _survey_slice(volume, where, at, limit, selects, inside, thin, shift, z, row_of_table):
    """One row of the table of `_survey`."""
    n_z, n_y, n_x = volume.shape
    number, odd = 0, 0
    total, squares = 0.0, 0.0
    lowest, highest = np.inf, -np.inf
    columns, before = taken(n_x, thin)
    for y in range(n_y):
        if thin and (left_out(z, n_z) or left_out(y, n_y)):
            continue
        begin, end = 0, n_x
        if inside:
            begin, end = sphere_row(z, y, n_z, n_y, n_x)
        selector = where[at[0][z], at[1][y]]
        for j in range(before[begin], before[max(begin, end)]):
            x = columns[j]
            value = np.float64(volume[z, y, x])
            if abs(value) < np.inf:
                lowest = value if value < lowest else lowest
                highest = value if value > highest else highest
            else:
                odd += 1
            if selects and not selector[at[2][x]] <= limit:
                continue
            number += 1
            deviation = value - shift
            total += deviation
            squares += deviation * deviation
    row_of_table[_COUNT], row_of_table[_TOTAL], row_of_table[_SQUARES] = number, total, squares
    row_of_table[_LOWEST], row_of_table[_HIGHEST], row_of_table[_ODD] = lowest, highest, odd


@kernel(parallel=True)
def _survey_slices(volume, where, at, limit, selects, inside, thin, shift, table):
    everything = not (selects or inside or thin)
    for z in numba.prange(len(volume)):
        if everything and _survey_rows(volume[z], shift, table[z]):
            continue
        _survey_slice(volume, where, at, limit, selects, inside, thin, shift, z, table[z])
