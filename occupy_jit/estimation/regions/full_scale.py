"""Full scale of regions: the measured level of a fully occupied region.

Full scale of the map is the tau-quantile of the strongest cube. A region is measured by another statistic, a median
over peaks, and the ratio of both grows at coarse voxels, when the ball has few of them: whole chains of simulated
proteins have 1.01 to 1.03 of full scale with voxels of 0.9 to 1.7 Å, 1.10 with 2.2 Å and 1.15 with 2.5 and 3 Å, which
is ``0.975 + 1.6 (1 - tau)``. The ratio in the strongest cube of the map is another estimate, with its own errors. Their
geometric mean is better than either: chains at full occupancy of such maps then have 1 within 0.040, root mean square,
at medium noise, and with either alone within 0.048 and 0.041 (at 1.2 Å 0.019, 0.034 and 0.049).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.estimation.scale.full_scale import without_noise
from occupy_jit.kernels import full_scale as search

if TYPE_CHECKING:
    from occupy_jit.estimation.regions.reading import Reader
    from occupy_jit.estimation.scale.result import Result

OF_STRONGEST_CUBE = 0.975
"""Level of a whole chain at full occupancy, as a share of the level of the strongest cube."""

RATIO = (0.975, 1.6)
"""Ratio of the median over peaks to the tau-quantile: value and slope in ``1 - tau``."""


BEST_OF_NOISY = 0.7
"""Relative rise of the strongest of many noisy cubes, in squares of the noise over full scale.

With noise of its spectrum added, up to twice the variance, full scale of simulated proteins grows by 0.02 (voxels
of 1.2 Å, noise 0.17 of full scale) and 0.035 (2.2 Å, 0.22), and occupancies of their chains are too low by as much.
"""


def full_scale_of_regions(result: Result, reader: Reader) -> float:
    """Level of a fully occupied region of a map.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result
        With the low-passed map.
    reader : occupy_jit.estimation.regions.reading.Reader
        Of that map.

    Returns
    -------
    float
        Above the zero level, in units of the map. If a reference mask set full scale, that value: it was measured as a
        region.
    """
    if result.reference is not None:
        return result.full_scale
    tau = search.full_scale_tau(result.ball.voxels)
    corner, value = _strongest_cube(result, tau)
    inside = tuple(slice(start, start + result.tile) for start in corner)
    mask = np.zeros(result.scale.shape, np.float32)
    mask[inside] = 1
    read = reader.read(mask).value
    full = result.full_scale * max(1 - BEST_OF_NOISY * (result.noise / result.full_scale) ** 2, 0.5)
    expected = RATIO[0] + RATIO[1] * (1 - tau)
    if not (read > 0 and value > 0):
        return full * expected
    return full * math.sqrt(expected * OF_STRONGEST_CUBE * read / value)


def _strongest_cube(result, tau):
    """First voxel of the strongest cube, and full scale by this cube alone."""
    corner = result.full_scale_corner
    if corner is not None and result.tau == tau:
        return corner, result.full_scale
    if corner is None:
        corner = tuple(int(i) for i in search.largest_quantile(result.lowpass, result.tile, tau)[1])
    cube = np.sort(result.lowpass[tuple(slice(start, start + result.tile) for start in corner)], axis=None)
    quantile = float(cube[min(int(tau * cube.size), cube.size - 1)]) - result.zero
    return corner, without_noise(quantile, cube, result.zero, result.noise)
