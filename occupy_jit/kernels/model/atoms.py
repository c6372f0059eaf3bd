"""Kernels for atoms on the grid of a map: distances, density at atoms, atoms as radial functions.

Positions are in voxels [z, y, x] of the grid. Functions of distance are tabulated over its square: functions
of a band-limited map are smooth in it, and no square root is needed.
"""

import math
from typing import Any

import numba
import numpy as np

from occupy_jit.kernels.jit.decorator import kernel
from occupy_jit.kernels.jit.launch import launch

_PLANES_PER_TASK = 8
_FEW = 10000  # atoms


def distance_to_atoms(shape: tuple[int, ...], positions: np.ndarray, spacing: np.ndarray, limit: float) -> np.ndarray:
    """Distance of every voxel of a grid to the nearest atom.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x).
    positions : ndarray (n, 3), float64
        In voxels [z, y, x]; atoms outside of the grid count, too.
    spacing : ndarray (3,), float64
        Voxel size along z, y, x in Å.
    limit : float
        In Å: distances beyond it are reported as `limit`.

    Returns
    -------
    ndarray (z, y, x), float32
        In Å.
    """
    order = np.argsort(positions[:, 0], kind="stable")
    out = np.empty(shape, np.float32)
    launch(_distances, np.ascontiguousarray(positions[order]), np.asarray(spacing, float), float(limit), out)
    return out


@kernel(parallel=True)
def _distances(positions, spacing, limit, out):
    n_z = out.shape[0]
    for task in numba.prange((n_z + _PLANES_PER_TASK - 1) // _PLANES_PER_TASK):
        first = task * _PLANES_PER_TASK
        _distances_in_planes(positions, spacing, limit, first, min(n_z, first + _PLANES_PER_TASK), out)


@kernel
def _distances_in_planes(positions, spacing, limit, first, last, out):
    """Minimum of the squared distance over the atoms, in the planes first ... last - 1."""
    out[first:last] = limit * limit
    n_y, n_x = out.shape[1], out.shape[2]
    for a in range(_first_from(positions, first - limit / spacing[0]), len(positions)):
        z_atom, y_atom, x_atom = positions[a]
        if (z_atom - last) * spacing[0] > limit:
            break
        low, high = _range(z_atom, limit / spacing[0], first, last)
        for z in range(low, high):
            left_z = limit * limit - ((z - z_atom) * spacing[0]) ** 2
            y_low, y_high = _range(y_atom, math.sqrt(max(left_z, 0.0)) / spacing[1], 0, n_y)
            for y in range(y_low, y_high):
                along_y = ((y - y_atom) * spacing[1]) ** 2
                x_low, x_high = _range(x_atom, math.sqrt(max(left_z - along_y, 0.0)) / spacing[2], 0, n_x)
                for x in range(x_low, x_high):
                    square = (limit * limit - left_z) + along_y + ((x - x_atom) * spacing[2]) ** 2
                    if square < out[z, y, x]:
                        out[z, y, x] = square
    for z in range(first, last):
        for y in range(n_y):
            for x in range(n_x):
                out[z, y, x] = math.sqrt(out[z, y, x])


@kernel
def _range(centre, half_width, low, high):
    """Indices (first, last + 1) within `half_width` of `centre` and inside low ... high - 1."""
    return max(low, int(math.ceil(centre - half_width))), min(high, int(math.floor(centre + half_width)) + 1)


@kernel
def _first_from(positions, z):
    """First atom, of atoms in the order of z, that does not lie below `z`."""
    low, high = 0, len(positions)
    while low < high:
        middle = (low + high) // 2
        if positions[middle, 0] < z:
            low = middle + 1
        else:
            high = middle
    return low


def density_at(volume: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Trilinear interpolation of a volume at atoms.

    Parameters
    ----------
    volume : ndarray (z, y, x), float32, C-contiguous
    positions : ndarray (n, 3), float64
        In voxels [z, y, x].

    Returns
    -------
    ndarray (n,), float64
        0 outside of the volume.
    """
    out = np.empty(len(positions))
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    if len(positions) < _FEW and not numba.config.DISABLE_JIT:  # threads take longer to start
        _interpolate.serial()(volume, positions, out)
    else:
        launch(_interpolate, volume, positions, out)
    return out


@kernel(parallel=True)
def _interpolate(volume, positions, out):
    n_z, n_y, n_x = volume.shape
    for a in numba.prange(len(positions)):
        z, y, x = positions[a]
        out[a] = 0.0
        if z >= 0 and y >= 0 and x >= 0 and z <= n_z - 1 and y <= n_y - 1 and x <= n_x - 1:
            k, j, i = min(int(z), n_z - 2), min(int(y), n_y - 2), min(int(x), n_x - 2)
            total = 0.0
            for dk in range(2):
                for dj in range(2):
                    for di in range(2):
                        share = abs(1 - dk - (z - k)) * abs(1 - dj - (y - j)) * abs(1 - di - (x - i))
                        total += share * volume[k + dk, j + dj, i + di]
            out[a] = total


def spread_atoms(shape: tuple[int, ...], positions: np.ndarray, weights: np.ndarray, rows: np.ndarray,
                 tables: np.ndarray, squares_per_entry: float, spacing: np.ndarray) -> np.ndarray:
    """Sum over atoms of a weight times a tabulated radial function.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x) of the grid.
    positions : ndarray (n, 3), float64
        In voxels [z, y, x].
    weights : ndarray (n,), float64
    rows : ndarray (n,), int32
        Which of the functions.
    tables : ndarray (functions, entries, 2), float32
        Two functions of the squared distance each, at the squares 0, 1/squares_per_entry, ... Å^2; the nearest entry is
        taken. The last two are 0; the functions end at the last but one.
    squares_per_entry : float
        Entries per Å^2.
    spacing : ndarray (3,), float64
        Voxel size along z, y, x in Å.

    Returns
    -------
    ndarray (z, y, x, 2), float32
    """
    order = np.argsort(positions[:, 0], kind="stable")
    out = np.zeros((*shape, 2), np.float32)
    launch(_spread_planes, np.ascontiguousarray(positions[order]), np.asarray(weights, float)[order],
           np.asarray(rows, np.int32)[order], tables, float(squares_per_entry), np.asarray(spacing, float), out)
    return out


@kernel(parallel=True)
def _spread_planes(positions, weights, rows, tables, squares_per_entry, spacing, out):
    n_z = out.shape[0]
    reach = math.sqrt((tables.shape[1] - 2) / squares_per_entry)
    for task in numba.prange((n_z + _PLANES_PER_TASK - 1) // _PLANES_PER_TASK):
        first = task * _PLANES_PER_TASK
        last = min(n_z, first + _PLANES_PER_TASK)
        begin = _first_from(positions, first - reach / spacing[0])
        end = _first_from(positions, last + reach / spacing[0])
        spread_in_box(positions[begin:end], weights[begin:end], rows[begin:end], tables, squares_per_entry, spacing,
                      first, 0, 0, out[first:last])


@kernel
def spread_in_box(positions: Any, weights: Any, rows: Any, tables: Any, squares_per_entry: Any, spacing: Any,
                  z_0: Any, y_0: Any, x_0: Any, box: Any) -> None:
    """Add atoms to `box` (z, y, x, 2), whose first voxel is z_0, y_0, x_0 of the grid; as `spread_atoms`.

    Distances are in units whose square is one entry of the tables, in single precision: this loop is most of the work.
    """
    last = tables.shape[1] - 2
    reach = math.sqrt(last)
    unit = math.sqrt(squares_per_entry)
    unit_z, unit_y, unit_x = spacing[0] * unit, spacing[1] * unit, spacing[2] * unit
    step = np.float32(unit_x)
    for a in range(len(positions)):
        z_atom, y_atom, x_atom = positions[a, 0] - z_0, positions[a, 1] - y_0, positions[a, 2] - x_0
        table = tables[rows[a]]
        weight = np.float32(weights[a])
        z_low, z_high = _range(z_atom, reach / unit_z, 0, box.shape[0])
        for z in range(z_low, z_high):
            along_z = ((z - z_atom) * unit_z) ** 2
            y_low, y_high = _range(y_atom, math.sqrt(max(last - along_z, 0.0)) / unit_y, 0, box.shape[1])
            for y in range(y_low, y_high):
                along_zy = along_z + ((y - y_atom) * unit_y) ** 2
                x_low, x_high = _range(x_atom, math.sqrt(max(last - along_zy, 0.0)) / unit_x, 0, box.shape[2])
                if x_high <= x_low:
                    continue
                nearest = np.float32(along_zy + 0.5)
                first = np.float32((x_low - x_atom) * unit_x)
                line = box[z, y, x_low:x_high]
                for i in range(len(line)):
                    along_x = first + np.float32(i) * step
                    entry = np.int32(nearest + along_x * along_x)
                    line[i, 0] += weight * table[entry, 0]
                    line[i, 1] += weight * table[entry, 1]
