"""Full scale: the largest quantile over all cubes inside the inscribed sphere.

A cube of w^3 voxels has its tau-quantile above t exactly if at least ``need`` of its voxels are
above t. Numbers of voxels above t come for every cube position from three running sums (along z,
y and x) whose cost does not depend on w. Start with a good t, count, select the exact quantile of the
fullest cube as next t, and count again among the cubes that still pass, until none
does. Only integers are added, so results do not depend on order or number of threads.
"""

import math
import numbers
import operator
from typing import Any

import numba
import numpy as np
from numba.extending import overload, register_jitable

from occupy_jit.kernels.cube_counts import (
    BEST,
    X_BEST,
    X_OF_FIRST,
    Y_BEST,
    Y_FIRST,
    count_cubes,
    cubes_near,
    nth_largest,
    reach,
)
from occupy_jit.kernels.grid.arguments import as_volume, require_volume
from occupy_jit.kernels.grid.sphere import squared_radius
from occupy_jit.kernels.jit.decorator import kernel, threads


def full_scale_tau(n_v: int) -> float:
    """Quantile that balances over- and under-estimation for a maximum over `n_v` draws.

    The root in (0, 1) of ``tau**n_v + tau - 1``: the largest of `n_v` draws exceeds the
    tau-quantile of their distribution with probability tau.

    Parameters
    ----------
    n_v : int
        Number of voxels in the kernel, at least 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `n_v` is below 1.
    """
    if not n_v >= 1:
        raise ValueError(f"n_v: expected at least 1 voxel, got {n_v}")
    # The function is convex and rising, so from 1 Newton's steps descend to the root and never pass it.
    tau = 1.0
    for _ in range(200):
        step = (tau**n_v + tau - 1.0) / (n_v * tau ** (n_v - 1) + 1.0)
        if tau - step >= tau:
            break
        tau -= step
    return tau


def tile_edge(shape: tuple[Any, ...], voxel_size: float, tile_size_angstrom: float = 30.0) -> int:
    """Edge in voxels of the cubes for full scale.

    Parameters
    ----------
    shape : tuple of 3 int
        Box [z, y, x] in voxels.
    voxel_size : float
        Å per voxel.
    tile_size_angstrom : float
        Requested edge, Å.

    Returns
    -------
    int
        ``round(tile_size_angstrom / voxel_size)``, at least 5, but at most a quarter of the
        shortest side, and never below 1. At least one such cube fits inside the inscribed sphere.

    Raises
    ------
    ValueError
        If a length is not positive or the box has no voxels.
    """
    if not (voxel_size > 0 and tile_size_angstrom > 0):
        raise ValueError(f"voxel_size and tile_size_angstrom: expected positive lengths in Å, "
                         f"got {voxel_size} and {tile_size_angstrom}")
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape: expected three sides of at least one voxel, got {tuple(shape)}")
    # The farthest voxel of a cube of edge w near the centre is at most sqrt(3) w / 2 away, so a quarter of
    # the shortest side always fits; for an edge of one voxel see `sphere`. Limit first, since the ratio can be huge.
    most = max(1, min(shape) // 4)
    wanted = min(tile_size_angstrom / voxel_size, most)
    return int(min(max(5, math.floor(wanted + 0.5)), most))


def largest_quantile(volume: np.ndarray, edge: int, tau: float) -> tuple[Any, tuple[Any, ...]]:
    """Largest `tau`-quantile over all cubes inside the inscribed sphere, exactly.

    The quantile of a cube is its element number ``min(floor(tau * edge**3), edge**3 - 1)`` in
    ascending order, counted from 0. A cube lies inside if every one of its voxel centres is within
    ``min(shape) / 2`` of the box centre. (Of a box 1 x even x even, where not even one voxel is,
    the four about the centre count as inside.)

    Usable inside compiled code, there with C-contiguous float32 volumes only.

    Parameters
    ----------
    volume : (nz, ny, nx) array of real numbers
        Finite values; computed in float32.
    edge : int
        Edge of the cubes, voxels.
    tau : float
        From 0 to 1.

    Returns
    -------
    value : float32
        An element of `volume`.
    corner : tuple of 3 int
        Lowest (z, y, x) of the cube that attains it, the lexicographically first if several do.

    Raises
    ------
    TypeError
        If `volume` is not a real-valued 3-D numpy array, `edge` not an integer, `tau` not a number.
    ValueError
        If `edge` is outside 1 to 1290, `tau` outside 0 to 1, or no cube fits.
    """
    volume = as_volume(volume)
    try:
        edge = operator.index(edge)
    except TypeError:
        raise TypeError(f"edge: expected an integer, got {type(edge).__name__}") from None
    if not isinstance(tau, numbers.Real):
        raise TypeError(f"tau: expected a number, got {type(tau).__name__}")
    with threads(None) as number:
        value, corner = search(volume, edge, float(tau), number)
    return np.float32(value), (int(corner[0]), int(corner[1]), int(corner[2]))


@overload(largest_quantile)
def _largest_quantile_compiled(volume, edge, tau):
    require_volume(volume)
    # A query for the number of threads in compiled code would prevent caching of the caller's code.
    number = numba.config.NUMBA_NUM_THREADS
    return lambda volume, edge, tau: _compiled_search(volume, np.int64(edge), float(tau), np.int64(number))


@register_jitable
def _need(edge, tau):
    """Number of voxels above t from which the quantile of a cube is above t."""
    size = edge**3
    # tau * size may be 26.9999999 instead of 27.
    return size - min(int(math.floor(tau * size + 1e-6)), size - 1)


@register_jitable
def _climb(volume, shape, step, edge, full_edge, need, level, domain, number):
    """Raise `level` to the largest quantile in `domain`, one of whose cubes reaches `level`.

    Returns the new level, the cube last selected (-1 if there is none) and a smaller domain that
    still holds every cube of the given one whose quantile is at least the new level.
    """
    z = y = x = -1
    bar = np.nextafter(level, np.float32(-np.inf))
    while True:
        found = count_cubes(volume, shape, step, edge, full_edge, need, bar, domain, number)
        best = np.argmax(found[:, BEST])
        if found[best, BEST] == 0:
            return level, (z, y, x), domain
        z, y, x = best, np.int64(found[best, Y_BEST]), np.int64(found[best, X_BEST])
        level = bar = np.float32(nth_largest(volume, z, y, x, edge, bar, need))
        domain = found


@register_jitable
def search(volume: np.ndarray, edge: int, tau: float, number: int) -> tuple[Any, ...]:
    """`largest_quantile` of a C-contiguous float32 volume, in slabs for at most `number` threads."""
    if not 1 <= edge <= 1290:  # more voxels than that, cubed, are beyond 32 bits
        raise ValueError("edge: expected 1 to 1290 voxels")
    if not (tau >= 0 and tau <= 1):
        raise ValueError("tau: expected a number from 0 to 1")
    shape = volume.shape
    lowest = np.float32(-np.inf)
    need = _need(edge, tau)
    # If any cube is inside, the one nearest to the centre is.
    z, y, x = (shape[0] - edge) // 2, (shape[1] - edge) // 2, (shape[2] - edge) // 2
    farthest = reach(z, shape[0], edge) + reach(y, shape[1], edge) + reach(x, shape[2], edge)
    if min(shape[0], shape[1], shape[2]) < edge or farthest > squared_radius(shape[0], shape[1], shape[2]):
        raise ValueError("edge: no cube of that size fits inside the sphere inscribed in the volume")

    # Start: the best cube of a coarse grid of voxels, then the best of its neighbours.
    step = max(2, (edge + 7) // 8)
    coarse_edge = max(1, edge // step)
    coarse = volume[::step, ::step, ::step].copy()
    everywhere = max(shape[0], shape[1], shape[2])
    domain = cubes_near(shape, step, coarse_edge, edge, coarse.shape[0], (z, y, x), everywhere)
    _, start, _ = _climb(coarse, shape, step, coarse_edge, edge, _need(coarse_edge, tau), lowest, domain, number)
    if start[0] >= 0:
        z, y, x = start[0] * step, start[1] * step, start[2] * step
    level = np.float32(nth_largest(volume, z, y, x, edge, lowest, need))
    one = np.int64(1)  # compiled, a literal 1 is a type of its own: everything would be compiled twice
    domain = cubes_near(shape, one, edge, edge, shape[0], (z, y, x), step)
    level, _, _ = _climb(volume, shape, one, edge, edge, need, level, domain, number)

    domain = cubes_near(shape, one, edge, edge, shape[0], (z, y, x), everywhere)
    level, _, domain = _climb(volume, shape, one, edge, edge, need, level, domain, number)
    found = count_cubes(volume, shape, one, edge, edge, need, np.nextafter(level, lowest), domain, number)
    first = 0
    while found[first, BEST] == 0 and first < shape[0] - 1:
        first += 1
    return level, (first, np.int64(found[first, Y_FIRST]), np.int64(found[first, X_OF_FIRST]))


# Python drives the search faster than its compilation takes; this form is for compiled callers.
_compiled_search = kernel(search)
