"""The value at full scale: the largest quantile over every cube inside the inscribed sphere.

A cube of w^3 voxels has its tau-quantile above t exactly if at least ``need`` of its voxels are
above t. Numbers of voxels above t come for every cube position from three running sums (along z,
y and x) whose cost does not depend on w. So: take a good t, count, take the fullest cube, select
its quantile exactly, which is the next t, and count again only where cubes still pass, until none
does. Only integers are added, hence neither the order nor the number of threads can matter.

Geometry is kept in doubled coordinates, where the centre of the box and every voxel centre are
integers: voxel i of an axis of n lies at 2 i - (n - 1), and the sphere has radius min(shape).

The same code runs on a grid of every `step`-th voxel, where a cube of `edge` grid points stands for
the cube of `full_edge` voxels at the same corner. It only serves to find a good first t.
"""

import math
import numbers
import operator

import numba
import numpy as np
from numba.extending import overload, register_jitable

from occupy_jit.kernels.jit.decorator import as_volume, kernel, launch, require_volume, threads

# Columns of the table with one row per plane of cube corners: the rectangle of cubes that pass
# (inclusive; empty if the first exceeds the last), x of the first one in [y, x] order, the
# largest number of voxels above the threshold in one cube, and where that cube is.
_Y_FIRST, _Y_LAST, _X_FIRST, _X_LAST, _X_OF_FIRST, _BEST, _Y_BEST, _X_BEST, _COLUMNS = range(9)

# Voxels in the rectangles of a slab below which another thread does not pay.
_WORK_PER_SLAB = 1_000_000


def full_scale_tau(n_v):
    """Quantile that balances over- and under-estimation for a maximum over `n_v` draws.

    The root in (0, 1) of ``tau**n_v + tau - 1``: with it the chance that the largest of `n_v`
    draws exceeds the tau-quantile of what they are drawn from equals tau.

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


def tile_edge(shape, voxel_size, tile_size_angstrom=30.0):
    """Edge in voxels of the cubes whose quantile defines full scale.

    Parameters
    ----------
    shape : tuple of 3 int
        Box [z, y, x] in voxels.
    voxel_size : float
        Å per voxel.
    tile_size_angstrom : float
        Wanted edge, Å.

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
    # the shortest side always fits; for an edge of one voxel see _limit. Limit first: the ratio may be huge.
    most = max(1, min(shape) // 4)
    wanted = min(tile_size_angstrom / voxel_size, most)
    return int(min(max(5, math.floor(wanted + 0.5)), most))


def largest_quantile(volume, edge, tau):
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
        value, corner = _search(volume, edge, float(tau), number)
    return np.float32(value), (int(corner[0]), int(corner[1]), int(corner[2]))


@overload(largest_quantile)
def _largest_quantile_compiled(volume, edge, tau):
    require_volume(volume)
    # Asking for the number of threads in compiled code would keep the caller's code out of the cache.
    number = numba.config.NUMBA_NUM_THREADS
    return lambda volume, edge, tau: _compiled_search(volume, np.int64(edge), float(tau), np.int64(number))


@register_jitable
def _need(edge, tau):
    """Number of voxels above t that puts the quantile of a cube above t."""
    size = edge**3
    # tau * size may come out as 26.9999999 where 27 is meant.
    return size - min(int(math.floor(tau * size + 1e-6)), size - 1)


@kernel
def _limit(shape):
    """Squared radius of the inscribed sphere, doubled coordinates.

    At least 2, which matters for boxes 1 x even x even only: otherwise they would have no voxel inside.
    """
    return max(min(shape[0], shape[1], shape[2]) ** 2, 2)


@kernel
def _reach(corner, n, edge):
    """Squared distance from the centre of the axis to the farther end of corner .. corner + edge - 1."""
    return max(n - 1 - 2 * corner, 2 * (corner + edge) - n - 1) ** 2


@kernel
def _span(n, edge, room, step):
    """First and last grid point whose `_reach` is at most `room`; the last is before the first if none."""
    if room < 0:
        return 0, -1
    radius = int(math.sqrt(room))
    return ((n - radius) // 2 + step - 1) // step, ((n - 1 + radius) // 2 - edge + 1) // step


@kernel
def _nth_largest(volume, z, y, x, edge, bar, rank):
    """The `rank`-th largest value of a cube, which holds at least `rank` values above `bar`."""
    values = np.empty(edge**3, np.float32)
    n = 0
    for i in range(z, z + edge):
        for j in range(y, y + edge):
            for k in range(x, x + edge):
                values[n] = volume[i, j, k]
                if values[n] > bar:
                    n += 1
    # Floats order like these integers, and integers can be bisected: always at most 32 countings.
    keys = values.view(np.int32)
    low, high = np.int64(2**31 - 1), np.int64(-(2**31))
    for i in range(n):
        key = keys[i] ^ ((keys[i] >> 31) & 0x7FFFFFFF)
        keys[i] = key
        low = min(low, np.int64(key))
        high = max(high, np.int64(key))
    while low < high:
        middle = (low + high + 1) >> 1
        pivot = np.int32(middle)
        above = 0
        for i in range(n):
            above += keys[i] >= pivot
        if above >= rank:
            low = middle
        else:
            high = middle - 1
    keys[0] = low ^ ((low >> 31) & 0x7FFFFFFF)
    return values[0] + np.float32(0)  # a zero is +0


@kernel
def _add_plane(volume, plane, change, bar, shape, step, y_first, x_first, sums):
    """Add `change` to `sums` wherever a voxel of the plane is inside the sphere and above `bar`."""
    room = _limit(shape) - _reach(plane * step, shape[0], 1)
    for row in range(sums.shape[0]):
        first, last = _span(shape[2], 1, room - _reach((row + y_first) * step, shape[1], 1), step)
        first = max(first, x_first)
        n = min(last + 1, x_first + sums.shape[1]) - first
        if n > 0:
            source = volume[plane, row + y_first, first:first + n]
            target = sums[row, first - x_first:first - x_first + n]
            for i in range(n):
                target[i] += change if source[i] > bar else np.int16(0)


@kernel
def _count_planes(volume, shape, step, edge, full_edge, need, bar, domain, start, stop, found):
    """For corner planes start .. stop - 1 fill `found`: the cubes of `domain` with >= need voxels > bar."""
    y_first, y_last, x_first, x_last = volume.shape[1], -1, volume.shape[2], -1
    for z in range(start, stop):
        found[z] = 0
        found[z, _Y_LAST] = -1
        if domain[z, _Y_FIRST] <= domain[z, _Y_LAST]:
            y_first, y_last = min(y_first, domain[z, _Y_FIRST]), max(y_last, domain[z, _Y_LAST])
            x_first, x_last = min(x_first, domain[z, _X_FIRST]), max(x_last, domain[z, _X_LAST])
    if y_last < y_first:
        return
    # Along z, for every column of the rectangle. Voxels outside the sphere never enter, no cube holds any.
    sums = np.zeros((y_last - y_first + edge, x_last - x_first + edge), np.int16)
    rows = np.empty(sums.shape[1], np.int32)
    held = -edge
    for z in range(start, stop):
        if domain[z, _Y_FIRST] > domain[z, _Y_LAST]:
            continue
        end = held + edge
        if 2 * (z - held) > edge:  # farther than half a cube: cheaper anew
            sums[:] = 0
            held = end = z
        for plane in range(held, z):
            _add_plane(volume, plane, np.int16(-1), bar, shape, step, y_first, x_first, sums)
        for plane in range(end, z + edge):
            _add_plane(volume, plane, np.int16(1), bar, shape, step, y_first, x_first, sums)
        held = z

        room = _limit(shape) - _reach(z * step, shape[0], full_edge)
        y_low, y_high = _span(shape[1], full_edge, room, step)
        y_low, y_high = max(y_low, domain[z, _Y_FIRST]), min(y_high, domain[z, _Y_LAST])
        left, right = _span(shape[2], full_edge, room, step)
        left, right = max(left, domain[z, _X_FIRST]) - x_first, min(right, domain[z, _X_LAST]) - x_first + edge
        if y_low > y_high:
            continue
        # Along y, and from there along x. Slices, since only indices from 0 to n let the loops vectorise.
        passed = False
        width = right - left
        row = rows[:width]
        row[:] = 0
        for y in range(y_low, y_low + edge - 1):
            entering = sums[y - y_first, left:right]
            for i in range(width):
                row[i] += entering[i]
        for y in range(y_low, y_high + 1):
            entering = sums[y - y_first + edge - 1, left:right]
            total = 0
            for i in range(width):
                row[i] += entering[i]
                total += row[i]
            x_low, x_high = _span(shape[2], full_edge, room - _reach(y * step, shape[1], full_edge), step)
            x_low, x_high = max(x_low - x_first, left), min(x_high - x_first, right - edge)
            n = x_high - x_low + 1
            if total >= need and n > 0:
                behind = row[x_low - left:]
                ahead = row[x_low - left + edge - 1:]
                count = 0
                for i in range(edge - 1):
                    count += behind[i]
                for i in range(n):
                    count += ahead[i]
                    if count >= need:
                        x = i + x_low + x_first
                        if not passed:
                            passed = True
                            found[z, _Y_FIRST] = y
                            found[z, _X_OF_FIRST] = found[z, _X_FIRST] = found[z, _X_LAST] = x
                        found[z, _Y_LAST] = y
                        found[z, _X_FIRST] = min(found[z, _X_FIRST], x)
                        found[z, _X_LAST] = max(found[z, _X_LAST], x)
                        if count > found[z, _BEST]:
                            found[z, _BEST], found[z, _Y_BEST], found[z, _X_BEST] = count, y, x
                    count -= behind[i]
            leaving = sums[y - y_first, left:right]
            for i in range(width):
                row[i] -= leaving[i]


@kernel(parallel=True)
def _count_slabs(volume, shape, step, edge, full_edge, need, bar, domain, cuts, found):
    for slab in numba.prange(cuts.size - 1):
        _count_planes(volume, shape, step, edge, full_edge, need, bar, domain, cuts[slab], cuts[slab + 1], found)


def _launch_slabs(*arguments):
    launch(_count_slabs, *arguments)


@overload(_launch_slabs)
def _launch_slabs_compiled(*arguments):
    return lambda *arguments: _count_slabs(*arguments)


@kernel
def _cuts(domain, edge, number, least):
    """Cut the planes into at most `number` slabs of about equal work, on average not below `least`.

    Slab i is planes cuts[i] .. cuts[i + 1] - 1.
    """
    work = np.zeros(domain.shape[0] + 1, np.int64)
    planes = 0
    for z in range(domain.shape[0]):
        work[z + 1] = work[z]
        if domain[z, _Y_FIRST] <= domain[z, _Y_LAST]:
            planes += 1
            work[z + 1] += ((domain[z, _Y_LAST] - domain[z, _Y_FIRST] + edge)
                            * (domain[z, _X_LAST] - domain[z, _X_FIRST] + edge))
    # Every slab first has to add up `edge` planes of its own, so none is made thinner than half of that;
    # and waking a thread can take longer than a small count.
    slabs = max(1, min(number, 2 * planes // edge, work[-1] // least))
    cuts = np.empty(slabs + 1, np.int64)
    z = 0
    for slab in range(slabs):
        while work[z] * slabs < work[-1] * slab:
            z += 1
        cuts[slab] = z
    cuts[slabs] = domain.shape[0]
    return cuts


@register_jitable
def _count(volume, shape, step, edge, full_edge, need, bar, domain, number):
    """`_count_planes` for all planes, on at most `number` threads."""
    found = np.empty_like(domain)
    cuts = _cuts(domain, edge, number, _WORK_PER_SLAB)
    if cuts.size == 2:
        _count_planes(volume, shape, step, edge, full_edge, need, bar, domain, 0, domain.shape[0], found)
    else:
        _launch_slabs(volume, shape, step, edge, full_edge, need, bar, domain, cuts, found)
    return found


@kernel
def _cubes(shape, step, edge, full_edge, planes, corner, within):
    """Domain of the cubes inside the sphere whose corners differ from `corner` by at most `within` on every axis."""
    domain = np.zeros((planes, _COLUMNS), np.int32)
    domain[:, _Y_LAST] = -1
    first, last = _span(shape[0], full_edge, _limit(shape), step)
    for z in range(max(first, corner[0] - within), min(last, corner[0] + within) + 1):
        room = _limit(shape) - _reach(z * step, shape[0], full_edge)
        y_first, y_last = _span(shape[1], full_edge, room, step)
        y_first, y_last = max(y_first, corner[1] - within), min(y_last, corner[1] + within)
        x_first, x_last = _span(shape[2], full_edge, room, step)
        x_first, x_last = max(x_first, corner[2] - within), min(x_last, corner[2] + within)
        if y_first <= y_last and x_first <= x_last:
            domain[z, _Y_FIRST], domain[z, _Y_LAST] = y_first, y_last
            domain[z, _X_FIRST], domain[z, _X_LAST] = x_first, x_last
    return domain


@register_jitable
def _climb(volume, shape, step, edge, full_edge, need, level, domain, number):
    """Raise `level` to the largest quantile in `domain`, one of whose cubes reaches `level`.

    Returns the new level, the cube last selected (-1 if there is none) and a smaller domain that
    still holds every cube of the given one whose quantile is at least the new level.
    """
    z = y = x = -1
    bar = np.nextafter(level, np.float32(-np.inf))
    while True:
        found = _count(volume, shape, step, edge, full_edge, need, bar, domain, number)
        best = np.argmax(found[:, _BEST])
        if found[best, _BEST] == 0:
            return level, (z, y, x), domain
        z, y, x = best, np.int64(found[best, _Y_BEST]), np.int64(found[best, _X_BEST])
        level = bar = np.float32(_nth_largest(volume, z, y, x, edge, bar, need))
        domain = found


@register_jitable
def _search(volume, edge, tau, number):
    if not 1 <= edge <= 1290:  # more voxels than that, cubed, are beyond 32 bits
        raise ValueError("edge: expected 1 to 1290 voxels")
    if not (tau >= 0 and tau <= 1):
        raise ValueError("tau: expected a number from 0 to 1")
    shape = volume.shape
    lowest = np.float32(-np.inf)
    need = _need(edge, tau)
    # If any cube is inside, the one nearest to the centre is.
    z, y, x = (shape[0] - edge) // 2, (shape[1] - edge) // 2, (shape[2] - edge) // 2
    if min(shape[0], shape[1], shape[2]) < edge or (
            _reach(z, shape[0], edge) + _reach(y, shape[1], edge) + _reach(x, shape[2], edge) > _limit(shape)):
        raise ValueError("edge: no cube of that size fits inside the sphere inscribed in the volume")

    # Where to start: the best cube of a coarse grid of voxels, and then the best of its neighbours.
    step = max(2, (edge + 7) // 8)
    coarse_edge = max(1, edge // step)
    coarse = volume[::step, ::step, ::step].copy()
    everywhere = max(shape[0], shape[1], shape[2])
    domain = _cubes(shape, step, coarse_edge, edge, coarse.shape[0], (z, y, x), everywhere)
    _, start, _ = _climb(coarse, shape, step, coarse_edge, edge, _need(coarse_edge, tau), lowest, domain, number)
    if start[0] >= 0:
        z, y, x = start[0] * step, start[1] * step, start[2] * step
    level = np.float32(_nth_largest(volume, z, y, x, edge, lowest, need))
    one = np.int64(1)  # compiled, a literal 1 is a type of its own: everything would be compiled twice
    domain = _cubes(shape, one, edge, edge, shape[0], (z, y, x), step)
    level, _, _ = _climb(volume, shape, one, edge, edge, need, level, domain, number)

    domain = _cubes(shape, one, edge, edge, shape[0], (z, y, x), everywhere)
    level, _, domain = _climb(volume, shape, one, edge, edge, need, level, domain, number)
    found = _count(volume, shape, one, edge, edge, need, np.nextafter(level, lowest), domain, number)
    first = 0
    while found[first, _BEST] == 0 and first < shape[0] - 1:
        first += 1
    return level, (first, np.int64(found[first, _Y_FIRST]), np.int64(found[first, _X_OF_FIRST]))


# Python alone drives the search faster than it compiles; this is for callers that are compiled themselves.
_compiled_search = kernel(_search)
