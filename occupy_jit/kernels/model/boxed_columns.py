"""Kernels for columns of a part that are computed in its own box by Fourier transforms.

A part of many atoms is spread once, as Gaussians wide enough for the grid; every filter then costs a product and a
transform of its box for any number of atoms. The kernels are serial, as several parts are computed in parallel.
"""

import math

import numpy as np

from occupy_jit.kernels.jit.decorator import kernel

_FARTHEST = 4.5  # standard deviations of a Gaussian


def spread_gaussians(shape: tuple[int, ...], positions: np.ndarray, amplitudes: np.ndarray, b_factors: np.ndarray,
                     spacing: np.ndarray) -> np.ndarray:
    """Sums over atoms of amplitudes times Gaussians of integral 1, ``(4 pi / B)^1.5 exp(-4 pi^2 r^2 / B)``.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x) of the box, which repeats.
    positions : ndarray (n, 3), float64
        In voxels [z, y, x] of the box.
    amplitudes : ndarray (n, sums), float64
        One box for every column of these.
    b_factors : ndarray (n,), float64
        Å^2.
    spacing : ndarray (3,), float64
        Voxel size along z, y, x in Å.

    Returns
    -------
    ndarray (sums, z, y, x), float32
        Per Å^3.
    """
    out = np.zeros((amplitudes.shape[1], *shape), np.float32)
    _spread_gaussians(np.ascontiguousarray(positions, dtype=float), np.ascontiguousarray(amplitudes, dtype=float),
                      np.ascontiguousarray(b_factors, dtype=float), np.asarray(spacing, float), out)
    return out


@kernel
def _spread_gaussians(positions, amplitudes, b_factors, spacing, out):
    sums, n_z, n_y, n_x = out.shape
    for a in range(len(positions)):
        exponent = 4 * math.pi**2 / b_factors[a]
        reach = _FARTHEST / math.sqrt(2 * exponent)
        height = (exponent / math.pi) ** 1.5
        z_low, along_z = _along(positions[a, 0], reach / spacing[0], exponent * spacing[0] ** 2)
        y_low, along_y = _along(positions[a, 1], reach / spacing[1], exponent * spacing[1] ** 2)
        x_low, along_x = _along(positions[a, 2], reach / spacing[2], exponent * spacing[2] ** 2)
        for k in range(sums):
            amplitude = amplitudes[a, k] * height
            if amplitude == 0:
                continue
            for z in range(len(along_z)):
                plane = out[k, (z_low + z) % n_z]
                for y in range(len(along_y)):
                    line = plane[(y_low + y) % n_y]
                    factor = np.float32(amplitude * along_z[z] * along_y[y])
                    for x in range(len(along_x)):
                        line[(x_low + x) % n_x] += factor * np.float32(along_x[x])


@kernel
def _along(centre, half_width, exponent):
    """The Gaussian along one axis: the first voxel, and the values from there on."""
    low = np.int64(math.ceil(centre - half_width))
    out = np.empty(max(0, np.int64(math.floor(centre + half_width)) + 1 - low))
    for i in range(len(out)):
        out[i] = math.exp(-exponent * (low + i - centre) ** 2)
    return low, out


def filter_twice(transform: np.ndarray, frequencies: tuple[np.ndarray, ...], tables: np.ndarray, step: float
                ) -> np.ndarray:
    """Products of a transform and two radial functions.

    Parameters
    ----------
    transform : ndarray (z, y, x), complex64
    frequencies : tuple of three ndarray, float64
        Squares of the frequencies along z, y and x.
    tables : ndarray (entries, 2), float32
        The functions at the frequencies 0, step, ...: linear between the entries, 0 beyond them.
    step : float

    Returns
    -------
    ndarray (2, z, y, x), complex64
    """
    out = np.empty((2, *transform.shape), np.complex64)
    _filter_twice(transform, *frequencies, tables, 1 / step, out)
    return out


@kernel
def _filter_twice(transform, square_z, square_y, square_x, tables, per_step, out):
    last = len(tables) - 1
    for z in range(len(square_z)):
        for y in range(len(square_y)):
            along = square_z[z] + square_y[y]
            for x in range(len(square_x)):
                at = np.float32(math.sqrt(along + square_x[x]) * per_step)
                entry = np.int32(at)
                if entry < last:
                    part = at - entry
                    value = transform[z, y, x]
                    out[0, z, y, x] = value * (tables[entry, 0] + part * (tables[entry + 1, 0] - tables[entry, 0]))
                    out[1, z, y, x] = value * (tables[entry, 1] + part * (tables[entry + 1, 1] - tables[entry, 1]))
                else:
                    out[0, z, y, x] = 0
                    out[1, z, y, x] = 0


@kernel
def gather(box: np.ndarray, slope: np.ndarray, corner: np.ndarray, coordinates: np.ndarray, voxel: np.ndarray,
           place: np.ndarray, values: np.ndarray) -> None:
    """Values of one column, and of its derivative, from its box to their places in the matrix.

    Parameters
    ----------
    box, slope : ndarray (z, y, x), float32
    corner : ndarray (3,), int64
        First voxel of the box on the grid.
    coordinates : ndarray (voxels, 3), int16
        Of the fit voxels on the grid [z, y, x].
    voxel : ndarray (entries,), int32
        Fit voxels of the column.
    place : ndarray (entries,), int64
        Position of each of them in the values.
    values : ndarray (all entries, 2), float32
        Written to.
    """
    for entry in range(len(voxel)):
        of = voxel[entry]
        z, y, x = coordinates[of, 0] - corner[0], coordinates[of, 1] - corner[1], coordinates[of, 2] - corner[2]
        values[place[entry], 0] = box[z, y, x]
        values[place[entry], 1] = slope[z, y, x]


@kernel
def add_box(box: np.ndarray, corner: np.ndarray, factor: float, grid: np.ndarray) -> None:
    """Add a box times a factor to the grid where they overlap.

    Parameters
    ----------
    box, grid : ndarray (z, y, x), float32
    corner : ndarray (3,), int64
        First voxel of the box on the grid.
    factor : float
    """
    first = np.empty(3, np.int64)
    last = np.empty(3, np.int64)
    for axis in range(3):
        first[axis] = max(0, -corner[axis])
        last[axis] = min(box.shape[axis], grid.shape[axis] - corner[axis])
    for z in range(first[0], last[0]):
        for y in range(first[1], last[1]):
            for x in range(first[2], last[2]):
                grid[z + corner[0], y + corner[1], x + corner[2]] += np.float32(factor) * box[z, y, x]
