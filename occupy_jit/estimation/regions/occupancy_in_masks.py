"""Occupancy of regions, with an error: of masks, and at the atoms of a model.

The mean of the scale over a mask is the wrong number: the rim of a mask is no content, and the wider the mask the less
it reads. Where the map itself reaches half of its sliding maximum, on peaks, the scale belongs to the
place where it is read, and the median over the peaks in a mask hardly depends on the mask's width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.noise import common_noise
from occupy_jit.estimation.regions.weighted_median import block_edge, weighted_median
from occupy_jit.kernels.regions import NOT_ON_A_PEAK, covered, scale_on_peaks
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

if TYPE_CHECKING:
    from occupy_jit.estimation.noise.common_noise import CommonNoise
    from occupy_jit.estimation.regions.weighted_median import Median
    from occupy_jit.estimation.scale.result import Result

LEAK = 0.025
"""How much of what a part is short of full occupancy its neighbours may bring into it: the ball and the low-pass carry
them over. Root mean square over chains of proteins simulated without noise, all of whose neighbours are stronger or
weaker (.008 to .037 of ``1 - occupancy``)."""


def occupancy_of_masks(result: Result, masks: Iterable[np.ndarray]) -> list[dict[str, Any]]:
    """Occupancy inside each mask and its standard error, given full scale.

    The median of the scale, not limited to 1, over the voxels of the mask that are on peaks, weighted with the
    mask and only then limited to 0 and 1; with half maps the mean of the medians of each half over the peaks of the
    other. Its error is found from blocks of 15 Å, and holds what leaks in from neighbours (`LEAK`) and the noise that
    all blocks have in common (`common_noise`). Full scale has an error of its own, the same for all masks of a map: see
    `errors_of_scale.relative_error_of_full_scale`.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result
        With the low-passed map.
    masks : iterable of (name, (nz, ny, nx) array)
        Soft or binary, in [0, 1]; they may overlap. Each is looked at once and not kept.

    Returns
    -------
    list of dict
        mask; occupancy (None without a peak in the mask); error (None if it is too small for one); blocks, how many
        independent ones there are; voxels, the sum of the mask; in_blocks: of each block, named by its place (z, y, x)
        among the blocks, its share of the mask and by how much it moves the occupancy, for
        `occupy_jit.estimation.comparison.masks.compare_targets`; None without an error.

    Raises
    ------
    ValueError
        If the low-passed map was not kept, or a mask has another shape than the map.
    """
    samples = noise = None
    edge = block_edge(result.voxel_size)
    rows = []
    for name, mask in masks:
        mask = np.asarray(mask)
        if mask.shape != result.scale.shape:
            raise ValueError(f"mask {name}: shape {np.shape(mask)} differs from the map's {result.scale.shape}")
        if samples is None:
            samples = [(peaks(result), None)] if result.half_difference is None else crossed(result)
            noise = common_noise.CommonNoise(result.half_difference, edge) if result.half_difference is not None \
                else common_noise.of_solvent(result.lowpass, result.zero, result.quiet, edge)
        parts = [covered(mask if height is None else np.clip(mask, 0, 1) * height, values, edge)
                 for values, height in samples]
        found = with_common_noise(with_leak(weighted_median(parts)), parts, noise, result.floor, result.full_scale,
                                  result.half_difference is not None)
        total = sum(float(np.clip(section, 0, 1).sum(dtype=np.float64)) for section in mask)
        rows.append({"mask": name, **in_words(found), "voxels": total, "in_blocks": _placed(found, mask.shape, edge)})
    return rows


def _placed(median, shape, edge):
    """What is known of each block, by its place among the blocks."""
    if median.in_blocks is None:
        return None
    along = tuple(-(-n // edge) for n in shape)
    places = np.transpose(np.unravel_index(list(median.in_blocks), along)).tolist()
    return dict(zip(map(tuple, places), median.in_blocks.values(), strict=True))


def with_common_noise(median: Median, parts: Sequence[tuple[Any, ...]], noise: CommonNoise, floor: float, full: float,
                      of_halves: bool) -> Median:
    """The same median with an error that holds the noise which all blocks of the region have in common.

    Parameters
    ----------
    median : Median
        Of a scale.
    parts : sequence of (values, weights, blocks)
        What it is the median of.
    noise : occupy_jit.estimation.noise.common_noise.CommonNoise
    floor, full : float
        Noise floor and full scale of that scale.
    of_halves : bool
    """
    if median.error is None:
        return median
    weights, blocks = (np.concatenate([part[index] for part in parts]) for index in (1, 2))
    variance = common_noise.in_scale(noise.variance(blocks, weights), median.value, floor, full, of_halves)
    return median._replace(error=math.hypot(median.error, math.sqrt(variance)))


def with_leak(median: Median) -> Median:
    """The same median with an error that holds what stronger neighbours bring into a part of lower occupancy."""
    if median.error is None:
        return median
    return median._replace(error=math.hypot(median.error, LEAK * (1 - min(max(median.value, 0.0), 1.0))))


def in_words(median: Median) -> dict[str, float]:
    """Occupancy, error and blocks of a median, as tables hold them: None for what is not there, limited to 0 and 1."""
    occupancy = None if math.isnan(median.value) else min(max(median.value, 0.0), 1.0)
    return {"occupancy": occupancy, "error": median.error, "blocks": median.blocks}


def peaks(result: Result) -> np.ndarray:
    """Scale on peaks, not limited to 1, and -1 elsewhere: (nz, ny, nx) float32 array."""
    if result.lowpass is None:
        raise ValueError("the occupancy of regions needs the low-passed map: estimate with keep_lowpass=True")
    maximum = sliding_maximum(result.lowpass, result.ball.radius, result.ball.size)
    return scale_on_peaks(result.lowpass, maximum, result.zero, result.floor_map, result.full_scale, out=maximum)


def crossed(result: Any) -> list[tuple[Any, ...]] | np.ndarray:
    """Scale of each half map, not limited to 1, where the other half is on a peak, and -1 elsewhere; that one's height.

    Values, and the choice of their places and weights, then have independent noise: a voxel that noise lifts is not
    chosen for it. The height, at most 1, is a weight: of a wide mask most peaks are noise in solvent.

    Returns
    -------
    list of (values, height), (nz, ny, nx) float32 arrays
    """
    if result.lowpass is None:
        raise ValueError("the occupancy of regions needs the low-passed map: estimate with keep_lowpass=True")
    return crossed_halves(result.lowpass, result.half_difference, result.zero, result.floor_map, result.full_scale,
                          result.ball)


def crossed_halves(mean: Any, difference: Any, zero: Any, floor: Any, full: Any, ball: Any) -> list[Any]:
    """What `crossed` does, of the mean and half of the difference of two half maps."""
    values, elsewhere, heights = [], [], []
    floor = floor * np.float32(math.sqrt(2))  # a half has twice the noise power of the mean
    for sign in (1, -1):
        half = mean + np.float32(sign) * difference
        maximum = sliding_maximum(half, ball.radius, ball.size)
        elsewhere.append(_between_peaks(half, maximum, np.float32(zero)))
        values.append(scale_on_peaks(half, maximum, zero, floor, full, out=maximum, everywhere=True))
        half -= np.float32(zero)
        np.maximum(half, 0, out=half)
        half /= max(float(half.max()), float(np.finfo(np.float32).tiny))
        heights.append(half)
    for own, other in zip(values, reversed(elsewhere), strict=True):
        own[other] = NOT_ON_A_PEAK
    return list(zip(values, reversed(heights), strict=True))


def _between_peaks(volume, maximum, zero):
    """Where a map does not reach half of its sliding maximum: (nz, ny, nx) array of bool."""
    out = np.empty(volume.shape, bool)
    for here, values, highest in zip(out, volume, maximum, strict=True):
        height = highest - zero
        np.logical_not((values - zero > np.float32(0.5) * height) & (height > 0), out=here)
    return out
