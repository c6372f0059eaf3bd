"""Standard errors: of full scale, and of the scale at each voxel.

The scale has three errors: noise in the sliding maximum, the variation of the maximum
at equal occupancy, and the error of full scale, which all voxels share.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.scale import full_scale, strongest_cube
from occupy_jit.estimation.scale.contrast import noise_free_maximum
from occupy_jit.kernels.grid.fields import part_of
from occupy_jit.kernels.standard_error import scale_error

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.estimation.scale.result import FullScale, Result
    from occupy_jit.estimation.scale.steps import Contrast, SearchedFullScale

STANDARD = 0.015
"""Smallest relative error of full scale: the standard deviation of its difference from the level of fully occupied
chains over simulated proteins in little noise (0.011 at voxels of 1.2 to 1.3 Å, 0.018 at 2.2 Å)."""


def _octants(edge):
    halves = (slice(0, edge // 2), slice(edge // 2, None))
    return [(z, y, x) for z in halves for y in halves for x in halves]


def full_scale_error(volume: np.ndarray, noise: float, found: FullScale, ball: Ball, of_quantile: float) -> float:
    """Standard error of full scale from the cube that defines it.

    Each eighth of the cube is left out in turn, and full scale taken of the rest: a jackknife that
    includes both noise and uneven content.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The input of the sliding maximum.
    noise : float
        Its standard deviation in solvent, or in the cube if it is known there.
    found : occupy_jit.estimation.scale.result.FullScale
    ball : occupy_jit.estimation.scale.ball.Ball
    of_quantile : float
        Weight of the quantile alone in full scale, from `occupy_jit.estimation.scale.strongest_cube`; 1 if full scale
        is the quantile.

    Returns
    -------
    float
        In units of the map; 0 without a cube (given or naive full scale), or if the cube has no eighths.
    """
    if found.corner is None or found.tile < 2:
        return 0.0
    cube = volume[_where(found)]
    contents = None if of_quantile == 1 else strongest_cube.contents(volume, found.zero, ball, found.corner, found.tile)
    keep = np.ones(cube.shape, bool)
    values = []
    for octant in _octants(found.tile):
        keep[octant] = False
        value = _of_quantile(np.sort(cube[keep]), noise, found)
        values.append(value if contents is None else strongest_cube.level(contents, value, noise, of_quantile, keep))
        keep[octant] = True
    values = np.array(values)
    return math.sqrt(7 / 8 * np.square(values - values.mean()).sum())


def _of_quantile(rest, noise, found):
    """Full scale by the quantile of sorted values."""
    quantile = float(rest[min(int(found.tau * rest.size), rest.size - 1)]) - found.zero
    return full_scale.without_noise(quantile, rest, found.zero, noise)


def _where(found, mask=None):
    """Selection of the voxels that define full scale: those of the reference mask, or else of the cube."""
    if mask is not None:
        return np.asarray(mask) > 0
    return tuple(slice(start, start + found.tile) for start in found.corner)


def defining_values(volume: np.ndarray, found: FullScale, mask: Any = None) -> np.ndarray | None:
    """Values of a map in the voxels that define full scale, (1, 1, n) array; None for a given or naive full scale."""
    if found.corner is None and mask is None:
        return None
    return volume[_where(found, mask)].reshape(1, 1, -1)


def relative_error_of_full_scale(result: Result) -> float:
    """Relative standard error of full scale.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result

    Returns
    -------
    float
    """
    return max(result.full_scale_error / result.full_scale, STANDARD)


def structural_variation(searched: SearchedFullScale, contrast: Contrast, variance: float | np.ndarray, of_map: bool,
                         mask: np.ndarray | None = None) -> float:
    """Square of the relative spread of the noise-free maximum at equal occupancy, in the content that sets full scale.

    The variance over the best cube, or the reference mask, weighted by the map, less the contribution of noise, over
    the square of the mean.

    Parameters
    ----------
    searched : occupy_jit.estimation.scale.steps.SearchedFullScale
        With the values of the map there, because the maximum may have overwritten the map.
    contrast : occupy_jit.estimation.scale.steps.Contrast
        The sliding maximum and its levels.
    variance : float or float32 array
        As for `occupy_jit.kernels.standard_error.scale_error`, which gives the contribution of noise.
    of_map : bool
        The variance is that of the map.
    mask : (nz, ny, nx) array, optional
        The reference mask.

    Returns
    -------
    float
        0 with neither cube nor mask.
    """
    if searched.values is None:
        return 0.0
    maximum, found, full = contrast.maximum, searched.strongest, contrast.full
    there, shape = _where(found, mask), maximum.shape

    def part(values):
        if np.ndim(values) == 0:
            return values
        if mask is None:
            return np.ascontiguousarray(part_of(values, shape, there)).reshape(1, 1, -1)
        return np.ascontiguousarray(part_of(values, shape, (slice(None),) * 3)[there]).reshape(1, 1, -1)

    f, v = part(contrast.floors), part(variance)
    highest = part(maximum)
    noise = scale_error(highest, found.zero, f, v, full, 0.0, of_map).astype(np.float64) ** 2
    height = highest.astype(np.float64) - found.zero
    m = noise_free_maximum(height, f) / full
    weight = np.maximum(searched.values.astype(np.float64) - found.zero, 0)
    if mask is not None:
        weight *= np.minimum(part(np.asarray(mask)), 1)
    total = weight.sum()
    if not total > 0:
        return 0.0
    mean = (weight * m).sum() / total
    if not mean > 0:
        return 0.0
    spread = (weight * (m - mean) ** 2).sum() / total - (weight * noise).sum() / total
    return max(float(spread / mean ** 2), 0.0)
