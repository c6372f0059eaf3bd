"""Columns of a linear model at chosen voxels, one per part of an atomic model, and their normal equations.

A column is a sum of radial functions about the atoms of its part, kept at the fit voxels within reach of one of
them. The matrix is stored by rows (entries of a voxel side by side), with an index from columns to rows: sums over
voxels run in parallel over columns, sums over parts run in parallel over voxels. Every sum has one
fixed order, so that no result depends on the number of threads.
"""

from typing import NamedTuple

import numba
import numpy as np

from occupy_jit.kernels.jit.decorator import kernel
from occupy_jit.kernels.jit.launch import launch
from occupy_jit.kernels.model.atoms import spread_in_box

_BOX_VOXELS = 1 << 17  # voxels of a column that are worked on at a time: with two float32 each, a core's own cache
_ROWS_PER_TASK = 4096
_TASKS = 1024  # at most: each has an array of the number of columns, and the cost must not grow with its square


class Pattern(NamedTuple):
    """Fit voxels within reach of each part. Entries are numbered column by column, but row by row in arrays of values.

    Attributes
    ----------
    column_start : ndarray (columns + 1,), int64
        First entry of every column.
    voxel : ndarray (entries,), int32
        Row of every entry, ascending in each column.
    place : ndarray (entries,), int64
        Index of the entry in arrays ordered by rows.
    row_start : ndarray (voxels + 1,), int64
    column : ndarray (entries,), int32
        Ordered by rows: the column of every entry.
    tasks : ndarray (tasks, 8), int64
        Boxes to fill: column, first and last + 1 of z, y, x, first entry.
    """

    column_start: np.ndarray
    voxel: np.ndarray
    place: np.ndarray
    row_start: np.ndarray
    column: np.ndarray
    tasks: np.ndarray


def column_pattern(fit_index: np.ndarray, n_voxels: int, positions: np.ndarray, atom_start: np.ndarray,
                   spacing: np.ndarray, reach: float) -> Pattern:
    """Find the fit voxels within reach of every part.

    Parameters
    ----------
    fit_index : ndarray (z, y, x), int32
        Number of every fit voxel, ascending in memory order; -1 for the others.
    n_voxels : int
    positions : ndarray (atoms, 3), float64
        In voxels [z, y, x], part by part.
    atom_start : ndarray (parts + 1,), int64
        First atom of every part.
    spacing : ndarray (3,), float64
        Voxel size along z, y, x in Å.
    reach : float
        In Å.

    Returns
    -------
    Pattern
    """
    spacing = np.asarray(spacing, float)
    tasks = _boxes(fit_index.shape, positions, atom_start, spacing, reach)
    counts = np.zeros(len(tasks), np.int64)
    nothing = np.zeros(0, np.int32)
    launch(_reached_voxels, fit_index, positions, atom_start, spacing, float(reach), tasks, counts, nothing)
    tasks[:, 7] = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(tasks) else 0
    voxel = np.empty(int(counts.sum()), np.int32)
    launch(_reached_voxels, fit_index, positions, atom_start, spacing, float(reach), tasks, counts, voxel)
    per_column = np.bincount(tasks[:, 0], counts, len(atom_start) - 1).astype(np.int64)
    column_start = np.concatenate([[0], np.cumsum(per_column)])
    row_start = np.concatenate([[0], np.cumsum(np.bincount(voxel, minlength=n_voxels))]).astype(np.int64)
    place, column = _by_rows(column_start, voxel, row_start)
    return Pattern(column_start, voxel, place, row_start, column, tasks)


def _boxes(shape, positions, atom_start, spacing, reach):
    """Cut the surroundings of every part into slabs of limited size, in the order of columns and z."""
    tasks = []
    margin = reach / spacing
    for part in range(len(atom_start) - 1):
        own = positions[atom_start[part]:atom_start[part + 1]]
        if not len(own):
            continue
        low = np.maximum(np.ceil(own.min(0) - margin).astype(np.int64), 0)
        high = np.minimum(np.floor(own.max(0) + margin).astype(np.int64) + 1, shape)
        if (high <= low).any():
            continue
        planes = max(4, int(_BOX_VOXELS // ((high[1] - low[1]) * (high[2] - low[2]))))
        tasks += [(part, z, min(z + planes, high[0]), low[1], high[1], low[2], high[2], 0)
                  for z in range(low[0], high[0], planes)]
    return np.array(tasks, np.int64).reshape(-1, 8)


@kernel
def _near_slab(positions, first, last, half_height):
    """Atoms from which a slab of planes can be reached."""
    return np.flatnonzero((positions[:, 0] >= first - half_height) & (positions[:, 0] <= last - 1 + half_height))


@kernel(parallel=True)
def _reached_voxels(fit_index, positions, atom_start, spacing, reach, tasks, counts, voxel):
    """Count the fit voxels of every box; write their numbers, too, unless `voxel` is empty."""
    for task in numba.prange(len(tasks)):
        part, z_0, z_1, y_0, y_1, x_0, x_1, entry = tasks[task]
        own = positions[atom_start[part]:atom_start[part + 1]]
        near = own[_near_slab(own, z_0, z_1, reach / spacing[0])]
        reached = np.zeros((z_1 - z_0, y_1 - y_0, x_1 - x_0), np.bool_)
        _mark_balls(near, spacing, reach, z_0, y_0, x_0, reached)
        found = 0
        for z in range(z_0, z_1):
            for y in range(y_0, y_1):
                for x in range(x_0, x_1):
                    if reached[z - z_0, y - y_0, x - x_0] and fit_index[z, y, x] >= 0:
                        if len(voxel):
                            voxel[entry + found] = fit_index[z, y, x]
                        found += 1
        counts[task] = found


@kernel
def _mark_balls(positions, spacing, reach, z_0, y_0, x_0, reached):
    """Set the voxels within reach of an atom; the box begins at voxel z_0, y_0, x_0."""
    for a in range(len(positions)):
        z_atom, y_atom, x_atom = positions[a, 0] - z_0, positions[a, 1] - y_0, positions[a, 2] - x_0
        for z in range(reached.shape[0]):
            left_z = reach * reach - ((z - z_atom) * spacing[0]) ** 2
            if left_z < 0:
                continue
            half = np.sqrt(left_z) / spacing[1]
            y_low, y_high = max(0, int(np.ceil(y_atom - half))), min(reached.shape[1], int(np.floor(y_atom + half)) + 1)
            for y in range(y_low, y_high):
                wide = np.sqrt(max(left_z - ((y - y_atom) * spacing[1]) ** 2, 0.0)) / spacing[2]
                low = max(0, int(np.ceil(x_atom - wide)))
                high = min(reached.shape[2], int(np.floor(x_atom + wide)) + 1)
                if high > low:
                    reached[z, y, low:high] = True


@kernel
def _by_rows(column_start, voxel, row_start):
    """Order the entries by rows: index of each entry by rows, and columns in this order."""
    following = row_start[:-1].copy()
    place = np.empty(len(voxel), np.int64)
    column = np.empty(len(voxel), np.int32)
    for part in range(len(column_start) - 1):
        for entry in range(column_start[part], column_start[part + 1]):
            at = following[voxel[entry]]
            following[voxel[entry]] += 1
            place[entry] = at
            column[at] = part
    return place, column


def fill_columns(pattern: Pattern, fit_index: np.ndarray, positions: np.ndarray, weights: np.ndarray,
                 rows: np.ndarray, atom_start: np.ndarray, tables: np.ndarray, squares_per_entry: float,
                 spacing: np.ndarray, first: int = 0, values: np.ndarray | None = None) -> np.ndarray:
    """Values of the columns, and of their derivatives (whatever two functions the tables hold).

    Parameters
    ----------
    pattern : Pattern
    fit_index, positions, atom_start, spacing
        Arguments used for `pattern`.
    weights, rows, tables, squares_per_entry
        See `occupy_jit.kernels.model.atoms.spread_atoms`.
    first : int
        Columns before this one are left as they are.
    values : ndarray (entries, 2), float32, optional
        Written to.

    Returns
    -------
    ndarray (entries, 2), float32
        Ordered by rows.
    """
    if values is None:
        values = np.zeros((len(pattern.column), 2), np.float32)
    launch(_fill, fit_index, positions, np.asarray(weights, float), np.asarray(rows, np.int32), atom_start, tables,
           float(squares_per_entry), np.asarray(spacing, float), pattern.tasks[pattern.tasks[:, 0] >= first],
           pattern.voxel, pattern.place, values)
    return values


@kernel(parallel=True)
def _fill(fit_index, positions, weights, rows, atom_start, tables, squares_per_entry, spacing, tasks, voxel, place,
          values):
    half_height = np.sqrt((tables.shape[1] - 2) / squares_per_entry) / spacing[0]
    for task in numba.prange(len(tasks)):
        part, z_0, z_1, y_0, y_1, x_0, x_1, entry = tasks[task]
        end = tasks[task + 1, 7] if task + 1 < len(tasks) else len(voxel)
        first, last = atom_start[part], atom_start[part + 1]
        near = first + _near_slab(positions[first:last], z_0, z_1, half_height)
        box = np.zeros((z_1 - z_0, y_1 - y_0, x_1 - x_0, 2), np.float32)
        spread_in_box(positions[near], weights[near], rows[near], tables, squares_per_entry, spacing, z_0, y_0, x_0,
                      box)
        for z in range(z_0, z_1):
            for y in range(y_0, y_1):
                for x in range(x_0, x_1):
                    if entry < end and fit_index[z, y, x] == voxel[entry]:
                        values[place[entry], 0] = box[z - z_0, y - y_0, x - x_0, 0]
                        values[place[entry], 1] = box[z - z_0, y - y_0, x - x_0, 1]
                        entry += 1


def combine(pattern: Pattern, values: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Sum of the columns times their factors: the matrix times a vector.

    Parameters
    ----------
    pattern : Pattern
    values : ndarray (entries, 2), float32
    factors : ndarray (columns, 2), float64
        Of the columns and of their derivatives.

    Returns
    -------
    ndarray (voxels,), float64
    """
    out = np.empty(len(pattern.row_start) - 1)
    launch(_combine, pattern.row_start, pattern.column, values, np.ascontiguousarray(factors, dtype=float), out)
    return out


@kernel(parallel=True)
def _combine(row_start, column, values, factors, out):
    n = len(out)
    for task in numba.prange((n + _ROWS_PER_TASK - 1) // _ROWS_PER_TASK):
        for row in range(task * _ROWS_PER_TASK, min(n, (task + 1) * _ROWS_PER_TASK)):
            total = 0.0
            for at in range(row_start[row], row_start[row + 1]):
                total += values[at, 0] * factors[column[at], 0] + values[at, 1] * factors[column[at], 1]
            out[row] = total


def project(pattern: Pattern, values: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Scalar products of every column, and of its derivative, with a vector over the voxels.

    Parameters
    ----------
    pattern : Pattern
    values : ndarray (entries, 2), float32
    residual : ndarray (voxels,), float64

    Returns
    -------
    ndarray (columns, 2), float64
    """
    return project_in_blocks(pattern, values, residual, np.zeros(len(residual), np.int32), 1)[0]


def project_in_blocks(pattern: Pattern, values: np.ndarray, residual: np.ndarray, block: np.ndarray, n_blocks: int
                     ) -> np.ndarray:
    """As `project`, summed over every block of voxels on its own.

    Parameters
    ----------
    pattern, values, residual
        As in `project`.
    block : ndarray (voxels,), int32
        Block of every voxel.
    n_blocks : int

    Returns
    -------
    ndarray (blocks, columns, 2), float64
    """
    out = np.zeros((n_blocks, len(pattern.column_start) - 1, 2))
    launch(_project, pattern.column_start, pattern.voxel, pattern.place, values,
           np.ascontiguousarray(residual, dtype=float), np.asarray(block, np.int32), out)
    return out


@kernel(parallel=True)
def _project(column_start, voxel, place, values, residual, block, out):
    for part in numba.prange(len(column_start) - 1):
        for entry in range(column_start[part], column_start[part + 1]):
            of = residual[voxel[entry]]
            out[block[voxel[entry]], part, 0] += values[place[entry], 0] * of
            out[block[voxel[entry]], part, 1] += values[place[entry], 1] * of


def neighbours(pattern: Pattern) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of columns that share a voxel.

    Returns
    -------
    start : ndarray (columns + 1,), int64
    other : ndarray (pairs,), int32
        Of each column, in ascending order: itself and the columns after it with which it shares a voxel.
    """
    n = len(pattern.column_start) - 1
    counts = np.zeros(n, np.int64)
    launch(_neighbours, pattern.column_start, pattern.voxel, pattern.row_start, pattern.column, counts,
           np.zeros(n, np.int64), np.zeros(0, np.int32))
    start = np.concatenate([[0], np.cumsum(counts)])
    other = np.empty(int(start[-1]), np.int32)
    launch(_neighbours, pattern.column_start, pattern.voxel, pattern.row_start, pattern.column, counts,
           start[:-1].copy(), other)
    return start, other


@kernel(parallel=True)
def _neighbours(column_start, voxel, row_start, column, counts, start, other):
    n = len(column_start) - 1
    each = n // _TASKS + 1
    for task in numba.prange((n + each - 1) // each):
        seen_by = np.full(n, -1, np.int32)  # the last column of the task that shares a voxel with this one
        for part in range(task * each, min(n, (task + 1) * each)):
            near = [np.int64(part)]
            seen_by[part] = part
            for entry in range(column_start[part], column_start[part + 1]):
                # The entries of a row stand in the order of columns.
                for at in range(row_start[voxel[entry] + 1] - 1, row_start[voxel[entry]] - 1, -1):
                    another = column[at]
                    if another <= part:
                        break
                    if seen_by[another] != part:
                        seen_by[another] = part
                        near.append(np.int64(another))
            counts[part] = len(near)
            if len(other):
                other[start[part]:start[part] + len(near)] = np.sort(np.array(near))


def normal_products(pattern: Pattern, values: np.ndarray, start: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Scalar products of the columns and derivatives of every pair of neighbours.

    Parameters
    ----------
    pattern : Pattern
    values : ndarray (entries, 2), float32
    start, other
        From `neighbours`.

    Returns
    -------
    ndarray (pairs, 2, 2), float64
        [column or derivative of the first, column or derivative of the second].
    """
    out = np.zeros((len(other), 2, 2))
    launch(_products, pattern.column_start, pattern.voxel, pattern.place, pattern.row_start, pattern.column, values,
           start, other, out)
    return out


@kernel(parallel=True)
def _products(column_start, voxel, place, row_start, column, values, start, other, out):
    n = len(column_start) - 1
    each = n // _TASKS + 1
    for task in numba.prange((n + each - 1) // each):
        pair_of = np.zeros(n, np.int64)  # of every neighbour of the column that is worked on
        for part in range(task * each, min(n, (task + 1) * each)):
            for pair in range(start[part], start[part + 1]):
                pair_of[other[pair]] = pair
            for entry in range(column_start[part], column_start[part + 1]):
                here = place[entry]
                value, slope = np.float64(values[here, 0]), np.float64(values[here, 1])
                # The entries of a row stand in the order of columns: from this one on are the columns wanted.
                for at in range(here, row_start[voxel[entry] + 1]):
                    sums = out[pair_of[column[at]]]
                    sums[0, 0] += value * values[at, 0]
                    sums[0, 1] += value * values[at, 1]
                    sums[1, 0] += slope * values[at, 0]
                    sums[1, 1] += slope * values[at, 1]
