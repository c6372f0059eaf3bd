"""Quantities per voxel (one number, a volume, or means over cells of two voxels), read row by row."""

from typing import Any, NamedTuple

import numpy as np

from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.binned import cell_shape, value_row, values_between, weights_between
from occupy_jit.kernels.jit.decorator import kernel

_ONE, _EACH, _BETWEEN = range(3)


class Field(NamedTuple):
    """A quantity at every voxel of a box for kernels: one number, a volume, or means over cells.

    Attributes
    ----------
    values : (z, y, x) float32 array
    kind : int
    y, x : int
        Starts of the axes y and x in the following arrays. (Compiled parallel loops take no nested tuples.)
    lower, of_lower, of_upper : 1-D arrays
        From `between`, for z, y and x one after the other; empty where they are not needed.
    """

    values: np.ndarray
    kind: int
    y: int
    x: int
    lower: np.ndarray
    of_lower: np.ndarray
    of_upper: np.ndarray


_NOWHERE = (0, 0, np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.float32))


def field(values: float | np.ndarray, shape: tuple[Any, ...], name: str = "values") -> Field:
    """A number, a volume of this shape or one on its grid of cells, for kernels that use `field_row`.

    Parameters
    ----------
    values : float or (z, y, x) array
    shape : (nz, ny, nx)
        Of the box.
    name : str
        For the message.

    Returns
    -------
    Field

    Raises
    ------
    ValueError
        If the volume has another shape.
    """
    if np.ndim(values) == 0:
        return Field(np.full((1, 1, 1), values, np.float32), _ONE, *_NOWHERE)
    values = as_volume(values, name)
    if values.shape == tuple(shape):
        return Field(values, _EACH, *_NOWHERE)
    if values.shape == cell_shape(shape):
        return Field(values, _BETWEEN, shape[0], shape[0] + shape[1],
                     *(np.concatenate(part) for part in weights_between(shape)))
    raise ValueError(f"{name}: shape {values.shape} does not go with {tuple(shape)}")


@kernel
def field_row(field: Field, z: int, y: int, scratch: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Values of a `Field` along one row of voxels.

    Parameters
    ----------
    field : Field
    z, y : int
    scratch : ndarray, float32
        As long as a row of ``field.values``.
    row : ndarray, float32
        As long as a row of the box; may be overwritten.

    Returns
    -------
    ndarray, float32
        `row`, or a row of the field's own.
    """
    if field.kind == _EACH:
        return field.values[z, y]
    if field.kind == _BETWEEN:
        lower, a, b = field.lower, field.of_lower, field.of_upper
        value_row(field.values, z, y, (lower[:field.y], lower[field.y:field.x], lower[field.x:]),
                  (a[:field.y], a[field.y:field.x], a[field.x:]), (b[:field.y], b[field.y:field.x], b[field.x:]),
                  scratch, row)
    else:
        row[:] = field.values[0, 0, 0]
    return row


def flat(values: float, shape: tuple[int, int, int], name: str) -> np.ndarray:
    """A number as an array of one, or a volume of this shape in one dimension."""
    if np.ndim(values) == 0:
        return np.full(1, values, np.float32)
    values = as_volume(values, name)
    if values.shape != tuple(shape):
        raise ValueError(f"{name}: shape {values.shape} differs from {tuple(shape)}")
    return values.reshape(-1)


def part_of(values: np.ndarray, shape: tuple[int, int, int], region: tuple[slice, slice, slice]) -> np.ndarray:
    """A region (three slices) of an argument of `field`: a number unchanged, else the values at its voxels."""
    if np.ndim(values) == 0:
        return values
    return values[region] if values.shape == tuple(shape) else values_between(values, shape, region)
