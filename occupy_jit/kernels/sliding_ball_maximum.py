"""Sliding maximum over a ball: grey dilation with a flat structuring element.

The ball is the set of whole-voxel offsets (dz, dy, dx) with dz^2 + dy^2 + dx^2 <= radius^2, optionally cut by a
cubic box of odd edge `size`. For one (dz, dy) it is a run -h <= dx <= h, so a table of half lengths
h[|dz|, |dy|] describes it. The maximum over the ball is taken one axis after the other:

runs    R_h = maximum over |dx| <= h, each from the one before: two loads per voxel whatever h;
discs   D_k = maximum over the part of the ball in the plane |dz| = k. The discs are nested, so D_k is D_(k+1)
        and the runs that are longer in plane k than in plane k + 1;
ball    maximum over k of D_k at z - k and at z + k.

The volume is cut in blocks of a few whole rows; a block marches along z with the discs of the last planes in ring
buffers. Each step is a maximum of at most seven pieces of one buffer over a long flat range of rows, which compiles
to packed maxima. Voxels outside the volume count as minus infinity, which is the same as repeating the nearest
voxel: clamping a coordinate into the volume moves it towards the centre of the ball, no coordinate of the offset
grows, and the clamped voxel therefore lies in the ball, in the volume, and in the maximum already.
"""

import math
import numbers
import operator

import numba
import numpy as np
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import overload, register_jitable

from occupy_jit.kernels._jit import as_volume, kernel, launch, require_volume

# Rounding guard: a radius that was meant to be 3 may arrive as 2.9999999999.
GUARD = 1e-6
# Floats that the ring buffers of one block may hold (about a second-level cache) unless the block became lower than
# LOWEST rows; and then, before rows are cut.
RING = 320_000
LOWEST = 8
LARGEST = 1_000_000
# Widest piece of a row that a block takes.
WIDEST = 640
# Rows in one step: long enough for a packed loop, few enough to stay in a near cache.
STEP = 8


@register_jitable
def _half_lengths(radius, size, farthest):
    """Half lengths h[|dz|, |dy|] of the ball's runs along x, -1 where there is none; int64, (reach + 2, reach + 2).

    `size` 0 stands for a box that holds the whole ball. No offset is longer than `farthest`.
    """
    if not 0.0 < radius < np.inf:
        raise ValueError("radius: expected a positive number of voxels")
    if size != 0 and (size < 1 or size % 2 == 0):
        raise ValueError("size: expected a positive odd number of voxels, or None")
    limit = radius * radius * (1.0 + GUARD)
    reach = int(min(math.sqrt(limit), farthest))
    if size > 0:
        reach = min(reach, size // 2)
    table = np.full((reach + 2, reach + 2), -1, np.int64)
    for k in range(reach + 1):
        for d in range(reach + 1):
            rest = limit - k * k - d * d
            if rest >= 0.0:
                table[k, d] = min(int(math.sqrt(rest)), reach)
    return table


@register_jitable
def _count(table):
    """Number of voxels in the ball with these half lengths."""
    total = 0
    for k in range(table.shape[0]):
        for d in range(table.shape[1]):
            mirrored = (2 if k > 0 else 1) * (2 if d > 0 else 1)
            total += mirrored * (2 * table[k, d] + 1) if table[k, d] >= 0 else 0
    return total


@register_jitable
def _disc_terms(table):
    """What each disc is the maximum of: rows (k, h, dy) = run R_h at row y + dy, or h = -1 for disc k + 1.

    Ordered by falling k; int64, (n, 3).
    """
    reach = table.shape[0] - 2
    terms = np.empty(((reach + 1) * (2 * reach + 2), 3), np.int64)
    n = 0
    for k in range(reach, -1, -1):
        for d in range(-reach - 1, reach + 1):
            h = table[k, abs(d)]
            wanted = h > table[k + 1, abs(d)]
            if d < -reach:
                # In place of the outermost row, which is empty: are there rows that disc k + 1 has already?
                d = 0
                h = -1
                for e in range(reach + 1):
                    wanted = wanted or 0 <= table[k, e] == table[k + 1, e]
            if wanted:
                terms[n, 0], terms[n, 1], terms[n, 2] = k, h, d
                n += 1
    return terms[:n]


@kernel
def _maximum_of(target, at, source, starts, m, n, spare):
    """target[at:at + n] = maximum over the `m` pieces source[starts[j]:starts[j] + n]; spoils `starts`.

    More than seven pieces are taken seven at a time, with partial results alternating between source[spare:] and
    source[spare + n:]. Fewer than a loop takes are filled up with copies: a maximum does not mind. Positions are
    unsigned, or numba's test for negative indices turns the loads into gathers. `target` may be `source` as long as
    it overlaps no piece. Seven pieces and the target are what LLVM's run-time overlap check accepts; with more the
    loop would stay scalar.
    """
    if m == 1:
        a = starts[0]
        for i in range(n):
            target[at + i] = source[a + i]
    elif m <= 3:
        a, b, c = starts[0], starts[1], starts[m - 1]
        for i in range(n):
            u, v, w = source[a + i], source[b + i], source[c + i]
            u = u if u > v else v
            target[at + i] = u if u > w else w
    elif m <= 5:
        a, b, c, d, e = starts[0], starts[1], starts[2], starts[3], starts[m - 1]
        for i in range(n):
            u, v, w, x, y = source[a + i], source[b + i], source[c + i], source[d + i], source[e + i]
            u = u if u > v else v
            w = w if w > x else x
            u = u if u > y else y
            target[at + i] = u if u > w else w
    else:
        here, there = spare, spare + n
        while m > 0:
            # With fewer than seven pieces left the first comes more than once.
            p, q, r, s = starts[m - 1], starts[max(m - 2, 0)], starts[max(m - 3, 0)], starts[max(m - 4, 0)]
            a, b, c = starts[max(m - 5, 0)], starts[max(m - 6, 0)], starts[max(m - 7, 0)]
            final = m <= 7
            to, where = (target, at) if final else (source, here)
            for i in range(n):
                u, v, w, x = source[p + i], source[q + i], source[r + i], source[s + i]
                u = u if u > v else v
                w = w if w > x else x
                u = u if u > w else w
                v, w, x = source[a + i], source[b + i], source[c + i]
                v = v if v > w else w
                u = u if u > x else x
                to[where + i] = u if u > v else v
            if final:
                break
            m -= 6
            starts[m - 1] = here
            here, there = there, here


@kernel
def _slot(k, z, reach):
    """Which piece of the rings holds disc `k` of plane `z`.

    Ring k keeps reach + k + 1 planes: disc k of plane z is first needed for z - k, which is written when plane
    z - k + reach has arrived, and last for z + k.
    """
    return k * (reach + 1) + k * (k - 1) // 2 + z % (reach + k + 1)


@kernel
def _block(number, volume, out, cut, table, terms):
    """Write the sliding maximum of block `number`; `volume` and `out` are flat views, `cut` is of `_cut`.

    One buffer holds everything: a plane of the volume with its halo (R_0), the planes R_1, ... R_reach, three
    partial results and the rings of discs. All have rows of the same length, so a shift in y is a shift of position.
    """
    nz, ny, nx, deep, down, across = cut[0], cut[1], cut[2], cut[3], cut[4], cut[5]
    reach = table.shape[0] - 2
    i, j, k = number % deep, number // deep % down, number // (deep * down)
    z0, z1 = nz * i // deep, nz * (i + 1) // deep
    y0, y1 = ny * j // down, ny * (j + 1) // down
    x0, x1 = nx * k // across, nx * (k + 1) // across
    left, right = min(reach, x0), min(reach, nx - x1)
    height, width = y1 - y0, x1 - x0
    pad = (reach + 15) // 16 * 16
    row = pad + (width + reach + 15) // 16 * 16
    plane = 2 * pad + (height + 2 * reach) * row
    piece = height * row
    spare = (reach + 1) * plane
    rings = spare + 3 * piece
    buffer = np.empty(rings + _slot(reach + 1, np.int64(0), reach) * piece + 16, np.float32)
    buffer = buffer[-buffer.ctypes.data // 4 % 16:]
    for i in range(plane):
        buffer[i] = -np.inf
    starts = np.empty(2 * reach + 2, np.uint64)

    for z_in in range(max(z0 - reach, 0), z1 + reach):
        ready = 0
        for first in range(0, height if z_in < nz else 0, STEP):
            # The plane and its runs, as far as the discs of the next rows reach.
            last = min(first + STEP, height)
            for h in range(max(ready, reach - y0), min(last + 2 * reach, ny - y0 + reach)):
                starts[0] = (z_in * ny + y0 - reach + h) * nx + x0 - left
                _maximum_of(buffer, np.uint64(2 * pad + h * row - left), volume, starts, np.int64(1),
                            np.uint64(left + width + right), np.uint64(0))
            at = pad + ready * row
            for h in range(1, reach + 1):
                starts[0] = (h - 1) * plane + at - 1
                starts[1] = (h - 1) * plane + at + 1
                starts[2] = at
                _maximum_of(buffer, np.uint64(h * plane + at), buffer, starts, 3 if h == 1 else 2,
                            np.uint64((last + 2 * reach - ready) * row), np.uint64(spare))
            ready = last + 2 * reach
            m = 0
            for t in range(terms.shape[0]):
                k, h = terms[t, 0], terms[t, 1]
                if h >= 0:
                    starts[m] = h * plane + pad + (first + reach + terms[t, 2]) * row
                else:
                    starts[m] = rings + _slot(k + 1, z_in, reach) * piece + first * row
                m += 1
                if t + 1 == terms.shape[0] or terms[t + 1, 0] != k:
                    _maximum_of(buffer, np.uint64(rings + _slot(k, z_in, reach) * piece + first * row), buffer, starts,
                                m, np.uint64((last - first) * row), np.uint64(spare))
                    m = 0

        z = z_in - reach
        if z >= z0:
            m = 0
            for k in range(-reach, reach + 1):
                if 0 <= z + k < nz:
                    starts[m] = rings + _slot(abs(k), z + k, reach) * piece + pad
                    m += 1
            if m > 7:
                # All but the last six in one long range, so that the short rows of `out` need one loop each.
                _maximum_of(buffer, np.uint64(spare + pad), buffer, starts, m - 6, np.uint64(piece - pad),
                            np.uint64(spare + piece))
                for j in range(6):
                    starts[j] = starts[m - 6 + j]
                starts[6] = spare + pad
                m = 7
            for y in range(y0, y1):
                _maximum_of(out, np.uint64((z * ny + y) * nx + x0), buffer, starts, m, np.uint64(width), np.uint64(0))
                for j in range(m):
                    starts[j] += np.uint64(row)


@register_jitable
def _cut(shape, reach, threads):
    """How the volume is cut: its shape and the numbers of blocks along z, y and x; int64, (6,).

    Rows stay whole if they can, since memory is read faster so; the height fits the rings into RING floats; and z
    is cut only when there would be too few blocks for the threads, since each cut costs 2 reach planes done twice.
    Results do not depend on the cut: it changes where, not in which order, values meet.
    """
    nz, ny, nx = shape
    slots = _slot(reach + 1, 0, reach)
    across = max(-(-nx // WIDEST), -(-nx * slots * LOWEST // LARGEST))
    row = -(-nx // across) + 2 * reach + 16
    height = min(max(RING // (slots * row), LOWEST), 32)
    down = -(-ny // height)
    deep = min(-(-4 * threads // (down * across)), max(nz // (4 * reach + 4), 1)) if threads > 1 else 1
    return np.array([nz, ny, nx, deep, down, across])


def _all_blocks(volume, out, cut, table, terms):
    for number in numba.prange(cut[3] * cut[4] * cut[5]):
        # The same types in parallel and in serial code: not compiled twice.
        _block(np.int64(number), volume, out, cut, table, terms)


_parallel = kernel(_all_blocks, parallel=True)
_serial = kernel(_all_blocks)


def _checked(volume, radius, size, out):
    """Arguments of the public functions as the kernels want them: volume, radius, size (0 for None), out."""
    volume = as_volume(volume)
    if not isinstance(radius, numbers.Real):
        raise TypeError(f"radius: expected a real number, got {type(radius).__name__}")
    size = 0 if size is None else operator.index(size) or -1
    if out is None:
        out = np.empty_like(volume)
    elif not (isinstance(out, np.ndarray) and out.dtype == np.float32 and out.flags.c_contiguous
              and out.flags.writeable):
        raise TypeError("out: expected a writeable C-contiguous float32 array")
    elif out.shape != volume.shape:
        raise ValueError(f"out: expected shape {volume.shape}, got {out.shape}")
    elif np.may_share_memory(out, volume):
        raise ValueError("out: shares memory with volume")
    return volume, float(radius), size, out


@register_jitable
def _plan(shape, radius, size, threads):
    """What the kernels need to know about the ball and the volume: cut, table, terms."""
    table = _half_lengths(radius, size, max(shape) - 1)
    return _cut(shape, table.shape[0] - 2, threads), table, _disc_terms(table)


def ball_voxels(radius, size=None):
    """Number of voxels in the ball: n_v.

    Parameters
    ----------
    radius : float
        Voxels with an offset of at most this length count; in voxels, above 0, may be fractional.
    size : int, optional
        Odd edge, in voxels, of the box that limits the ball. By default the box holds the whole ball.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        If `radius` is not a positive number, or `size` not a positive odd one.
    """
    if not isinstance(radius, numbers.Real):
        raise TypeError(f"radius: expected a real number, got {type(radius).__name__}")
    return int(_count(_half_lengths(float(radius), 0 if size is None else operator.index(size) or -1, np.inf)))


def sliding_maximum(volume, radius, size=None, out=None):
    """Maximum of `volume` over a ball around each voxel, on numba's threads.

    Outside the volume the nearest voxel repeats, so that an edge never creates a maximum. The result is exact and
    does not depend on the number of threads. Inside compiled code `volume` and
    `out` must be C-contiguous float32 arrays that share no memory.

    Parameters
    ----------
    volume : ndarray, (nz, ny, nx)
        Real numbers, none of them NaN. Anything but C-contiguous float32 is converted, once.
    radius : float
        The ball is all voxels with an offset of at most this length (with a guard against rounding: 3 includes
        (3, 0, 0)); in voxels, above 0, may be fractional.
    size : int, optional
        Odd edge, in voxels, of a cubic box that limits the ball. By default the box holds the whole ball.
    out : ndarray, float32, C-contiguous, (nz, ny, nx), optional
        Where to put the result; not `volume` itself.

    Returns
    -------
    ndarray, float32, (nz, ny, nx)
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described above.
    """
    volume, radius, size, out = _checked(volume, radius, size, out)
    if volume.size:
        cut, table, terms = _plan(volume.shape, radius, size, numba.config.NUMBA_NUM_THREADS)
        launch(_parallel, volume.reshape(-1), out.reshape(-1), cut, table, terms)
    return out


def sliding_maximum_serial(volume, radius, size=None, out=None):
    """`sliding_maximum` on the calling thread alone, without the interpreter's lock; the result is the same."""
    volume, radius, size, out = _checked(volume, radius, size, out)
    if volume.size:
        cut, table, terms = _plan(volume.shape, radius, size, 1)
        _serial(volume.reshape(-1), out.reshape(-1), cut, table, terms)
    return out


@overload(ball_voxels)
def _ball_voxels_compiled(radius, size=None):
    def implementation(radius, size=None):
        box = 0
        if size is not None:
            box = size if size != 0 else -1
        return _count(_half_lengths(float(radius), box, np.inf))
    return implementation


def _compiled(function, run, threads):
    """Make `function` callable from compiled code, where `run` does the work."""
    @overload(function)
    def factory(volume, radius, size=None, out=None):
        require_volume(volume)
        if not isinstance(radius, types.Float | types.Integer):
            raise TypingError(f"radius: expected a real number, got {radius}")
        if not (size is None or isinstance(size, types.NoneType | types.Omitted | types.Integer)):
            raise TypingError(f"size: expected an integer or None, got {size}")
        if not (out is None or isinstance(out, types.NoneType | types.Omitted)):
            require_volume(out, "out")

        def implementation(volume, radius, size=None, out=None):
            box = 0
            if size is not None:
                box = size if size != 0 else -1
            if out is None:
                result = np.empty_like(volume)
            else:
                result = out
                if out.shape != volume.shape:
                    raise ValueError("out: expected the shape of volume")
            if volume.size > 0:
                cut, table, terms = _plan(volume.shape, float(radius), box, threads)
                run(volume.reshape(-1), result.reshape(-1), cut, table, terms)
            return result
        return implementation


_compiled(sliding_maximum, _parallel, numba.config.NUMBA_NUM_THREADS)
_compiled(sliding_maximum_serial, _serial, 1)
