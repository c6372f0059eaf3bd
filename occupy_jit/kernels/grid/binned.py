"""A grid with half as many points per axis for slowly varying quantities: means over cells of two voxels, and back.

Cells are counted from the centre of the box in both directions, so that a flipped box has the flipped cells: with an
even number of voxels all hold two; with an odd number the one in the middle holds one, and those at both ends may.

The mean over a cell damps a wave of f cycles per voxel by cos(pi f) along each axis, and frequencies above 1/4
cycle per voxel are aliased to 1/2 - f. The square of a map that was low-passed at six voxels holds nothing above a
third; of what it holds beyond a quarter, at most 7% is aliased through a mean and a Gaussian that together smooth
like one of two voxels, as `smoothed_cells` does.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np

from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.jit.decorator import kernel, launch

SIGMA_OF_CELL = 0.5
"""Standard deviation of two voxels around their mean, in voxels."""


@functools.lru_cache(maxsize=64)
def cell_of(n: int) -> np.ndarray:
    """Index of the cell of each of n voxels along an axis: (n,) int32 array, never falling."""
    i = np.arange(n)
    if n % 2 == 0:
        return (i // 2).astype(np.int32)
    middle = n // 2
    cells = (middle + 1) // 2 + np.sign(i - middle) * ((np.abs(i - middle) + 1) // 2)
    return cells.astype(np.int32)


def cell_count(n: int) -> int:
    """Number of cells along an axis of n voxels."""
    return n // 2 if n % 2 == 0 else 2 * ((n // 2 + 1) // 2) + 1


def cell_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Shape of the grid of cells of a box."""
    return tuple(cell_count(n) for n in shape)


def cell_power(volume: np.ndarray, centre: float, box: tuple[slice, slice, slice] | None = None) -> np.ndarray:
    """Mean of (volume - centre)^2 over each cell.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    centre : float
    box : (slice, slice, slice), optional
        Which cells along z, y and x, with start and stop; by default all.

    Returns
    -------
    ndarray, float32
        Of `cell_shape`, or of the shape of the box.
    """
    return _means(volume, centre, np.inf, True, box)


def cell_mean(volume: np.ndarray, centre: float = 0.0, cap: float = np.inf,
              box: tuple[slice, slice, slice] | None = None) -> np.ndarray:
    """Mean of min(volume - centre, cap) over each cell; other parameters and result as in `cell_power`."""
    return _means(volume, centre, cap, False, box)


def _means(volume, centre, cap, squared, box):
    volume = as_volume(volume)
    starts = [_starts(n) for n in volume.shape]
    if box is not None:
        starts = [starts_of[cells.start:cells.stop + 1] for starts_of, cells in zip(starts, box, strict=True)]
    out = np.empty([len(starts_of) - 1 for starts_of in starts], np.float32)
    if out.size:
        launch(_cell_means, volume, np.float32(centre), np.float32(cap), squared, *starts, out)
    return out


def sections_of_cells(n: int, cells_at_a_time: int, planes: slice | None = None) -> Iterator[tuple[slice, slice]]:
    """Pieces of an axis of n voxels, some cells each.

    Parameters
    ----------
    n, cells_at_a_time : int
    planes : slice, optional
        The cells to go through; by default all.

    Yields
    ------
    cells, voxels : slice
    """
    start, stop = (0, cell_count(n)) if planes is None else (planes.start, planes.stop)
    for first in range(start, stop, cells_at_a_time):
        cells = slice(first, min(first + cells_at_a_time, stop))
        yield cells, voxels_of(n, cells)


def voxels_of(n: int, cells: slice) -> slice:
    """The voxels of some cells along an axis of n voxels."""
    starts = _starts(n)
    return slice(int(starts[cells.start]), int(starts[cells.stop]))


def cell_mean_of_sections(sections: np.ndarray, cells: slice, n_z: int, out: np.ndarray, squared: bool = False) -> None:
    """Mean over the cells of some sections of a volume.

    Parameters
    ----------
    sections : ndarray (z, y, x), real
        The voxels of those cells.
    cells : slice
        Along z, from `sections_of_cells`.
    n_z : int
        Sections of the whole volume.
    out : ndarray, float32, C-contiguous
        Where the means of these cells go.
    squared : bool
        Whether to take the mean square.
    """
    y, x = (_starts(n) for n in sections.shape[1:])
    launch(_cell_means, as_volume(sections), np.float32(0), np.float32(np.inf), squared, section_starts(n_z, cells), y,
           x, out)


def cell_mean_of_box(values: np.ndarray, box: tuple[slice, slice, slice], shape: tuple[int, int, int]) -> np.ndarray:
    """Mean over the cells of a box, from its voxels alone.

    Parameters
    ----------
    values : ndarray (z, y, x), real
        The voxels of those cells.
    box : (slice, slice, slice)
        Cells along z, y and x, with start and stop.
    shape : (nz, ny, nx)
        Of the whole volume.

    Returns
    -------
    ndarray, float32, of the shape of the box
    """
    starts = [section_starts(n, cells) for n, cells in zip(shape, box, strict=True)]
    out = np.empty([len(starts_of) - 1 for starts_of in starts], np.float32)
    if out.size:
        launch(_cell_means, as_volume(values), np.float32(0), np.float32(np.inf), False, *starts, out)
    return out


def section_starts(n: int, cells: slice | None = None) -> np.ndarray:
    """First voxel of each of some cells along an axis of n, and one past the last, counted from the first of them."""
    if cells is None:
        return _starts(n)
    starts = _starts(n)[cells.start:cells.stop + 1]
    return starts - starts[0]


def smoothed_cells(cells: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth means over cells, so that mean and smoothing together equal a Gaussian.

    Parameters
    ----------
    cells : ndarray, float32
        From `cell_power` or `cell_mean`; overwritten.
    sigma : float
        Of the Gaussian, in voxels (not cells). At least 2: with less, cells are too coarse.

    Returns
    -------
    ndarray
        `cells`.
    """
    if not sigma > SIGMA_OF_CELL:
        raise ValueError(f"sigma: expected more voxels than a cell spans, got {sigma}")
    return smooth(cells, math.sqrt(sigma * sigma - SIGMA_OF_CELL ** 2) / 2, out=cells)


def selection(volume: np.ndarray, where: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, bool, np.ndarray]:
    """Selection of voxels of a volume, for kernels that look it up voxel by voxel.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    where : ndarray, real, of the volume's shape or of `cell_shape`; or None

    Returns
    -------
    volume, where : ndarray, float32
        Without `where`, the volume itself is returned for it.
    selects : bool
    at : three int32 arrays
        Index into `where` of each voxel along z, y and x.

    Raises
    ------
    TypeError, ValueError
        If one of them is not a volume, or shapes differ.
    """
    volume = as_volume(volume)
    if where is None:
        return volume, volume, False, tuple(_every(n) for n in volume.shape)
    where = as_volume(where, "where")
    if where.shape == volume.shape:
        return volume, where, True, tuple(_every(n) for n in volume.shape)
    if where.shape != cell_shape(volume.shape):
        raise ValueError(f"the volumes differ in size: {volume.shape} and {where.shape}")
    return volume, where, True, tuple(cell_of(n) for n in volume.shape)


@functools.lru_cache(maxsize=64)
def _every(n):
    return np.arange(n, dtype=np.int32)


@functools.lru_cache(maxsize=64)
def _starts(n):
    """First voxel of each cell, and one past the last of all."""
    return np.append(np.flatnonzero(np.diff(cell_of(n), prepend=-1)), n).astype(np.int64)


@functools.lru_cache(maxsize=64)
def between(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two cells next to each of n voxels, and their weights for interpolation.

    Returns
    -------
    lower : (n,) int32 array
        The other cell is the next. At both ends only the nearest cell has weight.
    of_lower, of_upper : (n,) float32 arrays
        Weights, each rounded from its own distance: a flip of the axis exchanges them exactly.
    """
    cells = cell_of(n)
    i = np.arange(n)
    count = cell_count(n)
    # positions of cells in half voxels from the centre of the box: integers
    at = np.bincount(cells, weights=2 * i - (n - 1)) / np.bincount(cells)
    if count == 1:
        return np.zeros(n, np.int32), np.ones(n, np.float32), np.zeros(n, np.float32)
    where = np.clip(2 * i - (n - 1), at[0], at[-1])
    lower = np.clip(np.searchsorted(at, where, side="right") - 1, 0, count - 2)
    width = at[lower + 1] - at[lower]
    return (lower.astype(np.int32), ((at[lower + 1] - where) / width).astype(np.float32),
            ((where - at[lower]) / width).astype(np.float32))


@kernel
def _row(volume, z, y, first, centre, cap, squared, row):
    line = volume[z, y, first:first + len(row)]
    for x in range(len(line)):
        value = line[x] - centre
        value = value if value < cap else cap
        row[x] = value * value if squared else value


@kernel
def _add_row(volume, z, y, first, centre, cap, squared, row):
    line = volume[z, y, first:first + len(row)]
    for x in range(len(line)):
        value = line[x] - centre
        value = value if value < cap else cap
        row[x] += value * value if squared else value


@kernel(parallel=True)
def _cell_means(volume, centre, cap, squared, starts_z, starts_y, starts_x, out):
    first, n_x = starts_x[0], starts_x[-1] - starts_x[0]
    for z in numba.prange(out.shape[0]):
        total, second = np.empty(n_x, np.float32), np.empty(n_x, np.float32)
        z0, two_z = starts_z[z], starts_z[z + 1] - starts_z[z] == 2
        for y in range(out.shape[1]):
            y0, two_y = starts_y[y], starts_y[y + 1] - starts_y[y] == 2
            # pairs along y, pairs of them along z, then along x: a flip exchanges the terms of a sum, never the sums
            _row(volume, z0, y0, first, centre, cap, squared, total)
            if two_y:
                _add_row(volume, z0, y0 + 1, first, centre, cap, squared, total)
            if two_z:
                _row(volume, z0 + 1, y0, first, centre, cap, squared, second)
                if two_y:
                    _add_row(volume, z0 + 1, y0 + 1, first, centre, cap, squared, second)
                for x in range(n_x):
                    total[x] += second[x]
            share = np.float32(1) / np.float32((2 if two_z else 1) * (2 if two_y else 1))
            half = np.float32(0.5) * share
            line = out[z, y]
            for x in range(out.shape[2]):
                x0 = starts_x[x] - first
                if starts_x[x + 1] - first - x0 == 2:
                    line[x] = (total[x0] + total[x0 + 1]) * half
                else:
                    line[x] = total[x0] * share


@kernel
def value_row(cells: np.ndarray, z: int, y: int, lower: np.ndarray, of_lower: np.ndarray, of_upper: np.ndarray,
              scratch: np.ndarray, row: np.ndarray) -> None:
    """Values between cells along one row of voxels.

    Parameters
    ----------
    cells : ndarray, float32
    z, y : int
        Section and row of the volume.
    lower, of_lower, of_upper : three arrays each
        From `between`, for z, y and x.
    scratch : ndarray, float32
        One value for each cell along x.
    row : ndarray, float32
        Filled; one value for each voxel along x.
    """
    z0, y0 = lower[0][z], lower[1][y]
    z1, y1 = min(z0 + 1, cells.shape[0] - 1), min(y0 + 1, cells.shape[1] - 1)
    a, b = of_lower[0][z], of_upper[0][z]
    c, d = of_lower[1][y], of_upper[1][y]
    last = cells.shape[2] - 1
    below, below_next, above, above_next = cells[z0, y0], cells[z0, y1], cells[z1, y0], cells[z1, y1]
    for x in range(len(scratch)):
        scratch[x] = a * (c * below[x] + d * below_next[x]) + b * (c * above[x] + d * above_next[x])
    for x in range(len(row)):
        x0 = lower[2][x]
        row[x] = of_lower[2][x] * scratch[x0] + of_upper[2][x] * scratch[min(x0 + 1, last)]


@kernel(parallel=True)
def _all_between(cells, lower, of_lower, of_upper, out):
    for z in numba.prange(out.shape[0]):
        scratch = np.empty(cells.shape[2], np.float32)
        for y in range(out.shape[1]):
            value_row(cells, z, y, lower, of_lower, of_upper, scratch, out[z, y])


def weights_in(shape: tuple[int, int, int], region: tuple[slice, slice, slice]) -> list[tuple[np.ndarray, ...]]:
    """What `weights_between` gives, for the voxels of a region alone."""
    return [tuple(np.ascontiguousarray(part[along]) for part, along in zip(parts, region, strict=True))
            for parts in weights_between(shape)]


def values_between(cells: np.ndarray, shape: tuple[Any, ...], region: tuple[Any, ...] | None = None,
                   alone: bool = False) -> np.ndarray:
    """Values at every voxel, or those of a region of the box, by linear interpolation between cells.

    Parameters
    ----------
    cells : ndarray, float32
    shape : (nz, ny, nx)
        Of the box whose cells these are.
    region : (slice, slice, slice), optional
        Along z, y and x, in steps of 1; by default the whole box.
    alone : bool
        On the calling thread only.

    Returns
    -------
    ndarray (z, y, x), float32

    Raises
    ------
    ValueError
        If they are not.
    """
    cells = as_volume(cells, "cells")
    if cells.shape != cell_shape(shape):
        raise ValueError(f"cells of {cells.shape} do not go with a box of {tuple(shape)}")
    weights = weights_in(shape, (slice(None),) * 3 if region is None else region)
    out = np.empty([len(part) for part in weights[0]], np.float32)
    if out.size and alone and not numba.config.DISABLE_JIT:
        _all_between.serial()(cells, *weights, out)
    elif out.size:
        launch(_all_between, cells, *weights, out)
    return out


def sections(first: int, last: int) -> tuple[slice, slice, slice]:
    """Region of the sections first ... last - 1, for `values_between`."""
    return slice(first, last), slice(None), slice(None)


def weights_between(shape: tuple[int, int, int]) -> tuple[Any, ...]:
    """`between` for the three axes of a box, as `value_row` takes it."""
    return tuple(zip(*(between(n) for n in shape), strict=True))
