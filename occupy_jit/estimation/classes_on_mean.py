"""Classes on one density, so that they differ in occupancy and not in noise (manual: CLASSIFICATION).

A class map of a 3D classification contains the noise of its own particles. As a reference it attracts them again, more
strongly than their composition draws them to another class. The mean of the classes has the same noise for all;
multiplied at each voxel by the ratio of the scale of a class to the mean scale, it has the occupancy of that class,
estimated over the ball.

Near their resolution class maps are half noise, and so are their scales. Both scales of the ratio are therefore
smoothed. How much a difference counts depends on how weak a place is; peaks of noise hide that, and the mean map shows
it after a wider low-pass.

Equal power in every shell keeps a class from attracting all particles: if references differ in power, the
correlations with an average particle differ, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.modification.modify import match_histogram
from occupy_jit.estimation.scale.ball import derived_lowpass
from occupy_jit.estimation.scale.estimate import estimate
from occupy_jit.estimation.scale.inputs import Wanted
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.shared_density import shared_density

if TYPE_CHECKING:
    from occupy_jit.settings import Settings


SMOOTHING = 0.7, 10.0
"""Sigma of the Gaussian over the scales: in units of the resolution of the class maps, and its upper limit in Å."""

LOWPASS = 1.6, 24.0
"""Low-pass of the mean map that shows weak places: in units of the resolution of the class maps, and its upper limit in
Å, beyond which subunits blur into each other."""

_LEAST_SIGMA = 0.5  # voxels; a narrower Gaussian changes next to nothing
_LEAST_SCALE = 1e-6


@dataclass(frozen=True)
class MeanOfClasses:
    """The mean map of the classes.

    Attributes
    ----------
    volume : (nz, ny, nx) float32 array
        From `mean_map`; it is not changed.
    weights : sequence of float
        Of the classes, as for `mean_map`.
    voxel_size : float
        Å.
    full_scale : float
        Common to all classes.
    resolution : float or None
        Of the class maps in Å, if known. Without it the scales are used as they are.
    """

    volume: np.ndarray
    weights: Sequence[float]
    voxel_size: float
    full_scale: float
    resolution: float | None = None

    @property
    def sigma(self) -> float:
        """float : Sigma of the Gaussian over the scales, in voxels; 0 for none."""
        factor, largest = SMOOTHING
        sigma = min(factor * (self.resolution or 0.0), largest) / self.voxel_size
        return sigma if sigma >= _LEAST_SIGMA else 0.0

    def wide_lowpass(self, settings: Settings) -> float | None:
        """Low-pass that shows weak places, in Å; None if one is given, or if that of the scale is as wide."""
        factor, largest = LOWPASS
        wide = min(factor * (self.resolution or 0.0), largest)
        given = settings.lowpass_input_angstrom is not None or settings.resolution_angstrom is not None
        return None if given or wide <= derived_lowpass(settings, self.voxel_size) else wide


def mean_map(volumes: Iterable[np.ndarray], weights: Sequence[float]) -> np.ndarray | None:
    """Mean of maps, or scales, of the classes.

    The noise power of a class is inversely proportional to its number of particles: weights by shares of particles give
    the mean with the least noise, which is the map of all particles.

    Parameters
    ----------
    volumes : iterable of (nz, ny, nx) float32 arrays
        Only one at a time is in memory if the iterable generates them.
    weights : sequence of float
        Not negative; they need not add up to 1.

    Returns
    -------
    (nz, ny, nx) float32 array
    """
    total = None
    for volume, weight in zip(volumes, np.asarray(weights, np.float64) / np.sum(weights), strict=True):
        weighted = np.multiply(volume, np.float32(weight), dtype=np.float32)
        total = weighted if total is None else np.add(total, weighted, out=total)
    return total


def classes_on_mean(mean: MeanOfClasses, scales: Sequence[np.ndarray], settings: Settings,
                    thread_count: int | None = None) -> Iterator[np.ndarray]:
    """Yield each class as the mean map with the occupancy of the class, all with equal power.

    Confidence and zero level come from the mean map, which has the least noise. Every shell of Fourier space is scaled
    so that its power is the mean over the classes, weighted as the mean map is.

    Parameters
    ----------
    mean : MeanOfClasses
    scales : sequence of (nz, ny, nx) float32 arrays
        Scale of every class on the common full scale. They are read three times and can be memory maps.
    settings : occupy_jit.settings.Settings
        With a negative amount.
    thread_count : int, optional
        Never changes the result.

    Yields
    ------
    (nz, ny, nx) float32 array
        The same array every time.
    """
    amount, voxel_size = settings.amplify_amount, mean.voxel_size
    result = estimate(mean.volume, settings, voxel_size=voxel_size, full_scale=mean.full_scale,
                      wanted=Wanted(lowpass=False), thread_count=thread_count)
    zero, confidence = result.zero, result.confidence
    del result
    with threads(thread_count):
        common = _smoothed(mean_map(scales, mean.weights), mean.sigma)
    weak = _scale_of_mean(mean, settings, thread_count)
    out = np.empty_like(mean.volume)

    def with_occupancy_of(scale):
        with threads(thread_count):
            own = _smoothed(scale, mean.sigma)
            if weak is not None:
                own = weak * (own / np.maximum(common, np.float32(_LEAST_SCALE)))
            return shared_density(mean.volume, own, common if weak is None else weak, confidence, zero, amount,
                                  settings.amplify_limit, settings.exclude_solvent, out)

    spectra = [filters.radial_spectrum(with_occupancy_of(scale), voxel_size, threads=thread_count) for scale in scales]
    frequency = spectra[0][0]
    powers = np.array([power for _, power in spectra])
    gains = np.sqrt(np.average(powers, axis=0, weights=mean.weights) / np.where(powers > 0, powers, 1))
    for scale, gain in zip(scales, gains, strict=True):
        with_occupancy_of(scale)
        filters.filter_radially(out, lambda s, gain=gain: np.interp(s, frequency, gain), voxel_size,
                                threads=thread_count, out=out)
        if settings.lowpass_amplified_angstrom is not None:
            filters.lowpass(out, settings.lowpass_amplified_angstrom, voxel_size, threads=thread_count, out=out)
        if settings.match_histogram:
            match_histogram(out, mean.volume, out=out)
        yield out


def _smoothed(scale, sigma):
    """Scale after a Gaussian of `sigma` voxels as a new array, or the scale itself if sigma is 0."""
    return smooth(np.asarray(scale), sigma) if sigma > 0 else scale


def _scale_of_mean(mean, settings, thread_count):
    """Scale of the mean map after the wide low-pass, or None if the scales of the classes show what is weak."""
    wide = mean.wide_lowpass(settings)
    if wide is None:
        return None
    settings = replace(settings, lowpass_input_angstrom=wide, kernel_size=None, kernel_radius=None)
    return estimate(mean.volume, settings, voxel_size=mean.voxel_size, wanted=Wanted(confidence=False, lowpass=False),
                    thread_count=thread_count).scale
