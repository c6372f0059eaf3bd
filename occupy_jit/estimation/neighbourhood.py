"""The scale of the neighbourhood: what a part of the map reads, without what the ball made of it."""

import numpy as np

from occupy_jit.kernels import band_equalisation as kernels
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.kernels.smoothing import smooth

SECTIONS = 16
"""Worked on at a time, so that no volumes are needed besides the result."""


def neighbourhood_scale(scale, ball, first=0, last=None):
    """Scale of the neighbourhood: what a part reads, without what the ball made of it.

    ``G(C^3) / G(C^2)``, C the closing of the scale: the sliding minimum, over the same ball, of what is a sliding
    maximum, so that a strong part does not reach over into a weak one. G is a Gaussian as wide as the ball's radius: no
    facets of balls are left to be imprinted on the map. Weighted by its power, the scale stays that of
    the content up to its edge, where a plain mean would fall to that of solvent and amplify most.

    Parameters
    ----------
    scale : (nz, ny, nx) float32 array
    ball : occupy_jit.estimation.ball.Ball
    first, last : int, optional
        Sections that are wanted.

    Returns
    -------
    (last - first, ny, nx) float32 array
    """
    last = scale.shape[0] if last is None else last
    out = np.empty((last - first, *scale.shape[1:]), np.float32)
    sigma = smoothing_voxels(ball)
    reach = max(1, int(3 * sigma + 0.5)) + ball.size // 2
    # slab by slab: no more volumes than the result
    for begin in range(first, last, SECTIONS):
        end = min(last, begin + SECTIONS)
        start = max(0, begin - reach)
        depth = sliding_maximum(np.negative(scale[start:end + reach]), ball.radius, ball.size)
        squares, cubes = kernels.squares_and_cubes(depth, out=depth)
        wanted = slice(begin - start, end - start)
        cubes, squares = smooth(cubes, sigma, out=cubes)[wanted], smooth(squares, sigma, out=squares)[wanted]
        kernels.power_weighted_scale(cubes, squares, out=out[begin - first:end - first])
    return out


def smoothing_voxels(ball):
    """Sigma of the Gaussian of `neighbourhood_scale`."""
    return max(ball.radius, 0.5)
