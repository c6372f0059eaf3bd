"""Kernels of classes that share one density and differ in occupancy alone (manual: CLASSIFICATION).

Voxel by voxel, in blocks of a fixed number of voxels: the bits do not depend on the number of threads.
"""

import numpy as np
from numba import prange

from occupy_jit.kernels.arguments import as_volume
from occupy_jit.kernels.jit.decorator import kernel, launch

_BLOCK = 1 << 15


@kernel
def lowered(scale, amount):
    """Scale of one voxel after a modification by `amount`: ``S + a (1 - S)``, not below 0."""
    value = scale + amount * (np.float32(1) - scale)
    return value if value > np.float32(0) else np.float32(0)


@kernel(parallel=True)
def _add_lowered(scale, amount, share, out):
    n = scale.shape[0]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        for i in range(block * _BLOCK, min(n, (block + 1) * _BLOCK)):
            out[i] += share * lowered(scale[i], amount)


@kernel(parallel=True)
def _shared_density(mean, scale, mean_lowered, confidence, zero, amount, limit, exclude, out):
    n = mean.shape[0]
    one = np.float32(1)
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        for i in range(block * _BLOCK, min(n, (block + 1) * _BLOCK)):
            height = mean[i] - zero
            ratio = one
            if mean_lowered[i] >= limit and mean_lowered[i] > np.float32(0):
                ratio = lowered(scale[i], amount) / mean_lowered[i]
            if exclude:
                out[i] = confidence[i] * height * ratio
            else:
                # written so that a ratio of 1 changes nothing
                out[i] = mean[i] + height * (confidence[i] * (ratio - one))


def add_lowered(scale, amount, share, out):
    """Add ``share * max(0, S + a (1 - S))`` to `out`: one class's part in the mean of the lowered scales.

    S + a (1 - S) is S times the factor 1 + a (1/S - 1) of --amplify-amount: what the scale becomes.

    Parameters
    ----------
    scale : (nz, ny, nx) float32 array
        Local scale S in [0, 1].
    amount : float
        a in [-1, 1].
    share : float
        Weight of the class.
    out : (nz, ny, nx) float32 array

    Returns
    -------
    (nz, ny, nx) float32 array
        `out`.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    scale = as_volume(scale, "scale")
    if scale.shape != out.shape:
        raise ValueError(f"shapes differ: {scale.shape}, {out.shape}")
    launch(_add_lowered, scale.reshape(-1), np.float32(amount), np.float32(share), out.reshape(-1))
    return out


def shared_density(mean, scale, mean_lowered, confidence, zero, amount, limit=0.05, exclude_solvent=False, out=None):
    """A class with the density of the mean map, and its own occupancy.

    ::

        T = max(0, S + a (1 - S))        r = T / mean of T over the classes, 1 where that mean is below `limit`
        out = rho + c (rho - b) (r - 1)  solvent retained
        out =       c (rho - b) r        solvent excluded

    rho is the mean map. The mean of the classes stays rho where solvent is retained.

    Parameters
    ----------
    mean : (nz, ny, nx) float32 array
        Mean map of the classes.
    scale : (nz, ny, nx) float32 array
        Scale of the class.
    mean_lowered : (nz, ny, nx) float32 array
        Mean of T over the classes, see `add_lowered`.
    confidence : (nz, ny, nx) float32 array
        Of the mean map.
    zero : float
        Zero level b of the mean map.
    amount : float
        a, below 0.
    limit : float
    exclude_solvent : bool
    out : array, optional

    Returns
    -------
    (nz, ny, nx) float32 array

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    volumes = [as_volume(array, name) for array, name in (
        (mean, "mean map"), (scale, "scale"), (mean_lowered, "mean scale"), (confidence, "confidence"))]
    if len({array.shape for array in volumes}) > 1:
        raise ValueError(f"shapes differ: {', '.join(str(array.shape) for array in volumes)}")
    out = np.empty_like(volumes[0]) if out is None else out
    f = np.float32
    launch(_shared_density, *(array.reshape(-1) for array in volumes), f(zero), f(amount), f(limit),
           bool(exclude_solvent), out.reshape(-1))
    return out
