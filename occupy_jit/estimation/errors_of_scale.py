"""Standard errors: of full scale, and of the scale at each voxel.

Three things make the scale uncertain: noise in the sliding maximum, the maximum of equally occupied content that
differs from place to place, and full scale, which all voxels have in common.
"""

import math

import numpy as np

from occupy_jit.estimation import levels

STANDARD = 0.03
"""How far full scale is from what a fully occupied chain reads, relative, where there is no noise: the standard
deviation over simulated molecules (.017 to .05)."""


def _octants(edge):
    halves = (slice(0, edge // 2), slice(edge // 2, None))
    return [(z, y, x) for z in halves for y in halves for x in halves]


def full_scale_error(volume, noise, found):
    """Standard error of full scale from the cube that defines it.

    Each eighth of the cube is left out in turn, and the quantile, free of noise, taken of the rest: a jackknife that
    sees both noise and how uneven the content is.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The map that the sliding maximum is taken from.
    noise : float
        Its standard deviation in solvent, or that in the cube where it is known there.
    found : occupy_jit.estimation.result.FullScale

    Returns
    -------
    float
        In units of the map; 0 where there is no cube (full scale given, or the naive one) or it has no eighths.
    """
    if found.corner is None or found.tile < 2:
        return 0.0
    cube = volume[tuple(slice(start, start + found.tile) for start in found.corner)]
    keep = np.ones(cube.shape, bool)
    values = []
    for octant in _octants(found.tile):
        keep[octant] = False
        rest = np.sort(cube[keep])
        keep[octant] = True
        quantile = float(rest[min(int(found.tau * rest.size), rest.size - 1)]) - found.zero
        values.append(levels.without_noise(quantile, rest, found.zero, noise))
    values = np.array(values)
    return math.sqrt(7 / 8 * np.square(values - values.mean()).sum())


def relative_error_of_full_scale(result):
    """Relative standard error of full scale: what a fully occupied region may read beside 1.

    Parameters
    ----------
    result : occupy_jit.estimation.result.Result

    Returns
    -------
    float
    """
    return math.hypot(result.full_scale_error / result.full_scale, STANDARD)
