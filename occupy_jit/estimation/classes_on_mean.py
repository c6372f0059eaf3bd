"""Classes on one density, so that they differ in occupancy and not in noise (manual: CLASSIFICATION).

A class map of a 3D classification contains the noise of its own particles. As a reference it attracts them again, more
strongly than their composition draws them to another class. The mean of the classes has the same noise for all;
multiplied at each voxel by the ratio of the scale of a class to the mean scale, it has the occupancy of that class,
estimated over the ball.

Equal power in every shell keeps a class from attracting all particles: if references differ in power, the
correlations with an average particle differ, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.estimation.fourier import filters
from occupy_jit.estimation.modification.modify import match_histogram
from occupy_jit.estimation.scale.estimate import estimate
from occupy_jit.estimation.scale.inputs import Wanted
from occupy_jit.kernels.jit.decorator import threads
from occupy_jit.kernels.shared_density import shared_density

if TYPE_CHECKING:
    from occupy_jit.settings import Settings


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


def classes_on_mean(mean: np.ndarray, scales: Sequence[np.ndarray], weights: Sequence[float], settings: Settings,
                    voxel_size: float, full_scale: float, thread_count: int | None = None) -> Iterator[np.ndarray]:
    """Yield each class as the mean map with the occupancy of the class, all with equal power.

    Confidence and zero level come from the mean map, which has the least noise. Every shell of Fourier space is scaled
    so that its power is the mean over the classes, weighted as the mean map is.

    Parameters
    ----------
    mean : (nz, ny, nx) float32 array
        From `mean_map`; it is not changed.
    scales : sequence of (nz, ny, nx) float32 arrays
        Scale of every class on the common full scale. They are read three times and can be memory maps.
    weights : sequence of float
        As for `mean_map`.
    settings : occupy_jit.settings.Settings
        With a negative amount.
    voxel_size : float
        Å.
    full_scale : float
        Common to all classes.
    thread_count : int, optional
        Never changes the result.

    Yields
    ------
    (nz, ny, nx) float32 array
        The same array every time.
    """
    amount = settings.amplify_amount
    result = estimate(mean, settings, voxel_size=voxel_size, full_scale=full_scale,
                      wanted=Wanted(lowpass=False), thread_count=thread_count)
    zero, confidence = result.zero, result.confidence
    del result
    mean_scale = mean_map(scales, weights)
    out = np.empty_like(mean)

    def with_occupancy_of(scale):
        with threads(thread_count):
            return shared_density(mean, scale, mean_scale, confidence, zero, amount, settings.amplify_limit,
                                  settings.exclude_solvent, out)

    spectra = [filters.radial_spectrum(with_occupancy_of(scale), voxel_size, threads=thread_count) for scale in scales]
    frequency = spectra[0][0]
    powers = np.array([power for _, power in spectra])
    gains = np.sqrt(np.average(powers, axis=0, weights=weights) / np.where(powers > 0, powers, 1))
    for scale, gain in zip(scales, gains, strict=True):
        with_occupancy_of(scale)
        filters.filter_radially(out, lambda s, gain=gain: np.interp(s, frequency, gain), voxel_size,
                                threads=thread_count, out=out)
        if settings.lowpass_amplified_angstrom is not None:
            filters.lowpass(out, settings.lowpass_amplified_angstrom, voxel_size, threads=thread_count, out=out)
        if settings.match_histogram:
            match_histogram(out, mean, out=out)
        yield out
