"""Standard error of the scale at each voxel, in one pass."""

import numpy as np
from numba import prange

from occupy_jit.kernels.contrast import noise_share
from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.grid.fields import field, field_row
from occupy_jit.kernels.jit.decorator import kernel, launch


@kernel
def _error_row(maximum, zero, floors, variances, of_map, full, structure, out):
    nothing, one, spread = np.float32(0), np.float32(1), np.float32(0.3)
    for i in range(maximum.shape[0]):
        floor, variance = floors[i], variances[i]
        height = maximum[i] - zero
        above = height > floor
        share = noise_share(height, floor, one)
        if of_map:
            narrow = one - spread * share
            variance *= narrow * narrow
        scale = height * (one - share) / full if above else nothing
        slope = (one + share) / full
        out[i] = np.sqrt(slope * slope * variance + structure * scale * scale)


@kernel(parallel=True)
def _error(maximum, zero, floor, variance, of_map, full, structure, out):
    n_z, n_y, n_x = maximum.shape
    for z in prange(n_z):
        scratch = np.empty(max(floor.values.shape[2], variance.values.shape[2]), np.float32)
        row, other = np.empty(n_x, np.float32), np.empty(n_x, np.float32)
        for y in range(n_y):
            floors = field_row(floor, z, y, scratch[:floor.values.shape[2]], row)
            variances = field_row(variance, z, y, scratch[:variance.values.shape[2]], other)
            _error_row(maximum[z, y], zero, floors, variances, of_map, full, structure, out[z, y])


def scale_error(maximum: np.ndarray, zero: float, floor: float | np.ndarray, variance: float | np.ndarray,
                full: float, structure: float, of_map: bool = False, out: np.ndarray | None = None) -> np.ndarray:
    """Standard error of the scale, not limited to 1.

    ``sqrt(((1 + (f/M')^2) e / x)^2 + c^2 S^2)``: noise of the sliding maximum, with a slope of at most 2,
    and variation of the maximum among equally occupied content. The slope is 2 if ``M' <= f``.

    Parameters
    ----------
    maximum : (nz, ny, nx) float32 array
        Sliding maximum.
    zero, full : float
    floor, variance : float or float32 array
        Noise floor f; variance e^2 of the sliding maximum. Each one number, a volume, or means over the cells of two
        voxels (`occupy_jit.kernels.grid.binned`).
    structure : float
        c^2.
    of_map : bool
        The variance is that of the map: a maximum over noise varies by 0.7 of its standard deviation, a maximum
        of content by 1, hence ``e = sigma (1 - 0.3 (f/M')^2)``.
    out : (nz, ny, nx) float32 array, optional

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    maximum = as_volume(maximum, "maximum")
    out = np.empty_like(maximum) if out is None else out
    f = np.float32
    launch(_error, maximum, f(zero), field(floor, maximum.shape, "floor"), field(variance, maximum.shape, "variance"),
           bool(of_map), f(full), f(structure), out)
    return out
