"""The sphere inscribed in a box: definition of inside for all kernels and estimates.

Its centre is that of the box and its diameter the shortest edge; a voxel belongs to it if its centre does. In units
of half a voxel, from the centre, voxel i of an axis of n lies at 2 i - (n - 1) and the radius is the shortest edge: all
is integer arithmetic, without rounding.
"""

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from occupy_jit.kernels.jit.decorator import kernel


@register_jitable
def squared_radius(n_z: int, n_y: int, n_x: int) -> int:
    """Squared radius of the sphere in half voxels.

    At least 2, so that in a box 1 x even x even the four voxels at the centre are inside.
    """
    shortest = min(n_z, min(n_y, n_x))
    return max(shortest * shortest, 2)


def squared_distances(shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Squared distances to the centre along each axis, in half voxels: three integer arrays."""
    return [(2 * np.arange(n) - (n - 1)) ** 2 for n in shape]


def section_inside(shape: tuple[int, int, int], z: int, step: int = 1) -> np.ndarray:
    """Voxels of section `z` inside: (ny, nx) array of bool. With `step`, of every `step`-th one only."""
    along_z, along_y, along_x = squared_distances(shape)
    return along_z[z] + along_y[::step, None] + along_x[::step] <= squared_radius(*shape)


def voxels_in_sphere(shape: tuple[int, int, int]) -> int:
    """Number of voxels inside."""
    along_z, along_y, along_x = squared_distances(shape)
    rest = squared_radius(*shape) - along_z[:, None] - along_y[None, :]
    return int(np.searchsorted(np.sort(along_x), rest, side="right").sum())


@kernel
def sphere_row(z: Any, y: Any, n_z: Any, n_y: Any, n_x: Any) -> tuple[Any, Any]:
    """First and one past the last x of the inscribed sphere in a row; empty if the second is not larger.

    A voxel belongs to it if its centre is within min(n) / 2 of (n - 1) / 2. In units of half a voxel all this is
    integer arithmetic, without rounding.
    """
    dz, dy = 2 * z - (n_z - 1), 2 * y - (n_y - 1)
    rest = squared_radius(n_z, n_y, n_x) - dz * dz - dy * dy
    if rest < 0:
        return 0, 0
    reach = int(math.sqrt(rest))
    while reach * reach > rest:
        reach -= 1
    while (reach + 1) * (reach + 1) <= rest:
        reach += 1
    if (reach - (n_x - 1)) % 2:
        reach -= 1
    return (n_x - 1 - reach) // 2, (n_x - 1 + reach) // 2 + 1


@kernel
def left_out(i: Any, n: Any) -> bool:
    """Whether index i of n is left out when every other one is taken, counted from the centre in both directions."""
    return (abs(2 * i - (n - 1)) >> 1) & 1 == 1


@kernel
def taken(n: Any, thin: bool) -> tuple[Any, Any]:
    """Indices along an axis of n, with `thin` those that are not left out, and how many of them lie before each index.

    Returns
    -------
    at : int64 array
    before : (n + 1,) int64 array
        ``at[before[begin]:before[end]]`` are those from `begin` to `end`.
    """
    at, before = np.empty(n, np.int64), np.empty(n + 1, np.int64)
    number = 0
    for i in range(n):
        before[i] = number
        if not (thin and left_out(i, n)):
            at[number] = i
            number += 1
    before[n] = number
    return at[:number], before
