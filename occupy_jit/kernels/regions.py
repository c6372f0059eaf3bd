"""Kernels for statistics over regions: scale on peaks, and samples inside a mask.

`scale_on_peaks` is one pass, voxel by voxel. `covered` counts the samples of each plane and then fills the part of
the result for each plane, so that order and sums of values do not depend on the number of threads.
"""

import numpy as np
from numba import prange

from occupy_jit.kernels.contrast import noise_free
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.fields import field, field_row
from occupy_jit.kernels.jit.decorator import kernel, launch

NOT_ON_A_PEAK = np.float32(-1)


@kernel
def _peak_row(lowpass, maximum, zero, floors, full, everywhere, out):
    half, nothing = np.float32(0.5), np.float32(0)
    for i in range(lowpass.shape[0]):
        floor = floors[i]
        height = maximum[i] - zero
        s = noise_free(height, floor) / full
        s = s if height > floor else nothing
        on_peak = everywhere or (height > nothing and lowpass[i] - zero > half * height)
        out[i] = s if on_peak else NOT_ON_A_PEAK


@kernel(parallel=True)
def _peaks(lowpass, maximum, zero, floor, full, everywhere, out):
    n_z, n_y, n_x = lowpass.shape
    for z in prange(n_z):
        scratch, row = np.empty(floor.values.shape[2], np.float32), np.empty(n_x, np.float32)
        for y in range(n_y):
            _peak_row(lowpass[z, y], maximum[z, y], zero, field_row(floor, z, y, scratch, row), full, everywhere,
                      out[z, y])


@kernel(parallel=True)
def _count(mask, samples, counts):
    for z in prange(mask.shape[0]):
        number = 0
        for y in range(mask.shape[1]):
            row, values = mask[z, y], samples[z, y]
            for x in range(mask.shape[2]):
                number += (row[x] > np.float32(0)) & (values[x] >= np.float32(0))
        counts[z] = number


@kernel(parallel=True)
def _fill(mask, samples, edge, starts, values, weights, blocks):
    along_y = (mask.shape[1] + edge - 1) // edge
    along_x = (mask.shape[2] + edge - 1) // edge
    for z in prange(mask.shape[0]):
        at = starts[z]
        for y in range(mask.shape[1]):
            first = ((z // edge) * along_y + y // edge) * along_x
            for x in range(mask.shape[2]):
                if mask[z, y, x] > np.float32(0) and samples[z, y, x] >= np.float32(0):
                    values[at] = samples[z, y, x]
                    weights[at] = min(mask[z, y, x], np.float32(1))
                    blocks[at] = first + x // edge
                    at += 1


def scale_on_peaks(lowpass: np.ndarray, maximum: np.ndarray, zero: float, floor: float | np.ndarray, full: float,
                   out: np.ndarray | None = None, everywhere: bool = False) -> np.ndarray:
    """Scale without limit at 1 on voxels with at least half of the sliding maximum; -1 elsewhere.

    Between peaks the maximum is that of another voxel, possibly in another region. On peaks it belongs to
    the voxel itself, so the median of a region does not depend on the width of its mask.

    Parameters
    ----------
    lowpass, maximum : (nz, ny, nx) float32 arrays
        The map and its sliding maximum.
    zero : float
        Zero level in units of the map.
    floor : float or float32 array
        Noise floor above the zero level, f >= 0: one number, a volume, or means over the cells of two voxels.
    full : float
        Full scale above the zero level, x > 0.
    out : array, optional
        May be `maximum` itself.
    everywhere : bool
        Between peaks, too.

    Returns
    -------
    (nz, ny, nx) float32 array
        ``(M' - f^2 / M') / x``, 0 where ``M' <= f``, where ``D > M' / 2``; -1 elsewhere.

    Raises
    ------
    ValueError
        If shapes differ or `full` is not positive.
    """
    lowpass, maximum = as_volume(lowpass, "lowpass"), as_volume(maximum, "maximum")
    if lowpass.shape != maximum.shape:
        raise ValueError(f"shapes differ: {lowpass.shape}, {maximum.shape}")
    floor = field(floor, maximum.shape, "floor")
    if not full > 0:
        raise ValueError(f"full scale must be positive, not {full}")
    out = np.empty_like(maximum) if out is None else out
    launch(_peaks, lowpass, maximum, np.float32(zero), floor, np.float32(full), everywhere, out)
    return out


def covered(mask: np.ndarray, samples: np.ndarray, block_edge: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples inside a mask, their weights, and the cube of space of each.

    Parameters
    ----------
    mask : (nz, ny, nx) array of real numbers
        Weight of each voxel, limited to 1; voxels at or below 0 are not included.
    samples : (nz, ny, nx) float32 array
        Negative: not a sample.
    block_edge : int
        Edge of the cubes in voxels; they begin at the box's first voxel.

    Returns
    -------
    values, weights : (n,) float32 arrays
        In the order of the volume.
    blocks : (n,) int64 array
        Number of the cube.

    Raises
    ------
    ValueError
        If shapes differ.
    """
    mask, samples = as_volume(mask, "mask"), as_volume(samples, "samples")
    if mask.shape != samples.shape:
        raise ValueError(f"shape {mask.shape} of the mask differs from the map's {samples.shape}")
    counts = np.zeros(mask.shape[0], np.int64)
    launch(_count, mask, samples, counts)
    starts = np.cumsum(counts) - counts
    number = int(counts.sum())
    values, weights = np.empty(number, np.float32), np.empty(number, np.float32)
    blocks = np.empty(number, np.int64)
    launch(_fill, mask, samples, int(block_edge), starts, values, weights, blocks)
    return values, weights, blocks
