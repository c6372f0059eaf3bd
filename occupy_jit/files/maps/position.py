"""Position of the grid of a map, and comparison of two grids."""

import math
from typing import Any

from occupy_jit.files.maps.mrc_recognition import ints, xyz

VOXEL_SIZE_TOLERANCE = 0.01
"""Relative, between axes and between maps."""

_POSITION_TOLERANCE = 0.1  # voxels; origins are stored in single precision


def position(header: Any, axis_order: tuple[int, int, int], voxel_size: float) -> Any:
    """Position of the first voxel, in Å along x, y, z: the origin if it is set, else the start of the grid.

    Viewers place maps in this way: the origin of MRC2014 takes precedence if it is not zero.
    """
    origin = xyz(header, "origin")
    if all(math.isfinite(value) for value in origin) and any(origin):
        return origin
    return grid_start(header, axis_order, voxel_size)


def grid_start(header: Any, axis_order: tuple[int, int, int], voxel_size: float) -> Any:
    """Position of the first voxel by the start of the grid alone, in Å along x, y, z."""
    start = dict(zip(axis_order, ints(header, "nxstart", "nystart", "nzstart"), strict=True))
    return tuple(start[axis] * voxel_size for axis in (1, 2, 3))


def same_voxel_size(a: float, b: float) -> bool:
    """True if two voxel sizes differ by at most 1%."""
    return abs(a - b) <= VOXEL_SIZE_TOLERANCE * min(a, b)


def same_position(a: Any, b: Any, voxel_size: float) -> bool:
    """True if two positions (x, y, z in Å) differ by less than a tenth of a voxel."""
    return all(abs(p - q) <= _POSITION_TOLERANCE * voxel_size for p, q in zip(a, b, strict=True))
