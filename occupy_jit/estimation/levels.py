"""Full scale and what solvent reads: what turns the sliding maximum into a scale.

Measured on the map itself, without a mask and without the solvent model.
"""

import numpy as np

from occupy_jit.kernels import full_scale as search
from occupy_jit.kernels import quantiles
from occupy_jit.kernels.voxelwise import EXPONENT

_SOLVENT_DEVIATIONS = 4.0


def full_scale(volume, zero, ball, voxel_size, tau=None, tile_size_angstrom=30.0, naive=False, known=None):
    """Value at full scale, above the zero level.

    The largest tau-quantile over every cube of edge `tile_size_angstrom` inside the inscribed sphere; tau
    is the fixed point of ``tau^n_v + tau = 1``: the chance that the largest of n_v draws lies above the
    tau-quantile is then tau itself, so that over- and under-estimation balance. A `known` value is not searched.

    Returns
    -------
    value : float
    corner : tuple of int or None
        First voxel [z, y, x] of the cube; None for the naive form, tau times the maximum, and a known value.
    edge : int
        Of the cube, in voxels.
    tau : float
    """
    tau = search.full_scale_tau(ball.voxels) if tau is None else tau
    edge = search.tile_edge(volume.shape, voxel_size, tile_size_angstrom)
    if known is not None:
        return float(known), None, edge, tau
    if naive:
        highest = quantiles.volume_range(volume)[1]
        return tau * (highest - zero), None, edge, tau
    value, corner = search.largest_quantile(volume, edge, tau)
    return float(np.float32(value) - np.float32(zero)), tuple(int(i) for i in corner), edge, tau


def solvent_limit(floor, spread, subtracted, full):
    """Scale that empty solvent hardly ever reaches: that of four standard deviations above the noise floor.

    Parameters
    ----------
    floor, spread : float
        Median (the noise floor as measured) and standard deviation of the sliding maximum in solvent, above zero.
    subtracted : float
        Noise floor that the scale is reckoned from.
    full : float
        Full scale.

    Returns
    -------
    float
        At most 1.
    """
    height = (floor + _SOLVENT_DEVIATIONS * spread) ** EXPONENT - subtracted ** EXPONENT
    return min(max(height / (full ** EXPONENT - subtracted ** EXPONENT), 0.0) ** (1 / EXPONENT), 1.0)
