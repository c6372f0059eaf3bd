"""Kernel for classes that share one density and only differ in occupancy (manual: CLASSIFICATION).

Voxel by voxel, in blocks of a fixed number of voxels: the bits do not depend on the number of threads.
"""

import numpy as np
from numba import prange

from occupy_jit.kernels.grid.arguments import as_volume
from occupy_jit.kernels.jit.decorator import kernel, launch

LARGEST_GAIN = 8.0
"""Largest gain of a difference in scale; with more, the weakest parts would only be noise."""

_BLOCK = 1 << 15


@kernel
def _ratio(scale, mean_scale, amount, limit):
    """Factor of the mean map at one voxel."""
    zero, one, largest = np.float32(0), np.float32(1), np.float32(LARGEST_GAIN)
    if mean_scale < limit or mean_scale <= zero:
        return one
    lowered = mean_scale + amount * (one - mean_scale)
    gain = (one - amount) * mean_scale
    # the division comes last: at a mean scale of 0 the gain has no bound of its own
    gain = gain / lowered if gain < largest * lowered else largest
    ratio = one + gain * (scale / mean_scale - one)
    return ratio if ratio > zero else zero


@kernel(parallel=True)
def _shared_density(mean, scale, mean_scale, confidence, zero, amount, limit, exclude, out):
    n = mean.shape[0]
    one = np.float32(1)
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        for i in range(block * _BLOCK, min(n, (block + 1) * _BLOCK)):
            height = mean[i] - zero
            ratio = _ratio(scale[i], mean_scale[i], amount, limit)
            if exclude:
                out[i] = confidence[i] * height * ratio
            else:
                # written so that a ratio of 1 changes nothing
                out[i] = mean[i] + height * (confidence[i] * (ratio - one))


def shared_density(mean: np.ndarray, scale: np.ndarray, mean_scale: np.ndarray, confidence: np.ndarray, zero: float,
                   amount: float, limit: float = 0.05, exclude_solvent: bool = False, out: np.ndarray | None = None
                  ) -> np.ndarray:
    """A class with the density of the mean map, and its own occupancy.

    ::

        r = max(0, 1 + g (S / S0 - 1))     1 where S0 < limit
        g = (1 - a) / (1 + a (1 / S0 - 1)) at most 8, and 8 where the denominator is not positive
        out = rho + c (rho - b) (r - 1)    solvent retained
        out =       c (rho - b) r          solvent excluded

    rho is the mean map, S0 the mean scale of the classes. The factor 1 + a (1/S - 1) of --amplify-amount makes
    S + a (1 - S) of a scale S; r is its ratio to the changed S0 if g is below its bound. Without
    the limit of r at 0, the mean of the classes is rho.

    Parameters
    ----------
    mean : (nz, ny, nx) float32 array
        Mean map of the classes.
    scale : (nz, ny, nx) float32 array
        Scale of the class.
    mean_scale : (nz, ny, nx) float32 array
        Mean of the scales of all classes.
    confidence : (nz, ny, nx) float32 array
        Of the mean map.
    zero : float
        Zero level b of the mean map.
    amount : float
        a, from -1 to 0.
    limit : float
    exclude_solvent : bool
    out : array, optional

    Returns
    -------
    (nz, ny, nx) float32 array

    Raises
    ------
    ValueError
        If the shapes differ, or the amount is out of its range.
    """
    if not -1 <= amount <= 0:
        raise ValueError(f"the amount must be between -1 and 0, not {amount}")
    volumes = [as_volume(array, name) for array, name in (
        (mean, "mean map"), (scale, "scale"), (mean_scale, "mean scale"), (confidence, "confidence"))]
    if len({array.shape for array in volumes}) > 1:
        raise ValueError(f"shapes differ: {', '.join(str(array.shape) for array in volumes)}")
    out = np.empty_like(volumes[0]) if out is None else out
    f = np.float32
    launch(_shared_density, *(array.reshape(-1) for array in volumes), f(zero), f(amount), f(limit),
           bool(exclude_solvent), out.reshape(-1))
    return out
