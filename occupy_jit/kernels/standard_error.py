"""Standard error of the scale at each voxel, in one pass."""

import numpy as np
from numba import prange

from occupy_jit.kernels.arguments import as_volume
from occupy_jit.kernels.jit.decorator import kernel, launch

_BLOCK = 1 << 15


@kernel
def _error_block(maximum, zero, floors, variances, of_map, full, structure, out):
    one_floor, one_variance = floors.shape[0] == 1, variances.shape[0] == 1
    nothing, one, spread = np.float32(0), np.float32(1), np.float32(0.3)
    for i in range(maximum.shape[0]):
        floor = floors[0] if one_floor else floors[i]
        variance = variances[0] if one_variance else variances[i]
        height = maximum[i] - zero
        above = height > floor
        share = floor / height if above else one
        share *= share
        if of_map:
            narrow = one - spread * share
            variance *= narrow * narrow
        scale = height * (one - share) / full if above else nothing
        slope = (one + share) / full
        out[i] = np.sqrt(slope * slope * variance + structure * scale * scale)


@kernel(parallel=True)
def _error(maximum, zero, floors, variances, of_map, full, structure, out):
    n = maximum.shape[0]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        start = block * _BLOCK
        stop = min(n, start + _BLOCK)
        _error_block(maximum[start:stop], zero, floors if floors.shape[0] == 1 else floors[start:stop],
                     variances if variances.shape[0] == 1 else variances[start:stop], of_map, full, structure,
                     out[start:stop])


def scale_error(maximum, zero, floor, variance, full, structure, of_map=False, out=None):
    """Standard error of the scale, not limited to 1.

    ``sqrt(((1 + (f/M')^2) e / x)^2 + c^2 S^2)``: noise of the sliding maximum, whose slope in the scale is at most 2,
    and how much the maximum of equally occupied content differs from place to place. Where ``M' <= f`` the slope is 2.

    Parameters
    ----------
    maximum : (nz, ny, nx) float32 array
        Sliding maximum.
    zero, full : float
    floor, variance : float or (nz, ny, nx) float32 array
        Noise floor f; variance e^2 of the sliding maximum.
    structure : float
        c^2.
    of_map : bool
        The variance is that of the map: a maximum over noise alone varies by 0.7 of its standard deviation, one that
        content makes by all of it, hence ``e = sigma (1 - 0.3 (f/M')^2)``.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    maximum = as_volume(maximum, "maximum")
    floors, variances = flat(floor, maximum.shape, "floor"), flat(variance, maximum.shape, "variance")
    out = np.empty_like(maximum) if out is None else out
    f = np.float32
    launch(_error, maximum.reshape(-1), f(zero), floors, variances, bool(of_map), f(full), f(structure),
           out.reshape(-1))
    return out


def flat(values, shape, name):
    """A number as an array of one, or a volume of this shape in one dimension."""
    if np.ndim(values) == 0:
        return np.full(1, values, np.float32)
    values = as_volume(values, name)
    if values.shape != shape:
        raise ValueError(f"{name}: shape {values.shape} differs from {shape}")
    return values.reshape(-1)
