"""Separation of occupancy and flexibility: both lower the scale, but flexibility lowers it more at finer detail.

The power of the map is measured locally in resolution bands, relative to the region which defines full
scale. An occupancy of o multiplies every band by o^2, and a B factor that is larger by dB multiplies the band at s by
exp(-dB s^2 / 2): the slope of the logarithm gives dB, and dB gives the effect of flexibility on the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.flexibility_bands import (
    FEWEST,
    bands_of,
    mean_square_frequency,
    share_below,
)
from occupy_jit.estimation.fourier import band_power
from occupy_jit.kernels import band_slopes
from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.regions import scale_on_peaks
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.result import Result

WINDOW_ANGSTROM = 9.0
"""Sigma of the Gaussian that averages the power. Smaller ones have too few independent samples."""

CONTENT_SCALE = 0.2
"""Scale above which a voxel counts for the flexibility of the content."""

_SOFT = -25.0
"""Median relative B factor of the content, Å^2, below which the region of full scale is itself flexible:
nucleic acid beside protein has the same effect."""

_EDGE = 0.015  # width of the flanks of the bands, 1/Å
_SIGNIFICANT = 3.0
_VARIATION = 0.5


@dataclass(frozen=True)
class Band:
    """Power of the reference in a band of resolution.

    Attributes
    ----------
    low, high : float
        Limits in Å.
    square_frequency : float
        Mean of s^2, 1/Å^2.
    signal, noise, deviation : float
        Power of the signal, its standard error, and power of the noise: of the map, or of one half map.
    used : bool
    """

    low: float
    high: float
    square_frequency: float
    signal: float
    noise: float
    deviation: float
    used: bool = False


@dataclass(frozen=True)
class Flexibility:
    """Occupancy and flexibility, separated.

    Attributes
    ----------
    occupancy : (nz, ny, nx) float32 array
        Scale corrected for flexibility, in [0, 1].
    b_factor : (nz, ny, nx) float32 array
        B factor relative to the region of full scale, Å^2.
    bands : tuple of Band
    content_median : float
        Median of `b_factor` over the content, Å^2.
    """

    occupancy: np.ndarray
    b_factor: np.ndarray
    bands: tuple
    content_median: float


def separate(volume: np.ndarray, difference: np.ndarray | None, result: Result,
             reference_mask: np.ndarray | None = None, thread_count: int | None = None) -> Flexibility:
    """Separate occupancy from flexibility.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The map, or the mean of two half maps, before the low-pass.
    difference : (nz, ny, nx) float32 array or None
        Half of the difference of the half maps, before the low-pass.
    result : occupy_jit.estimation.scale.result.Result
        Of the same map, with the low-passed map.
    reference_mask : (nz, ny, nx) array, optional
        Mask that sets full scale, if no cube does.
    thread_count : int, optional
        Never changes the result.

    Returns
    -------
    Flexibility

    Raises
    ------
    InputError
        If flexibility cannot be measured: too few bands in which the reference shows signal.
    ValueError
        If no region of the map sets full scale.
    """
    weight = _reference_weight(result, reference_mask)
    bands, kept = [], []
    limits = bands_of(result.voxel_size)
    for (low, high), (power, noise) in zip(limits, _powers(volume, difference, result, limits, thread_count),
                                           strict=False):
        band = _reference_band(power, noise, weight, low, high, difference is None)
        if not band.signal > _SIGNIFICANT * band.deviation:
            bands.append(band)
            break  # skip finer bands: they would be uneven noise
        bands.append(Band(**{**vars(band), "used": True}))
        kept.append((power, noise))
    if len(kept) < FEWEST:
        raise InputError(f"the strongest region has signal in only {len(kept)} of the resolution bands "
                         f"{_in_words(bands)}: too little detail to separate flexibility from occupancy, which needs "
                         f"{FEWEST}; leave out --separate-flexibility")
    used = [band for band in bands if band.used]
    occupancy, b_factor = _apart(result, used, kept, weight, difference is None)
    return Flexibility(occupancy, b_factor, tuple(bands), _content_median(b_factor, result))


def verdicts(result: Result) -> list[tuple[Any, ...]]:
    """Verdicts on flexibility: unknown noise, or a flexible reference.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result
        With or without flexibility.

    Returns
    -------
    list of (code, sentence)
    """
    found = []
    if result.flexibility is None:
        return found
    if result.facts.solvent_flattened and result.half_maps is None:
        found.append(("flexibility-noise-unknown", "the solvent was flattened, so the noise in fine detail is "
                                                   "unknown and counts as signal: weak parts appear too rigid; use "
                                                   "the map before masking, or half maps"))
    middle = result.flexibility.content_median
    if middle < _SOFT:
        found.append(("flexibility-reference", "the region of full scale is less sharp than most of the map (by "
                                               f"{-middle:.0f} Å^2): it is flexible itself or of another composition; "
                                               "mark a rigid, fully occupied part with --reference-mask"))
    return found


def _content_median(b_factor, result):
    """Median of the relative B factor over the content, Å^2; 0 without content."""
    content = b_factor[result.scale > max(CONTENT_SCALE, result.solvent_limit)]
    return float(np.median(content)) if content.size else 0.0


def _in_words(bands):
    return ", ".join(f"{band.low:g}-{band.high:g} Å" for band in bands)


def _reference_weight(result, mask):
    """Weight of each cell in the means of the reference: the low-passed map where it is above the zero level."""
    if mask is None and result.full_scale_corner is None:
        raise ValueError("flexibility is measured relative to the region of full scale, but no region was searched "
                         "or marked")
    weight = np.zeros(result.lowpass.shape, np.float32)
    if mask is None:
        there = tuple(slice(start, start + result.tile) for start in result.full_scale_corner)
        np.maximum(result.lowpass[there] - np.float32(result.zero), 0, out=weight[there])
    else:
        np.subtract(result.lowpass, np.float32(result.zero), out=weight)
        np.maximum(weight, 0, out=weight)
        weight *= np.clip(mask, 0, 1)
    return binned.cell_mean(weight).astype(np.float64)


def _mean(values, weight):
    return float((values * weight).sum() / weight.sum())


def _powers(volume, difference, result, limits, thread_count):
    """Yield for each band the power of the signal around each cell, and that of the noise.

    For one map the noise is a number. For half maps all bands of their mean come first, so that only one transform is
    held.
    """
    if difference is None:
        for power, noise in _of_bands(volume, result, limits, result.quiet, thread_count):
            power -= np.float32(noise)
            yield power, noise
        return
    powers = [power for power, _ in _of_bands(volume, result, limits, None, thread_count)]
    for noise, _ in _of_bands(difference, result, limits, None, thread_count):
        power = powers.pop(0)
        power -= noise  # the product of the halves
        noise *= np.float32(2)  # the noise of one half
        yield power, noise


def _of_bands(volume, result, limits, quiet, thread_count):
    """Yield the smoothed power of each band and its variance over the quiet voxels."""
    spectrum = band_power.Spectrum(volume, result.voxel_size, _end(limits[-1][1]), thread_count)
    for low, high in limits:
        yield band_power.smoothed_power(spectrum, _transfer(low, high), _end(high), WINDOW_ANGSTROM, quiet)


def _end(high):
    """Frequency at which the flank of a band reaches 0."""
    return 1 / high + _EDGE / 2


def _transfer(low, high):
    """Factors of a band with flanks of a raised cosine: a function of frequencies in 1/Å."""
    def edge(frequency, limit):
        return 0.5 + 0.5 * np.cos(np.pi * np.clip((frequency - 1 / limit) / _EDGE + 0.5, 0, 1))

    return lambda s: edge(s, high) * (1 - edge(s, low))


def _samples(low, high):
    """Independent samples of a band in the window: its volume in space times that in Fourier space."""
    window = (4 * math.pi) ** 1.5 * WINDOW_ANGSTROM ** 3
    return window * 4 * math.pi / 3 * (high ** -3 - low ** -3)


def _reference_band(power, noise, weight, low, high, of_map):
    """Power of the reference in a band."""
    c, v = _mean(power, weight), _mean(noise, weight)
    variance = (2 if of_map else 1) * v ** 2 / _samples(low, high)
    if of_map:
        # noise elsewhere, as measured in solvent
        variance += (_VARIATION * v) ** 2 / _SIGNIFICANT ** 2
    return Band(low, high, mean_square_frequency(low, high), c, v, math.sqrt(variance))


def _apart(result, bands, kept, weight, of_map):
    """Occupancy and relative B factor."""
    middle = sum(band.square_frequency for band in bands) / len(bands)
    sums = np.zeros((5, *kept[0][0].shape), np.float32)
    for band, (power, noise) in zip(bands, kept, strict=True):
        band_slopes.add_band_to_slope(sums, power, noise, band.signal, band.square_frequency - middle,
                             _samples(band.low, band.high), of_map)
    b_factor = band_slopes.relative_b_factor(sums)
    del sums
    kept.clear()
    whole = binned.smoothed_cells(binned.cell_power(result.lowpass, result.zero), WINDOW_ANGSTROM / result.voxel_size)
    noise = result.noise ** 2
    if result.half_difference is not None:
        noise = _mean(binned.smoothed_cells(binned.cell_power(result.half_difference, 0.0),
                                           WINDOW_ANGSTROM / result.voxel_size), weight)
    powers = [band.signal * share_below(band.low, band.high, result.lowpass_angstrom) for band in bands]
    rest = max(_mean(whole, weight) - noise - sum(powers), 0.0)
    maximum = sliding_maximum(result.lowpass, result.ball.radius, result.ball.size)
    scale = scale_on_peaks(result.lowpass, maximum, result.zero, result.floor_map, result.full_scale, out=maximum,
                           everywhere=True)
    return band_slopes.occupancy_without_flexibility(scale, b_factor, powers,
                                                     [band.square_frequency for band in bands], rest,
                                                     result.solvent_limit)
