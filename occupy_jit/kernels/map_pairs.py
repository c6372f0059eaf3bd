"""Kernels for two half maps: mean and difference, comparison, and means over cells, each in one pass.

Every sum is taken in one fixed order, section by section, so that the bits do not depend on the number of threads.
"""

import numba
import numpy as np

from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.binned import cell_shape, section_starts, selection
from occupy_jit.kernels.grid.sphere import sphere_row
from occupy_jit.kernels.jit.decorator import kernel, launch

HALF_SUM, POWER_OF_HALF_DIFFERENCE, POWER, KNOWN = range(4)
"""Quantities of `pair_cells`."""

_BLOCK = 1 << 15


@kernel(parallel=True)
def _join(one, two, factor):
    half = np.float32(0.5)
    n = one.shape[0]
    for block in numba.prange((n + _BLOCK - 1) // _BLOCK):
        for i in range(block * _BLOCK, min(n, block * _BLOCK + _BLOCK)):
            first, second = half * one[i], half * (factor * two[i])
            one[i], two[i] = first + second, first - second


def join(one: np.ndarray, two: np.ndarray, factor: float = 1.0) -> None:
    """Replace two volumes by their mean and half of their difference.

    Parameters
    ----------
    one, two : (nz, ny, nx) float32 arrays, C-contiguous
        Overwritten: `one` with ``(one + factor two) / 2``, `two` with ``(one - factor two) / 2``.
    factor : float
        Factor of the second volume.
    """
    launch(_join, one.reshape(-1), two.reshape(-1), np.float32(factor))


@kernel(parallel=True)
def _combine(first, second, sign, other, out):
    n = first.shape[0]
    for block in numba.prange((n + _BLOCK - 1) // _BLOCK):
        for i in range(block * _BLOCK, min(n, block * _BLOCK + _BLOCK)):
            out[i] = sign * first[i] + other * second[i]


def combine(first: np.ndarray, second: np.ndarray, sign: int, other: int, out: np.ndarray) -> np.ndarray:
    """``sign first + other second``, into `out`: float32 arrays, C-contiguous, of one shape."""
    launch(_combine, first.reshape(-1), second.reshape(-1), np.float32(sign), np.float32(other), out.reshape(-1))
    return out


@kernel(parallel=True)
def _count_zeros(volume, counts):
    n_z, n_y, n_x = volume.shape
    for z in numba.prange(n_z):
        zeros = total = 0
        for y in range(n_y):
            begin, end = sphere_row(z, y, n_z, n_y, n_x)
            for x in range(begin, end):
                zeros += volume[z, y, x] == np.float32(0)
                total += 1
        counts[z, 0], counts[z, 1] = zeros, total


def share_of_zeros(volume: np.ndarray) -> float:
    """Fraction of voxels of the inscribed sphere that are exactly 0, i.e. with equal half maps in a difference."""
    volume = as_volume(volume)
    counts = np.zeros((len(volume), 2), np.int64)
    launch(_count_zeros, volume, counts)
    zeros, total = counts.sum(axis=0)
    return float(zeros / total)


# Sums of `pair_sums`, in its order.
_COLUMNS = 7


@kernel
def _pair_sums_of_section(mean, difference, zero, quiet, at, limit, z, sums):
    n_z, n_y, n_x = mean.shape
    product = first = second = noise = solvent = apart = power = 0.0
    for y in range(n_y):
        begin, end = sphere_row(z, y, n_z, n_y, n_x)
        selector = quiet[at[0][z], at[1][y]]
        for x in range(begin, end):
            m, d = np.float64(mean[z, y, x]) - zero, np.float64(difference[z, y, x])
            power += m * m
            apart += d * d
            if selector[at[2][x]] <= limit:
                solvent += m * m
                noise += d * d
            else:
                one, two = m + d, m - d
                product += one * two
                first += one * one
                second += two * two
    sums[0], sums[1], sums[2], sums[3] = product, first, second, noise
    sums[4], sums[5], sums[6] = solvent, apart, power


@kernel(parallel=True)
def _pair_sums(mean, difference, zero, quiet, at, limit, table):
    for z in numba.prange(len(mean)):
        _pair_sums_of_section(mean, difference, zero, quiet, at, limit, z, table[z])


def pair_sums(mean: np.ndarray, difference: np.ndarray, zero: float, power: np.ndarray, threshold: float) -> np.ndarray:
    """Sums for the comparison of two half maps over the inscribed sphere.

    Parameters
    ----------
    mean, difference : (nz, ny, nx) float32 arrays
        Their mean and half of their difference.
    zero : float
        Zero level of the maps.
    power : ndarray, float32
        Of the shape of the maps or on their grid of cells: voxels with at most `threshold` are quiet.
    threshold : float

    Returns
    -------
    (7,) float64 array
        Over voxels that are not quiet: one times two, one squared, two squared. Over the quiet voxels: difference
        squared, mean squared. Over the whole sphere: the same two.
    """
    mean, power, _, at = selection(mean, power)
    table = np.zeros((len(mean), _COLUMNS))
    launch(_pair_sums, mean, as_volume(difference), float(zero), power, at, np.float32(threshold), table)
    return table.sum(axis=0)


@kernel
def _pair_row(first, second, known, masked, kind, z, y, row):
    one, two, half = first[z, y], second[z, y], np.float32(0.5)
    if kind == HALF_SUM:
        for x in range(len(row)):
            row[x] = half * (one[x] + two[x])
    elif kind == POWER_OF_HALF_DIFFERENCE:
        for x in range(len(row)):
            apart = half * (one[x] - two[x])
            row[x] = apart * apart
    elif kind == POWER:
        for x in range(len(row)):
            row[x] = one[x] * one[x]
    else:
        for x in range(len(row)):
            row[x] = np.float32(1)
    if masked:
        for x in range(len(row)):
            row[x] = row[x] if known[z, y, x] else np.float32(0)


@kernel(parallel=True)
def _pair_cells(first, second, known, masked, kind, starts_z, starts_y, starts_x, out):
    n_x = first.shape[2]
    for z in numba.prange(out.shape[0]):
        total, other, row = np.empty(n_x, np.float32), np.empty(n_x, np.float32), np.empty(n_x, np.float32)
        z0, two_z = starts_z[z], starts_z[z + 1] - starts_z[z] == 2
        for y in range(out.shape[1]):
            y0, two_y = starts_y[y], starts_y[y + 1] - starts_y[y] == 2
            # pairs along y, pairs of them along z, then along x: a flip exchanges the terms of a sum, never the sums
            _pair_row(first, second, known, masked, kind, z0, y0, total)
            if two_y:
                _pair_row(first, second, known, masked, kind, z0, y0 + 1, row)
                for x in range(n_x):
                    total[x] += row[x]
            if two_z:
                _pair_row(first, second, known, masked, kind, z0 + 1, y0, other)
                if two_y:
                    _pair_row(first, second, known, masked, kind, z0 + 1, y0 + 1, row)
                    for x in range(n_x):
                        other[x] += row[x]
                for x in range(n_x):
                    total[x] += other[x]
            share = np.float32(1) / np.float32((2 if two_z else 1) * (2 if two_y else 1))
            line = out[z, y]
            for x in range(out.shape[2]):
                x0 = starts_x[x]
                if starts_x[x + 1] - x0 == 2:
                    line[x] = (total[x0] + total[x0 + 1]) * (np.float32(0.5) * share)
                else:
                    line[x] = total[x0] * share


def pair_cells(first: np.ndarray, second: np.ndarray, kind: int, known: np.ndarray | None = None,
               cells: slice | None = None, n_z: int | None = None, out: np.ndarray | None = None) -> np.ndarray:
    """Mean over each cell of two voxels of a quantity from two volumes.

    Parameters
    ----------
    first, second : (z, y, x) float32 arrays
        Whole volumes, or those sections that belong to `cells`.
    kind : int
        HALF_SUM ``(first + second) / 2``, POWER_OF_HALF_DIFFERENCE ``((first - second) / 2)^2``, POWER ``first^2``,
        or KNOWN, 1.
    known : (z, y, x) array of bool, optional
        Voxels that count; others enter the mean as 0.
    cells : slice, optional
        Along z, from `cells.sections_of_cells`.
    n_z : int, optional
        Sections of the whole volume, with `cells`.
    out : ndarray, float32, C-contiguous, optional
        Where the means of these cells go.

    Returns
    -------
    ndarray, float32
        On the grid of cells (`occupy_jit.kernels.grid.binned`).
    """
    first, second = as_volume(first), as_volume(second)
    out = np.empty(cell_shape(first.shape), np.float32) if out is None else out
    masked = known is not None
    known = np.ascontiguousarray(known) if masked else np.empty((0, 0, 0), np.bool_)
    along_z = section_starts(first.shape[0] if n_z is None else n_z, cells)
    y, x = (section_starts(n) for n in first.shape[1:])
    if out.size:
        launch(_pair_cells, first, second, known, masked, kind, along_z, y, x, out)
    return out
