"""Gaussian smoothing of a volume, or of its squared deviation from a value.

Three passes of a symmetric filter, one for each axis, in pieces that fit in a core's cache: x and y slice by slice,
then z plane by plane in the result. Every voxel is a sum in one fixed order, so that the bits depend neither on the
number of threads nor on the blocks, and a flipped map gives exactly the flipped result.
"""

import math

import numba
import numpy as np
from numba.extending import overload

from occupy_jit.kernels.grid.arguments import as_volume, require_volume
from occupy_jit.kernels.jit.decorator import kernel, launch

_SEGMENT = 1024  # voxels accumulated at a time: their inputs stay in the first-level cache
_PLANES_PER_TASK = 8


def smoothed_power(volume: np.ndarray, centre: float, sigma: float, out: np.ndarray | None = None) -> np.ndarray:
    """Gaussian-weighted mean of (volume - centre)^2 around each voxel.

    Parameters
    ----------
    volume : ndarray (z, y, x), real
    centre : float
    sigma : float
        Of the Gaussian, in voxels. It is cut off at int(3 sigma + 0.5) voxels, at least 1, and normalised to sum 1.
        Outside of the box the nearest voxel repeats.
    out : ndarray (z, y, x), float32, C-contiguous, optional
        Array for the result. It may be `volume` itself.

    Returns
    -------
    ndarray (z, y, x), float32
        Never negative. `out` if it was given.

    Raises
    ------
    TypeError, ValueError
        If an array cannot be used, or sigma is not a positive number.
    """
    return _smoothed(volume, sigma, out, np.float32(centre), True)


def smooth(volume: np.ndarray, sigma: float, out: np.ndarray | None = None) -> np.ndarray:
    """Gaussian smoothing; parameters, edges and result as in `smoothed_power`.

    Inside a function compiled by numba: ``smooth(volume, sigma)``, C-contiguous float32 only.
    """
    return _smoothed(volume, sigma, out, np.float32(0), False)


def _smoothed(volume, sigma, out, centre, squared):
    volume = as_volume(volume)
    if not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma: expected a positive number of voxels, got {sigma}")
    if out is None:
        out = np.empty_like(volume)
    elif not (isinstance(out, np.ndarray) and out.dtype == np.float32 and out.shape == volume.shape
              and out.flags.c_contiguous):
        raise ValueError(f"out: expected a C-contiguous float32 array of shape {volume.shape}")
    if volume.size:
        taps = _gaussian_taps(sigma)
        launch(_smooth_planes, volume, 0, taps, centre, squared, out)
        launch(_smooth_planes, out, 1, taps, np.float32(0), False, out)
    return out


@overload(smooth)
def _smooth_overload(volume, sigma):
    require_volume(volume)

    def implementation(volume, sigma):
        out = np.empty_like(volume)
        if volume.size:
            taps = _gaussian_taps(sigma)
            _smooth_planes(volume, 0, taps, np.float32(0), False, out)
            _smooth_planes(out, 1, taps, np.float32(0), False, out)
        return out
    return implementation


@kernel
def _gaussian_taps(sigma):
    """Weights of the offsets 0, 1 ... radius (float32); with those of the negative offsets they sum to 1.

    A last weight of 0 makes the number of offsets on each side even, see `_convolve`.
    """
    radius = max(1, int(3 * sigma + 0.5))
    total = 1.0
    for k in range(1, radius + 1):
        total += 2 * math.exp(-0.5 * (k / sigma) * (k / sigma))
    taps = np.zeros(radius + radius % 2 + 1, np.float32)
    for k in range(radius + 1):
        taps[k] = math.exp(-0.5 * (k / sigma) * (k / sigma)) / total
    return taps


@kernel
def _convolve(source, start, stride, taps, out):
    """out[i] = sum over k of taps[|k|] source[start + i + k stride]; both arrays flat.

    Two offsets at a time: one would double the loads and stores of the sum, and with more than four
    streams the compiler does not check for overlap with the result and does not vectorise.
    """
    for begin in range(0, len(out), _SEGMENT):
        total = out[begin:begin + _SEGMENT]
        n = len(total)
        here = start + begin
        centre = source[here:here + n]
        weight = taps[0]
        for i in range(n):
            total[i] = weight * centre[i]
        for k in range(1, len(taps), 2):
            near, far = k * stride, (k + 1) * stride
            below, above = source[here - near:here - near + n], source[here + near:here + near + n]
            below_far, above_far = source[here - far:here - far + n], source[here + far:here + far + n]
            weight, weight_far = taps[k], taps[k + 1]
            for i in range(n):
                total[i] = (total[i] + weight * (below[i] + above[i])) + weight_far * (below_far[i] + above_far[i])


@kernel
def _smooth_some_planes(source, axis, first, last, taps, centre, squared, out):
    """Smooth the slices first ... last - 1 along y and x (axis 0), or the planes z, x at these y along z (axis 1)."""
    n_rows, n_x = source.shape[1 - axis], source.shape[2]
    pad = len(taps) - 1
    # Edges of x are repeated before y is smoothed, so they become the edges of the smoothed slice.
    pad_x = pad if axis == 0 else 0
    width = n_x + 2 * pad_x
    padded = np.empty((n_rows + 2 * pad) * width, np.float32)
    along_rows = np.empty(n_rows * width, np.float32)
    along_columns = np.empty(n_rows * width - 2 * pad_x, np.float32)
    for index in range(first, last):
        for i in range(-pad, n_rows + pad):
            nearest = min(max(i, 0), n_rows - 1)
            line = source[index, nearest] if axis == 0 else source[nearest, index]
            row = padded[(i + pad) * width:(i + pad + 1) * width]
            inner = row[pad_x:pad_x + n_x]
            for x in range(n_x):
                deviation = line[x] - centre
                inner[x] = deviation * deviation if squared else deviation
            for x in range(pad_x):
                row[x] = inner[0]
                row[pad_x + n_x + x] = inner[n_x - 1]
        # One call in a loop rather than two calls: less to compile.
        before, after, start, stride = padded, along_rows, pad * width, width
        for _ in range(2 - axis):
            _convolve(before, start, stride, taps, after)
            before, after, start, stride = along_rows, along_columns, pad, 1
        smoothed = along_columns if axis == 0 else along_rows
        for i in range(n_rows):
            line = out[index, i] if axis == 0 else out[i, index]
            row = smoothed[i * width:i * width + n_x]
            for x in range(n_x):
                line[x] = row[x]


@kernel(parallel=True)
def _smooth_planes(source, axis, taps, centre, squared, out):
    """`_smooth_some_planes` for all of them; `out` may be `source`."""
    n = source.shape[axis]
    for task in numba.prange((n + _PLANES_PER_TASK - 1) // _PLANES_PER_TASK):
        first = task * _PLANES_PER_TASK
        _smooth_some_planes(source, axis, first, min(n, first + _PLANES_PER_TASK), taps, centre, squared, out)
