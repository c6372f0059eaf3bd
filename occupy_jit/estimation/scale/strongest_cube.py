"""Full scale by the strongest cube of a map.

The scale is a sliding maximum over full scale, so full scale must be the level of fully occupied content by the same
measure: the mean of the sliding maximum over the strongest cube, each voxel weighted with the square of its height
above zero, so that places between the peaks hardly count. A quantile of the map itself differs from that level by the
effect of the ball: whole chains of simulated proteins have 1.00 of the quantile at voxels of 0.8 Å (179 voxels in the
ball) and 1.15 at 3 Å (19 voxels), but 0.95 to 0.97 of the mean at all voxels from 0.8 to 6.5 Å. A few bright spots
raise the mean above the level of whole chains. They hardly change the quantile, so it has a weight of one quarter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball

QUANTILE_SHARE = 0.25
"""Weight of the quantile beside the mean of the sliding maximum."""

OF_STRONGEST = 0.974
"""Level of a chain at full occupancy as a share of that of the cube, which was chosen as the strongest. Standard
deviation over five proteins: 0.02."""

NOISE_IN_CUBE = 3.8
"""Contribution of noise to the reading, in units of its variance over the reading. Noise raises the maximum, gives
weight to the places that it raises, and raises the cube that is chosen.

Fitted with `OF_STRONGEST` to maps of five proteins with voxels of 0.8 to 4 Å, from two simulators, at three levels of
noise. Leaving out any one protein moves the two by 0.04 and 0.003, root mean square."""

ENOUGH_VOXELS = (81, 123)
"""Voxels in the ball above which the quantile by itself counts as well, and with which it counts as much.

With 123 voxels (sizes of 1 to 1.5 Å) the quantile is right for whole chains, and its errors differ from those of the
cube. At good noise the error per chain is 0.028 and 0.023 in maps from two simulators by the cube alone, 0.019 and
0.027 by the quantile alone, and 0.023 and 0.025 by the mean of both. With 81 voxels (1.7 Å) the quantile is too low."""

WIDE_BALL = (4.5, 5.5)
"""Radius of the ball, Å, above which the quantile by itself counts as well, and with which it counts as much.

At voxels of 4 Å and medium noise the error per chain is 0.075 and 0.056 in maps from two simulators by the cube alone,
0.060 and 0.062 by the quantile alone, and 0.059 and 0.058 by the mean of both."""

_LEAST = 0.2  # smallest result as a share of the reading: in noise alone nothing would be left


class Contents(NamedTuple):
    """Contents of a cube.

    Attributes
    ----------
    weights : (n, n, n) float64 array
        Square of the height above zero; 0 where that is negative.
    maximum : (n, n, n) float64 array
        Sliding maximum above zero.
    noise_of_ball : float
        Contribution of noise to the maximum, relative to that over the default ball.
    """

    weights: np.ndarray
    maximum: np.ndarray
    noise_of_ball: float = 1.0


def contents(volume: np.ndarray, zero: float, ball: Ball, corner: tuple[int, ...], edge: int) -> Contents:
    """Contents of a cube.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The input of the sliding maximum.
    zero : float
        Zero level.
    ball : occupy_jit.estimation.scale.ball.Ball
    corner : (z, y, x)
        First voxel of the cube.
    edge : int

    Returns
    -------
    Contents
    """
    reach = ball.size // 2
    around = tuple(slice(max(first - reach, 0), first + edge + reach) for first in corner)
    inside = tuple(slice(first - part.start, first - part.start + edge)
                   for first, part in zip(corner, around, strict=True))
    part = np.ascontiguousarray(volume[around])
    maximum = np.asarray(sliding_maximum(part, ball.radius, ball.size))[inside].astype(np.float64) - zero
    # noise adds f^2 / M to the maximum M, where f is the maximum of noise alone
    return Contents(np.square(np.maximum(part[inside].astype(np.float64) - zero, 0)), maximum,
                    ball.noise_of_default**-2)


def weight_of_quantile(ball: Ball, voxel_size: float) -> float:
    """Weight of the quantile alone beside the level of the cube: 0 to one half, see `ENOUGH_VOXELS` and `WIDE_BALL`.

    Parameters
    ----------
    ball : occupy_jit.estimation.scale.ball.Ball
    voxel_size : float
        Å.

    Returns
    -------
    float
    """
    radius = ball.radius * voxel_size
    fine, wide = ((value - few) / (enough - few)
                  for value, (few, enough) in ((ball.voxels, ENOUGH_VOXELS), (radius, WIDE_BALL)))
    return 0.5 * min(max(fine, wide, 0.0), 1.0)


def level(found: Contents, quantile: float, noise: float, of_quantile: float = 0.0, kept: np.ndarray | None = None
          ) -> float:
    """Level of fully occupied content, by the contents of the strongest cube.

    Parameters
    ----------
    found : Contents
    quantile : float
        Of the map in the cube, above the zero level, without noise.
    noise : float
        Standard deviation of the noise in the map.
    of_quantile : float
        Weight of the quantile alone, from `weight_of_quantile`.
    kept : (n, n, n) array of bool, optional
        Voxels to use; all by default.

    Returns
    -------
    float
        Above the zero level, without noise; the quantile if nothing stands above zero.
    """
    weights, maximum = (part if kept is None else part[kept] for part in (found.weights, found.maximum))
    # sorted, so that a turned or mirrored map has the same sums to the last bit
    total = np.sort(weights, axis=None).sum()
    if not total > 0:
        return quantile
    mean = float(np.sort(weights * maximum, axis=None).sum() / total)
    reading = (1 - QUANTILE_SHARE) * mean + QUANTILE_SHARE * quantile
    of_cube = max(OF_STRONGEST * reading - found.noise_of_ball * NOISE_IN_CUBE * noise**2 / reading, _LEAST * reading)
    return (1 - of_quantile) * of_cube + of_quantile * quantile
