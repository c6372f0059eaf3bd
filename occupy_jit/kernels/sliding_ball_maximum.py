"""Sliding maximum over a ball: grey dilation with a flat structuring element.

The ball is the set of whole-voxel offsets (dz, dy, dx) with dz^2 + dy^2 + dx^2 <= radius^2, optionally cut by a
cubic box of odd edge `size`. For one (dz, dy) it is a run -h <= dx <= h, so a table of half lengths
h[|dz|, |dy|] describes it. The maximum over the ball is taken one axis after the other:

runs    R_h = maximum over |dx| <= h, each from the one before: two loads per voxel whatever h;
discs   D_k = maximum over the part of the ball in the plane |dz| = k. The discs are nested, so D_k is D_(k+1)
        and the runs that are longer in plane k than in plane k + 1;
ball    as soon as plane z' has its discs, D_|z - z'| enters the running maximum of every plane z within reach. Two
        planes are entered at once, which halves the traffic to the 2 reach + 2 running maxima.

The volume is cut in blocks of a few whole rows; a block marches along z, a few rows at a time. Each step is a maximum
of pieces of one buffer over a long flat range, taken in registers: 64 voxels stay there while all pieces pass.
Voxels outside the volume count as minus infinity, which is the same as repeating the nearest voxel: clamping a
coordinate into the volume moves it towards the centre of the ball, no coordinate of the offset grows, and the
clamped voxel therefore lies in the ball, in the volume, and in the maximum already.
"""

import math
import numbers
import operator
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload, register_jitable

from occupy_jit.kernels.grid.arguments import as_volume, require_volume
from occupy_jit.kernels.jit.decorator import kernel, launch

# Rounding guard: a radius that was meant to be 3 may arrive as 2.9999999999.
GUARD = 1e-6
# Floats that the buffer of a block should hold (somewhat more than a second-level cache, for most of it is visited in
# long runs), and that blocks narrower than a row are made for: narrow pieces of rows come slowly from memory.
BUFFER = 350_000
LARGEST = 1_500_000
# Largest number of rows of a block, and largest width of a piece of a row.
HIGHEST = 64
WIDEST = 640
# Rows in one step: fewer make memory reads too short for full speed; more are not faster.
STEP = 32
# Two planes are entered at once if the runs of two fit a cache.
PAIRS_TO = 10
# Floats in a line of cache.
LINE = 16


class _Cut(NamedTuple):
    """Cut of a volume: its shape, the numbers of blocks along z, y and x, and the planes entered at once."""

    nz: int
    ny: int
    nx: int
    deep: int
    down: int
    across: int
    planes: int


class _Terms(NamedTuple):
    """Pieces of the maximum of each disc.

    Attributes
    ----------
    run, dy, dx : (n,) int64 arrays
        Pieces: run R_run at row y + dy and column x + dx. Those of disc `reach` come first, of disc 0 last.
    ends : (reach + 1,) int64 array
        For disc k, the number of pieces of it and all before.
    nested : (reach + 1,) int64 array
        1 if disc k + 1 is part of disc k in addition, else 0.
    """

    run: np.ndarray
    dy: np.ndarray
    dx: np.ndarray
    ends: np.ndarray
    nested: np.ndarray


class _Entries(NamedTuple):
    """Planes of the result that the discs of one or two planes of the volume enter; (n,) int64 arrays.

    Attributes
    ----------
    at : where in the buffer the plane's running maximum is
    first, last : the pieces that enter, as places in the list of offsets, and one past the last
    starts : 1 if they are the first to enter, else 0
    complete : the plane's z if they are the last to enter, else -1
    """

    at: np.ndarray
    first: np.ndarray
    last: np.ndarray
    starts: np.ndarray
    complete: np.ndarray


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


def _strip(width):
    """Function that takes the maximum over pieces of `width` floats each.

    target[at:at + width] = maximum of source[first:first + width] and, for start <= j < stop, the pieces of `source`
    that begin at base + offsets[j]. The pieces are read before the target is written.

    Compiled, `width` floats stay in registers for any number of pieces; loops that the compiler
    vectorises by itself do that for a number known in advance only. Positions are not checked.
    """
    def interpreted(target, at, source, first, base, offsets, start, stop):
        best = source[first:first + width].copy()
        for j in range(start, stop):
            piece = source[base + offsets[j]:base + offsets[j] + width]
            np.copyto(best, piece, where=~(best > piece))
        target[at:at + width] = best

    if numba.config.DISABLE_JIT:
        return interpreted
    lanes = min(width, LINE)
    index, vector = ir.IntType(64), ir.VectorType(ir.FloatType(), lanes)

    @intrinsic
    def compiled(typing_context, target, at, source, first, base, offsets, start, stop):
        def generate(context, builder, signature, arguments):
            _, at, _, first, base, _, start, stop = arguments
            target, source, offsets = (context.make_array(signature.args[i])(context, builder, arguments[i]).data
                                       for i in (0, 2, 5))

            def vectors(array, position):
                places = [builder.add(position, index(i)) for i in range(0, width, lanes)]
                return [builder.bitcast(builder.gep(array, [p]), vector.as_pointer()) for p in places]

            def load(position):
                # Aligned as floats are, not as vectors are.
                return [builder.load(pointer, align=4) for pointer in vectors(source, position)]

            begin = load(first)
            before = builder.block
            test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
            builder.branch(test)
            builder.position_at_end(test)
            j = builder.phi(index)
            best = [builder.phi(vector) for _ in begin]
            builder.cbranch(builder.icmp_signed("<", j, stop), body, end)
            builder.position_at_end(body)
            piece = load(builder.add(base, builder.load(builder.gep(offsets, [j]))))
            larger = [builder.select(builder.fcmp_ordered(">", b, p), b, p) for b, p in zip(best, piece, strict=True)]
            j.add_incoming(start, before)
            j.add_incoming(builder.add(j, index(1)), body)
            for b, old, new in zip(best, begin, larger, strict=True):
                b.add_incoming(old, before)
                b.add_incoming(new, body)
            builder.branch(test)
            builder.position_at_end(end)
            for b, pointer in zip(best, vectors(target, at), strict=True):
                builder.store(b, pointer, align=4)
            return context.get_dummy_value()

        number = types.int64
        return types.void(target, number, source, number, number, offsets, number, number), generate
    return compiled


_long, _short, _single = _strip(4 * LINE), _strip(LINE), _strip(1)


@kernel
def maximum_of(target: Any, at: Any, source: Any, first: Any, base: Any, offsets: Any, start: Any, stop: Any, n: Any
              ) -> None:
    """The same as `_strip` does, over pieces of `n` floats.

    `target` may be `source` if the range it begins at is that of `first` or overlaps no piece.
    """
    i = 0
    while i + 4 * LINE <= n:
        _long(target, at + i, source, first + i, base + i, offsets, start, stop)
        i += 4 * LINE
    while i < n:
        if n >= LINE:
            # The last ones may be computed twice, which does not change a maximum.
            i = min(i, n - LINE)
            _short(target, at + i, source, first + i, base + i, offsets, start, stop)
            i += LINE
        else:
            _single(target, at + i, source, first + i, base + i, offsets, start, stop)
            i += 1


@register_jitable
def _disc_terms(table):
    """The pieces of all discs: `_Terms`."""
    reach = table.shape[0] - 2
    # If only one row has the longest run, it is cheaper to compute it from shorter ones in that row only.
    longest = table[0, 0]
    lonely = longest > 0 and table[0, 1] < longest and table[1, 0] < longest
    most = (reach + 1) * (2 * reach + 1) + 2
    run, dy, dx = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    ends, nested = np.zeros(reach + 1, np.int64), np.zeros(reach + 1, np.int64)
    n = 0
    for k in range(reach, -1, -1):
        for d in range(-reach, reach + 1):
            h = table[k, abs(d)]
            if h > table[k + 1, abs(d)]:
                if lonely and h == longest:
                    # Two runs that overlap or touch, or for h = 1 three voxels.
                    for shift in range(-1, 2, 1 if h == 1 else 2):
                        run[n], dy[n], dx[n] = h - 1, d, shift
                        n += 1
                else:
                    run[n], dy[n], dx[n] = h, d, 0
                    n += 1
            elif h >= 0:
                nested[k] = 1
        ends[k] = n
    return _Terms(run[:n], dy[:n], dx[:n], ends, nested)


@register_jitable
def _up(n):
    """`n` rounded up to whole lines."""
    return (n + LINE - 1) // LINE * LINE


@kernel
def _block(number, volume, out, cut, terms):
    """Write the sliding maximum of block `number`; `volume` and `out` are flat views, `cut` is from `_cut`.

    One buffer holds everything: for each of one or two planes of the volume with their halo the runs R_0 (the plane
    itself), R_1, ..., then the discs of a few rows of these planes, then the running maxima of 2 reach + 2 planes of
    the result. All have rows of the same length, so a shift in y is a shift of position.
    """
    nz, ny, nx, deep, down, across, planes = cut
    reach = terms.ends.shape[0] - 1
    runs = 0
    for t in range(terms.run.shape[0]):
        runs = max(runs, terms.run[t] + 1)
    i, j, k = number % deep, number // deep % down, number // (deep * down)
    z0, z1 = nz * i // deep, nz * (i + 1) // deep
    y0, y1 = ny * j // down, ny * (j + 1) // down
    x0, x1 = nx * k // across, nx * (k + 1) // across
    z_end = min(z1 + reach, nz)
    left, right = min(reach, x0), min(reach, nx - x1)
    height, width = y1 - y0, x1 - x0
    # Between the voxels of two rows lies what belongs to the right of one and to the left of the other. Odd numbers
    # of lines between planes, since addresses a power of two apart compete for the same places in a cache.
    pad = _up(reach)
    row = _up(width + (reach if across == 1 else 2 * reach))
    run = LINE + pad + (height + 2 * reach) * row + LINE
    run += (1 - run // LINE % 2) * LINE
    disc = STEP * row + (1 - STEP * row // LINE % 2) * LINE
    plane = height * row + (1 - height * row // LINE % 2) * LINE
    slots = 2 * reach + planes
    discs = planes * runs * run
    sums = discs + planes * (reach + 1) * disc
    # Loops instead of numpy functions, which take long to compile.
    buffer = np.empty(sums + slots * plane + 2 * LINE, np.float32)
    buffer = buffer[-buffer.ctypes.data // 4 % LINE:]
    for i in range(buffer.size):
        buffer[i] = -np.inf

    # Where the pieces begin: first all terms of the discs, then the two neighbours along x, itself and the one to the
    # right, and then what enters the running maxima.
    n_terms = terms.run.shape[0]
    offsets = np.empty(n_terms + 2 + planes * slots, np.int64)
    for t in range(n_terms):
        offsets[t] = terms.run[t] * run + LINE + pad + (reach + terms.dy[t]) * row + terms.dx[t]
    offsets[n_terms], offsets[n_terms + 1] = 1, 2
    entries = _Entries(np.empty(slots, np.int64), np.empty(slots, np.int64), np.empty(slots, np.int64),
                       np.empty(slots, np.int64), np.empty(slots, np.int64))

    for z_in in range(max(z0 - reach, 0), z_end, planes):
        here = min(planes, z_end - z_in)
        # Planes z of the result that the discs of these planes enter.
        n_entries = 0
        last = n_terms + 2
        for z in range(max(z_in - reach, z0), min(z_in + here - 1 + reach, z1 - 1) + 1):
            entries.at[n_entries] = sums + z % slots * plane
            entries.first[n_entries] = last
            entries.starts[n_entries] = max(z - reach, 0) >= z_in
            entries.complete[n_entries] = z if min(z + reach, nz - 1) < z_in + here else -1
            for q in range(here):
                k = abs(z - z_in - q)
                if k <= reach:
                    offsets[last] = discs + (q * (reach + 1) + k) * disc
                    last += 1
            entries.last[n_entries] = last
            n_entries += 1

        ready = 0
        for y in range(0, height, STEP):
            rows = min(STEP, height - y)
            n = (rows - 1) * row + width
            for q in range(here):
                # The plane and its runs, as far as the discs of these rows reach.
                at = q * runs * run + LINE + pad
                wanted = y + rows + 2 * reach
                for i in range(max(ready, reach - y0), min(wanted, ny - y0 + reach)):
                    source = ((z_in + q) * ny + y0 - reach + i) * nx + x0 - left
                    maximum_of(buffer, at + i * row - left, volume, source, 0, offsets, 0, 0, left + width + right)
                # From the left halo of the first row, which lies before its first voxel, to the right halo of the last.
                at += ready * row - pad
                for h in range(1, runs):
                    source = at + (h - 1) * run - 1
                    maximum_of(buffer, at + h * run, buffer, source, source, offsets, n_terms + (h > 1),
                                n_terms + 2, (wanted - ready - 1) * row + pad + _up(width + reach))
                base = q * runs * run + y * row
                t = 0
                for k in range(reach, -1, -1):
                    # Disc k + 1 or the first term, and then the other terms.
                    at = discs + (q * (reach + 1) + k) * disc
                    first = at + disc
                    if terms.nested[k] == 0:
                        first = base + offsets[t]
                        t += 1
                    maximum_of(buffer, at, buffer, first, base, offsets, t, terms.ends[k], n)
                    t = terms.ends[k]
            ready = y + rows + 2 * reach
            for i in range(n_entries):
                at, t, z, last = entries.at[i] + y * row, entries.first[i], entries.complete[i], entries.last[i]
                first = at
                if entries.starts[i] == 1:
                    first = offsets[t]
                    t += 1
                if z < 0:
                    maximum_of(buffer, at, buffer, first, 0, offsets, t, last, n)
                else:
                    for j in range(rows):
                        maximum_of(out, (z * ny + y0 + y + j) * nx + x0, buffer, first + j * row, j * row, offsets,
                                    t, last, width)


@register_jitable
def _cut(shape, reach, threads):
    """Cut of the volume: `_Cut`.

    Rows stay whole if possible, which reads memory faster; the height fits the buffer into BUFFER floats, unless
    the halo became larger than the block; and z is cut only when there would be fewer blocks than threads, since each
    cut costs 2 reach planes done twice. Results do not depend on the cut.
    """
    nz, ny, nx = shape
    planes = 2 if reach <= PAIRS_TO else 1
    widest = min(max(LARGEST // (8 * reach * reach + 1), 2 * reach, 4 * LINE), WIDEST)
    across = -(-nx // widest)
    row = -(-nx // across) + 2 * reach
    height = min(max(BUFFER // (((planes + 2) * reach + 1 + planes) * row), 2 * reach, 8), HIGHEST)
    down = -(-ny // height)
    if down > threads:
        # Each thread gets as many blocks as any other.
        down = min(-(-down // threads) * threads, ny)
    deep = min(-(-threads // (down * across)), max(nz // (2 * reach + 2), 1))
    return _Cut(nz, ny, nx, deep, down, across, planes)


def _all_blocks(volume, out, cut, terms):
    for number in numba.prange(cut.deep * cut.down * cut.across):
        # The same types in parallel and in serial code: not compiled twice.
        _block(np.int64(number), volume, out, cut, terms)


_parallel_blocks = kernel(_all_blocks, parallel=True)
_serial_blocks = kernel(_all_blocks)


def _checked(volume, radius, size, out):
    """Converted arguments of the public functions: volume, radius, size (0 for None), out."""
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
def plan(shape: tuple[int, int, int], radius: float, size: int, threads: int) -> tuple[_Cut, _Terms]:
    """Cut and terms of a ball and a volume for the kernels."""
    table = _half_lengths(radius, size, max(shape) - 1)
    return _cut(shape, table.shape[0] - 2, threads), _disc_terms(table)


def ball_voxels(radius: float, size: int | None = None) -> int:
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


def sliding_maximum(volume: np.ndarray | tuple[Any, ...], radius: float, size: int | None = None,
                    out: np.ndarray | tuple[Any, ...] | None = None) -> np.ndarray | tuple[Any, ...]:
    """Maximum of `volume` over a ball around each voxel, on numba's threads.

    Outside the volume the nearest voxel repeats, so an edge never creates a maximum. The result is exact and
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
        If an argument is not as described above.
    """
    volume, radius, size, out = _checked(volume, radius, size, out)
    if volume.size:
        cut, terms = plan(volume.shape, radius, size, numba.config.NUMBA_NUM_THREADS)
        launch(_parallel_blocks, volume.reshape(-1), out.reshape(-1), cut, terms)
    return out


def sliding_maximum_serial(volume: Any, radius: Any, size: Any = None, out: Any = None) -> Any:
    """`sliding_maximum` on the calling thread alone, without the interpreter's lock; the result is the same."""
    volume, radius, size, out = _checked(volume, radius, size, out)
    if volume.size:
        cut, terms = plan(volume.shape, radius, size, 1)
        _serial_blocks(volume.reshape(-1), out.reshape(-1), cut, terms)
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
                cut, terms = plan(volume.shape, float(radius), box, threads)
                run(volume.reshape(-1), result.reshape(-1), cut, terms)
            return result
        return implementation


_compiled(sliding_maximum, _parallel_blocks, numba.config.NUMBA_NUM_THREADS)
_compiled(sliding_maximum_serial, _serial_blocks, 1)
