"""Local noise of one map, from the quiet voxels nearby.

Noise of real maps is not uniform: it falls towards the edge of the box, where fewer orientations meet. The noise of
solvent nearby is closer to the local noise than the mean over all solvent, though it is not the noise inside content,
which only half maps show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.noise.half_maps import LocalNoise
from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

WINDOW_ANGSTROM = 20.0
"""Sigma of the Gaussian that averages over solvent."""

_WIDER = 1.6
_TIMES = 4
_LEAST_WEIGHT = 0.02  # share of the window in solvent, below which the next wider window is used
_ENOUGH = 0.2  # share of the quiet voxels with an entirely quiet ball, below which all quiet voxels are used
_FINE = 4.0  # smallest sigma in voxels for a grid of half as many points along each axis


def nearby_noise(source: np.ndarray, maximum: Any, zero: float, quiet: Quiet, ball: Ball, voxel_size: float
                ) -> LocalNoise:
    """Noise floor and noise around each voxel.

    Averages of the sliding maximum and of the square of the map over quiet voxels with an entirely quiet ball, so that
    no content contributes, weighted by a Gaussian of 20 Å; where it contains hardly any solvent, by Gaussians each 1.6
    times as wide, and finally over all solvent. The floor is scaled by the ratio of the median of the maximum to its
    mean over all quiet voxels: a floor for the whole map is this median.

    Parameters
    ----------
    source, maximum : (nz, ny, nx) float32 arrays
        The map and its sliding maximum.
    zero : float
        Zero level.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
    ball : occupy_jit.estimation.scale.ball.Ball
    voxel_size : float
        Å.

    Returns
    -------
    LocalNoise
        Without the variance of the maximum.
    """
    mask = np.array([quiet.section(z) for z in range(source.shape[0])], np.float32)
    wholly = _wholly(mask, ball)
    if wholly.sum(dtype=np.float64) > _ENOUGH * mask.sum(dtype=np.float64):
        mask = wholly
    del wholly
    average = _Average(mask, WINDOW_ANGSTROM / voxel_size)
    height = source - np.float32(zero)
    variance = average(np.square(height, out=height))
    np.subtract(maximum, np.float32(zero), out=height)
    floor = average(height)
    mean = quiet.mean_and_deviation(maximum, smooth=True)[0] - zero
    median = max(quiet.median(maximum, zero), 0.0)
    floor *= np.float32(median / mean if mean > 0 else 0.0)
    return LocalNoise(np.maximum(floor, 0, out=floor), np.maximum(variance, 0, out=variance), None)


def _wholly(mask, ball):
    """Voxels whose whole ball lies in the mask."""
    outside = sliding_maximum(np.subtract(1, mask), ball.radius, ball.size)
    return np.subtract(1, outside, out=outside)


class _Average:
    """Mean over the voxels of a mask near each voxel.

    Computed on ever coarser grids, as long as they represent the Gaussian: wide averages vary slowly.
    """

    def __init__(self, mask: np.ndarray, sigma: float) -> None:
        self._mask, self._sigma = mask, sigma
        self._shapes = []
        shape, self._done = mask.shape, 0.0  # variance of means over cells, in points of their grid
        while self._sigma >= _FINE:
            self._shapes.append(shape)
            shape, self._sigma = binned.cell_shape(shape), self._sigma / 2
            self._done = (self._done + binned.SIGMA_OF_CELL ** 2) / 4
        self._weight = self._coarse(mask)

    def _coarse(self, volume):
        for _ in self._shapes:
            volume = binned.cell_mean(volume)
        return volume

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """Mean of a volume as a new volume; overwrites its input."""
        volume *= self._mask
        values = self._coarse(volume)
        total = self._weight.sum(dtype=np.float64)
        out = np.full(values.shape, values.sum(dtype=np.float64) / total if total > 0 else 0.0, np.float32)
        missing = np.ones(values.shape, bool)
        for step in range(_TIMES):
            sigma = max((self._sigma * _WIDER ** step) ** 2 - self._done, 0.25) ** 0.5
            weight, near = smooth(self._weight, sigma), smooth(values, sigma)
            here = missing & (weight > _LEAST_WEIGHT)
            np.divide(near, weight, out=out, where=here)
            missing &= ~here
            if not missing.any():
                break
        for shape in reversed(self._shapes):
            out = binned.values_between(out, shape)
        return out
