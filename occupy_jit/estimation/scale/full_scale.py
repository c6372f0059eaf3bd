"""Full scale, and the level of solvent, which turn the sliding maximum into a scale.

Measured on the map itself, without a mask and without the solvent model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from occupy_jit.estimation.scale import composition, strongest_cube
from occupy_jit.estimation.scale.contrast import noise_free_maximum
from occupy_jit.estimation.scale.result import FullScale
from occupy_jit.kernels import full_scale as search
from occupy_jit.kernels import moments
from occupy_jit.kernels.grid.fields import part_of

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.settings import Settings

_SOLVENT_DEVIATIONS = 4.0

# Smallest share of signal in the variance of the full-scale cube: in a map of noise alone the variances are
# equal but for chance.
_LEAST_SIGNAL = 0.05


class NoiseLevel(NamedTuple):
    """Level and noise of a map in solvent.

    Attributes
    ----------
    zero, deviation : float
        Mean and standard deviation over the quiet voxels.
    variance : float32 array or None
        Of the local noise, if known, for voxels or cells of two voxels.
    nucleic : (nz, ny, nx) array or None
        Mask of nucleic acid whose contrast was divided, and its noise with it.
    """

    zero: float
    deviation: float
    variance: np.ndarray | None = None
    nucleic: np.ndarray | None = None


def full_scale(volume: np.ndarray, noise: NoiseLevel, ball: Ball, voxel_size: float, settings: Settings,
               known: float | None = None) -> FullScale:
    """Value at full scale, above the zero level.

    The strongest cube has the largest tau-quantile of all cubes of edge ``settings.tile_size_angstrom`` inside the
    inscribed sphere; tau is the fixed point of ``tau^n_v + tau = 1``: the probability that the largest of n_v draws
    lies above the tau-quantile is then tau itself. Full scale is the level of fully occupied content by that cube
    (`occupy_jit.estimation.scale.strongest_cube`), or the quantile itself if the settings give tau, less the
    contribution of noise.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The input of the sliding maximum.
    noise : NoiseLevel
        Of the map. If the local noise is known, that in the cube is subtracted.
    ball : occupy_jit.estimation.scale.ball.Ball
    voxel_size : float
        Å.
    settings : occupy_jit.settings.Settings
        Uses tau, the edge of the cube, and naive normalisation.
    known : float, optional
        Full scale instead of a search.

    Returns
    -------
    FullScale
    """
    zero, deviation, variance, nucleic = noise
    tau = ball.tau if settings.tau is None else settings.tau
    edge = search.tile_edge(volume.shape, voxel_size, settings.tile_size_angstrom)
    if known is not None:
        return FullScale(float(known), None, edge, zero, tau, float(known))
    if settings.naive_normalisation:
        highest = moments.volume_range(volume)[1]
        return FullScale(tau * (highest - zero), None, edge, zero, tau, tau * (highest - zero))
    value, corner = search.largest_quantile(volume, edge, tau)
    corner = tuple(int(i) for i in corner)
    quantile, in_solvent = float(np.float32(value) - np.float32(zero)), float(deviation)
    inside = tuple(slice(start, start + edge) for start in corner)
    cube = volume[inside]
    if variance is not None:
        deviation = float(np.sqrt(np.sort(part_of(variance, volume.shape, inside), axis=None).mean(dtype=np.float64)))
    elif nucleic is not None:
        deviation *= composition.noise_left(nucleic[inside])
    value = without_noise(quantile, cube, zero, deviation)
    if settings.tau is None:
        contents = strongest_cube.contents(volume, zero, ball, corner, edge)
        value = strongest_cube.level(contents, value, deviation, strongest_cube.weight_of_quantile(ball, voxel_size))
    return FullScale(value, corner, edge, zero, tau, quantile, in_solvent)


def without_noise(quantile: float, cube: np.ndarray, zero: float, noise: float) -> float:
    """Quantile of a cube without its noise.

    For Gaussian signal and noise the quantile is ``z sqrt(signal variance + noise variance)``
    above the mean of the cube; the noise variance is removed. Without noise nothing changes.

    Parameters
    ----------
    quantile : float
        Above the zero level.
    cube : array
        Values of the map in the cube.
    zero, noise : float
        Mean and standard deviation of the map in solvent.

    Returns
    -------
    float
    """
    # sorted, so that a turned or mirrored map has the same sums to the last bit
    values = np.sort(cube, axis=None).astype(np.float64) - zero
    variance = values.var()
    if not variance > 0:
        return quantile
    mean = values.mean()
    return float(mean + (quantile - mean) * np.sqrt(max(1 - noise ** 2 / variance, _LEAST_SIGNAL)))


def solvent_limit(floor: float, spread: float, subtracted: float, full: float) -> float:
    """Scale that empty solvent hardly ever reaches, at four standard deviations above the noise floor.

    Parameters
    ----------
    floor, spread : float
        Median (the noise floor as measured) and standard deviation of the sliding maximum in solvent, above zero.
    subtracted : float
        Noise floor that is subtracted for the scale.
    full : float
        Full scale.

    Returns
    -------
    float
        At most 1.
    """
    return min(float(noise_free_maximum(floor + _SOLVENT_DEVIATIONS * spread, subtracted)) / full, 1.0)
