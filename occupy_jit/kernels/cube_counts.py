"""Numbers of voxels above a threshold in all cubes inside the inscribed sphere of a volume.

Three running sums (along z, y and x), whose cost does not depend on the edge of the cubes. Only integers are added,
so results do not depend on order or number of threads. Lengths are in half voxels from the centre, see `sphere`.

The same code runs on a grid of every `step`-th voxel, where a cube of `edge` grid points stands for
the cube of `full_edge` voxels at the same corner.
"""

import math
from typing import Any

import numba
import numpy as np
from numba.extending import overload, register_jitable

from occupy_jit.kernels.grid.sphere import squared_radius
from occupy_jit.kernels.jit.decorator import kernel, launch

# Columns of the table with one row per plane of cube corners: the rectangle of cubes that pass
# (inclusive; empty if the first exceeds the last), x of the first one in [y, x] order, the
# largest number of voxels above the threshold in one cube, and where that cube is.
Y_FIRST, Y_LAST, X_FIRST, X_LAST, X_OF_FIRST, BEST, Y_BEST, X_BEST, _COLUMNS = range(9)

# Least number of voxels in the rectangles of a slab for another thread.
WORK_PER_SLAB = 1_000_000


@kernel
def reach(corner: Any, n: Any, edge: Any) -> Any:
    """Squared distance from the centre of the axis to the farther end of corner .. corner + edge - 1."""
    return max(n - 1 - 2 * corner, 2 * (corner + edge) - n - 1) ** 2


@kernel
def span(n: Any, edge: Any, room: Any, step: Any) -> tuple[Any, Any]:
    """First and last grid point whose `reach` is at most `room`; the last is before the first if none."""
    if room < 0:
        return 0, -1
    radius = int(math.sqrt(room))
    return ((n - radius) // 2 + step - 1) // step, ((n - 1 + radius) // 2 - edge + 1) // step


@kernel
def nth_largest(volume: Any, z: Any, y: Any, x: Any, edge: Any, bar: Any, rank: Any) -> Any:
    """The `rank`-th largest value of a cube, which holds at least `rank` values above `bar`."""
    values = np.empty(edge**3, np.float32)
    n = 0
    for i in range(z, z + edge):
        for j in range(y, y + edge):
            for k in range(x, x + edge):
                values[n] = volume[i, j, k]
                if values[n] > bar:
                    n += 1
    # These integers have the order of the floats and can be bisected in at most 32 counts.
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
    room = squared_radius(shape[0], shape[1], shape[2]) - reach(plane * step, shape[0], 1)
    for row in range(sums.shape[0]):
        first, last = span(shape[2], 1, room - reach((row + y_first) * step, shape[1], 1), step)
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
        found[z, Y_LAST] = -1
        if domain[z, Y_FIRST] <= domain[z, Y_LAST]:
            y_first, y_last = min(y_first, domain[z, Y_FIRST]), max(y_last, domain[z, Y_LAST])
            x_first, x_last = min(x_first, domain[z, X_FIRST]), max(x_last, domain[z, X_LAST])
    if y_last < y_first:
        return
    # Along z, for every column of the rectangle. Voxels outside the sphere are in no cube.
    sums = np.zeros((y_last - y_first + edge, x_last - x_first + edge), np.int16)
    rows = np.empty(sums.shape[1], np.int32)
    held = -edge
    for z in range(start, stop):
        if domain[z, Y_FIRST] > domain[z, Y_LAST]:
            continue
        end = held + edge
        if 2 * (z - held) > edge:  # farther than half a cube: a new sum is cheaper
            sums[:] = 0
            held = end = z
        for plane in range(held, z):
            _add_plane(volume, plane, np.int16(-1), bar, shape, step, y_first, x_first, sums)
        for plane in range(end, z + edge):
            _add_plane(volume, plane, np.int16(1), bar, shape, step, y_first, x_first, sums)
        held = z

        room = squared_radius(shape[0], shape[1], shape[2]) - reach(z * step, shape[0], full_edge)
        y_low, y_high = span(shape[1], full_edge, room, step)
        y_low, y_high = max(y_low, domain[z, Y_FIRST]), min(y_high, domain[z, Y_LAST])
        left, right = span(shape[2], full_edge, room, step)
        left, right = max(left, domain[z, X_FIRST]) - x_first, min(right, domain[z, X_LAST]) - x_first + edge
        if y_low > y_high:
            continue
        # Along y, then along x. Slices, because loops only vectorise with indices from 0 to n.
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
            x_low, x_high = span(shape[2], full_edge, room - reach(y * step, shape[1], full_edge), step)
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
                            found[z, Y_FIRST] = y
                            found[z, X_OF_FIRST] = found[z, X_FIRST] = found[z, X_LAST] = x
                        found[z, Y_LAST] = y
                        found[z, X_FIRST] = min(found[z, X_FIRST], x)
                        found[z, X_LAST] = max(found[z, X_LAST], x)
                        if count > found[z, BEST]:
                            found[z, BEST], found[z, Y_BEST], found[z, X_BEST] = count, y, x
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
        if domain[z, Y_FIRST] <= domain[z, Y_LAST]:
            planes += 1
            work[z + 1] += ((domain[z, Y_LAST] - domain[z, Y_FIRST] + edge)
                            * (domain[z, X_LAST] - domain[z, X_FIRST] + edge))
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
def count_cubes(volume: np.ndarray, shape: tuple[int, int, int], step: int, edge: int, full_edge: int, need: int,
                bar: float, domain: np.ndarray, number: int) -> np.ndarray:
    """`_count_planes` for all planes, on at most `number` threads."""
    found = np.empty_like(domain)
    cuts = _cuts(domain, edge, number, WORK_PER_SLAB)
    if cuts.size == 2:
        _count_planes(volume, shape, step, edge, full_edge, need, bar, domain, 0, domain.shape[0], found)
    else:
        _launch_slabs(volume, shape, step, edge, full_edge, need, bar, domain, cuts, found)
    return found


@kernel
def cubes_near(shape: Any, step: Any, edge: Any, full_edge: Any, planes: Any, corner: Any, within: Any) -> Any:
    """Domain of the cubes inside the sphere whose corners differ from `corner` by at most `within` on every axis."""
    domain = np.zeros((planes, _COLUMNS), np.int32)
    domain[:, Y_LAST] = -1
    first, last = span(shape[0], full_edge, squared_radius(shape[0], shape[1], shape[2]), step)
    for z in range(max(first, corner[0] - within), min(last, corner[0] + within) + 1):
        room = squared_radius(shape[0], shape[1], shape[2]) - reach(z * step, shape[0], full_edge)
        y_first, y_last = span(shape[1], full_edge, room, step)
        y_first, y_last = max(y_first, corner[1] - within), min(y_last, corner[1] + within)
        x_first, x_last = span(shape[2], full_edge, room, step)
        x_first, x_last = max(x_first, corner[2] - within), min(x_last, corner[2] + within)
        if y_first <= y_last and x_first <= x_last:
            domain[z, Y_FIRST], domain[z, Y_LAST] = y_first, y_last
            domain[z, X_FIRST], domain[z, X_LAST] = x_first, x_last
    return domain
