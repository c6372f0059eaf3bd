"""Counts and order statistics of the voxels of a volume, each in one pass or two.

They are exact in integers: counts of voxels, and order statistics found from counts of the bit patterns of the
values. No result depends on the number of threads. For the included voxels see `moments`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from numba.extending import overload

from occupy_jit.kernels.grid.arguments import as_volume, require_volume
from occupy_jit.kernels.grid.binned import selection
from occupy_jit.kernels.grid.sphere import left_out, sphere_row, taken
from occupy_jit.kernels.jit.decorator import kernel, launch
from occupy_jit.kernels.moments import mean_inside

_COUNT_TASKS, _FEW_TASKS = 8, 2
_FEW_VOXELS = 1 << 21  # up to so many, tables for more tasks take longer than they save
_KEYS = 1 << 16  # an order statistic is found from the upper and then the lower half of the 32 bits of its value
_LOWEST_KEY = -(1 << 31)

# Bins of the power: 2^11 for each power of two from 2^-44 to 2^20 times the mean.
_POWER_MANTISSA_BITS = 11
_POWER_EXPONENTS = (-44, 20)
_SMALLEST_MEAN = float(np.finfo(np.float32).tiny)  # lower powers have no significant digits in float32

_NORMAL_FROM_MAD = 1.4826


def histogram(volume: np.ndarray, low: float, high: float, bins: int, inside: bool = False,
              where: np.ndarray | None = None, limit: float = np.inf) -> np.ndarray:
    """Count values in `bins` equal bins from `low` to `high`, both included; others, and NaN, are ignored.

    The same counts as ``numpy.histogram(volume.astype(float64), bins, (low, high))``.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    low, high : float
        Finite, low < high.
    bins : int
    inside : bool
        Only the inscribed sphere.
    where : ndarray, real, optional
        Only voxels at which `where` is at most `limit`: of the volume's shape, or on its grid of cells (`cells`).
    limit : float

    Returns
    -------
    ndarray (bins,), int64

    Raises
    ------
    TypeError, ValueError
        If an array, the range or the number of bins cannot be used.

    Notes
    -----
    Inside a function compiled by numba: ``histogram(volume, low, high, bins, inside)``, C-contiguous float32 only.
    """
    volume, where, selects, at = selection(volume, where)
    if not (math.isfinite(low) and math.isfinite(high) and low < high and bins >= 1):
        raise ValueError(f"histogram: expected low < high and at least one bin, got {low}, {high} and {bins}")
    edges = np.linspace(low, high, int(bins) + 1)
    counts = _tables(volume, int(bins))
    launch(_count, volume, where, at, np.float32(limit), selects, inside, False, edges, np.float32(0), 0, 0, counts)
    return counts.sum(axis=0)


@overload(histogram)
def _histogram_overload(volume, low, high, bins, inside=False):
    require_volume(volume)

    def implementation(volume, low, high, bins, inside=False):
        edges = np.linspace(low, high, bins + 1)
        counts = np.zeros((_COUNT_TASKS, bins), np.int64)
        at = (np.arange(volume.shape[0], dtype=np.int32), np.arange(volume.shape[1], dtype=np.int32),
              np.arange(volume.shape[2], dtype=np.int32))
        _count(volume, volume, at, np.float32(np.inf), False, inside, False, edges, np.float32(0), 0, 0, counts)
        return counts.sum(axis=0)
    return implementation


def order_statistics(volume: np.ndarray, ranks: Callable[..., Any], inside: bool = False,
                     where: np.ndarray | None = None, limit: float = np.inf, thin: bool = False) -> list[float]:
    """The values at the given ranks of the sorted voxels, exactly.

    Parameters
    ----------
    volume : ndarray (z, y, x), real, without NaN
    ranks : callable
        From the number of included voxels to a sequence of ranks (0 for the smallest).
    inside, where, limit
        As in `histogram`.
    thin : bool
        Only every other voxel on each axis.

    Returns
    -------
    list of float
    """
    volume, where, selects, at = selection(volume, where)
    limit = np.float32(limit)
    no_edges = np.empty(0)

    def count_keys(base, shift):
        counts = _tables(volume, _KEYS)
        launch(_count, volume, where, at, limit, selects, inside, thin, no_edges, np.float32(0), base, shift, counts)
        return np.cumsum(counts.sum(axis=0))

    upper = count_keys(_LOWEST_KEY, 16)
    lower = {}
    values = []
    for rank in ranks(int(upper[-1])):
        half = int(np.searchsorted(upper, rank, side="right"))
        base = _LOWEST_KEY + half * _KEYS
        if half not in lower:
            lower[half] = count_keys(base, 0)
        before = upper[half - 1] if half else 0
        key = base + int(np.searchsorted(lower[half], rank - before, side="right"))
        bits = key if key >= 0 else key ^ 0x7FFFFFFF
        values.append(float(np.int32(bits).view(np.float32)))
    return values


def _tables(volume, bins):
    """A table of counts for each task; integers, so their number does not matter to the result."""
    return np.zeros((_FEW_TASKS if volume.size <= _FEW_VOXELS else _COUNT_TASKS, bins), np.int64)


def quantile(volume: np.ndarray, fraction: float | Sequence[float], inside: bool = False, where: Any = None,
             limit: float = np.inf, thin: bool = False) -> float | list[float]:
    """Exact quantile: of N sorted values the one at index min(N - 1, floor(fraction N)), never interpolated.

    Parameters
    ----------
    volume : ndarray (z, y, x), real, without NaN
    fraction : float or sequence of float
        Between 0 and 1.
    inside, where, limit
        As in `histogram`.
    thin : bool
        Only every other voxel on each axis.

    Returns
    -------
    float or list of float

    Raises
    ------
    ValueError
        If no voxel is included, or a fraction is not between 0 and 1.
    """
    fractions = np.atleast_1d(np.asarray(fraction, dtype=np.float64))
    if not np.all((fractions >= 0) & (fractions <= 1)):
        raise ValueError(f"quantile: expected fractions between 0 and 1, got {fraction}")

    def ranks(number):
        if number == 0:
            raise ValueError("quantile: there is no voxel to choose from")
        return [min(number - 1, int(f * number)) for f in fractions]

    values = order_statistics(volume, ranks, inside, where, limit, thin)
    return values[0] if np.ndim(fraction) == 0 else values


def quiet_median(values: np.ndarray, zero: float, power: np.ndarray, threshold: float, thin: bool = False) -> float:
    """Median of values - zero (in float32) over the voxels of the inscribed sphere with power <= threshold.

    With an even number of voxels the mean of the two in the middle. NaN if there is no such voxel.

    Parameters
    ----------
    values, power : ndarray (z, y, x), real
    zero, threshold : float
    thin : bool
        Use one voxel in eight.
    """
    def middle(number):
        return [(number - 1) // 2, number // 2] if number else []

    # the difference, rounding included, never changes the order: that of the median is the median of the differences
    pair = order_statistics(values, middle, True, power, threshold, thin)
    pair = [np.float32(value) - np.float32(zero) for value in pair]
    return float((np.float64(pair[0]) + np.float64(pair[1])) / 2) if pair else math.nan


def power_threshold(power: np.ndarray, iterations: int = 6, spread: float = 4.0, thin: bool = False) -> float:
    """Smoothed power up to which a voxel is quiet (manual page, "Solvent and confidence").

    Start from the quieter half of the inscribed sphere, t = median P; then `iterations` times

        t = median(P | P < t) + spread * 1.4826 * median(|P - that median| | P < t)

    all from one histogram of P / mean(P) with 2048 bins for each power of two, linear within a bin: every median
    is that of the voxels within 2^-11 of its size. As P is divided by its mean, t follows its scale.

    Parameters
    ----------
    power : ndarray (z, y, x), real, nowhere negative
    iterations : int
    spread : float
    thin : bool
        Use one voxel in eight.

    Returns
    -------
    float
        Voxels with P <= t are quiet. 0 if at least half of P is exactly 0, as in a flattened solvent.
    """
    power = as_volume(power)
    mean = mean_inside(power, thin)
    if not _SMALLEST_MEAN < mean < np.inf:
        return 0.0
    edges, below = _power_distribution(power, mean, thin)
    if 2 * below[0] >= below[-1]:
        return 0.0

    def median_below(t):
        return _between(_between(t, edges, below) / 2, below, edges)

    def deviation_below(t, centre):
        """Median of |P - centre| among P < t, by bisection: the number within a distance grows with it."""
        half = _between(t, edges, below) / 2
        near, far = 0.0, max(centre, t - centre)
        for _ in range(50):
            middle = (near + far) / 2
            lower = _between(centre - middle, edges, below) if centre >= middle else 0.0
            if _between(min(centre + middle, t), edges, below) - lower < half:
                near = middle
            else:
                far = middle
        return far

    t = _between(below[-1] / 2, below, edges)
    for _ in range(iterations):
        centre = median_below(t)
        t = centre + spread * _NORMAL_FROM_MAD * deviation_below(t, centre)
    return float(t * mean)


def _between(x, points, values):
    """``np.interp(x, points, values)`` for one number: that looks at all points, and it is asked hundreds of times."""
    i = int(points.searchsorted(x, "right")) - 1
    if i < 0 or i == len(points) - 1:
        return float(values[max(i, 0)])
    left, value = float(points[i]), float(values[i])
    if x == left:
        return value
    return (float(values[i + 1]) - value) / (float(points[i + 1]) - left) * (x - left) + value


def _power_distribution(power, mean, thin):
    """Edges in units of the mean, from 0, and numbers of voxels of the inscribed sphere below each.

    "Below" the first edge, 0, are counted those that are exactly 0.
    """
    lowest, highest = _POWER_EXPONENTS
    shift = 23 - _POWER_MANTISSA_BITS
    base = (127 + lowest) << 23
    bins = (highest - lowest) << _POWER_MANTISSA_BITS
    factor = np.float32(1 / mean)
    # The bit patterns of positive numbers are ordered as they are: bins of equal length in them are log-spaced.
    # Two more bins in front, for zeros and for values below the first edge, and one for values
    # beyond the last.
    counts = _tables(power, bins + 3)
    at = selection(power, None)[3]
    launch(_count, power, power, at, np.float32(np.inf), False, True, thin, np.empty(0), factor, base, shift, counts)
    counts = counts.sum(axis=0)
    edges = (base + (np.arange(bins + 1, dtype=np.int32) << shift)).astype(np.int32).view(np.float32)
    edges = np.concatenate([[0.0], edges.astype(np.float64), [2.0 * edges[-1]]])
    return edges, np.cumsum(counts).astype(np.float64)


@kernel
def _count_slices(volume, where, at, limit, selects, inside, thin, edges, factor, base, shift, first, step, counts):
    """Add every `step`-th slice from `first` to `counts`.

    With `edges`: in the bins between them, of which the last includes its upper edge. Without: by the bit patterns
    of the values, ordered as the values are, in bins of 2^shift patterns from `base` on; or, with a factor
    above 0, by those of the values times the factor, as in `_power_distribution`.
    """
    n_z, n_y, n_x = volume.shape
    bins = len(counts)
    uniform = len(edges) > 0
    scaled = factor > 0
    if uniform:
        low, high = edges[0], edges[bins]
        per_bin = bins / (high - low)
    else:
        low, high, per_bin = 0.0, 0.0, 0.0
    columns, before = taken(n_x, thin)
    for z in range(first, n_z, step):
        if thin and left_out(z, n_z):
            continue
        for y in range(n_y):
            if thin and left_out(y, n_y):
                continue
            begin, end = 0, n_x
            if inside:
                begin, end = sphere_row(z, y, n_z, n_y, n_x)
            selector = where[at[0][z], at[1][y]]
            for j in range(before[begin], before[max(begin, end)]):
                x = columns[j]
                if selects and not selector[at[2][x]] <= limit:
                    continue
                value = volume[z, y, x]
                if uniform:
                    if not (low <= value <= high):
                        continue
                    i = min(int((value - low) * per_bin), bins - 1)
                    # the product may be off by a rounding: the edges decide
                    if value < edges[i]:
                        i -= 1
                    elif i < bins - 1 and value >= edges[i + 1]:
                        i += 1
                    counts[i] += 1
                else:
                    if scaled:
                        value = value * factor
                    bits = np.int64(np.float32(value).view(np.int32))
                    if bits < 0:
                        bits ^= 0x7FFFFFFF
                    i = (bits - base) >> shift
                    if scaled:
                        i = min(max(i, -1), bins - 3) + 2 if value > 0 else 0
                    if 0 <= i < bins:
                        counts[i] += 1


@kernel(parallel=True)
def _count(volume, where, at, limit, selects, inside, thin, edges, factor, base, shift, counts):
    tasks = len(counts)
    for task in numba.prange(tasks):
        _count_slices(volume, where, at, limit, selects, inside, thin, edges, factor, base, shift, task, tasks,
                      counts[task])
