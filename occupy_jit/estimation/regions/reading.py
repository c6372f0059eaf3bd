"""Level of a region without the contribution of noise, with its error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.estimation.regions.noise_draws import DRAWS
from occupy_jit.estimation.regions.response import ReadMap, cut_to, draw_noise, measure_response
from occupy_jit.estimation.regions.weighted_median import block_edge, quantile, weighted_median
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.regions import covered, scale_on_peaks

if TYPE_CHECKING:
    from occupy_jit.estimation.regions.weighted_median import Median
    from occupy_jit.estimation.scale.result import Result


DEPTH_ANGSTROM, DEPTH_POWER = 2.0, 2
"""Standard deviation of the Gaussian that measures the depth of a voxel in its mask, and the power of the depth in the
weight of the voxel. The rim of a mask is not content; noise has peaks there."""


class _Region(NamedTuple):
    """A mask in the box around it."""

    box: tuple[slice, ...]
    weight: np.ndarray
    outside: np.ndarray


class Reader:
    """Measures regions of one map.

    Parameters
    ----------
    read_map : ReadMap
    thread_count : int, optional
        Never changes the result.
    """

    def __init__(self, read_map: ReadMap, thread_count: int | None = None) -> None:
        self._map = read_map
        self._edge = block_edge(read_map.voxel_size)
        self._drawn = draw_noise(read_map, thread_count)
        self._response = measure_response(read_map, self._drawn)
        self._along = tuple(-(-n // self._edge) for n in read_map.volume.shape)

    def read(self, mask: np.ndarray) -> Median:
        """Level of the map in a region above the zero level, without the contribution of noise.

        The median of the sliding maximum over the peaks in the mask, weighted by the mask and by the square of
        its local mean (Gaussian, 2 Å). The maximum is taken over the ball inside the mask, so that no neighbour
        contributes.

        Parameters
        ----------
        mask : (nz, ny, nx) array
            Soft or binary.

        Returns
        -------
        occupy_jit.estimation.regions.weighted_median.Median
            In units of the map. The error is the standard deviation of the level over draws of noise added to the map.
            In a map without noise to draw from, it is the error of the median from blocks of 15 Å. The blocks include
            the variation of the structure, which two maps of it have in common.
        """
        region = self._region(mask)
        values, weights, blocks, floor = self._samples(region)
        found = weighted_median([(values, weights, blocks)])
        if math.isnan(found.value):
            return found
        level = self._response.level(found.value, floor)
        if found.error is None:
            return found._replace(value=level)
        own = self._error(found.value, found.error, level, floor)
        share = own / found.error if found.error > 0 else 0.0
        moved = {block: (weight, share * by) for block, (weight, by) in found.in_blocks.items()}
        return found._replace(value=level, error=self._over_draws(region, floor, own), in_blocks=moved)

    def _over_draws(self, region, floor, otherwise):
        """Standard deviation of the level over draws of noise."""
        if self._drawn is None:
            return otherwise
        levels = []
        for number in range(DRAWS):
            values, weights = covered(region.weight, self._peaks(region, number), self._edge)[:2]
            reading = quantile(values, weights, 0.5) if values.size else 0.0
            levels.append(self._response.level(reading, floor))
        return float(np.std(levels, ddof=1))

    def _error(self, reading, error, level, floor):
        """Change of the level when the reading changes by its error to either side, root mean square.

        A reading below that of noise alone counts as that of noise: its error is not smaller.
        """
        above = self._response.level(max(reading, self._response.of_noise * floor) + error, floor)
        below = self._response.level(reading - error, floor)
        return math.sqrt(((above - level) ** 2 + (level - below) ** 2) / 2)

    def _region(self, mask):
        """A mask in the box around it, with the weight of each voxel."""
        sigma = max(DEPTH_ANGSTROM / self._map.voxel_size, 0.5)
        mask, box = cut_to(mask, math.ceil(3 * sigma) + 1, self._edge)
        weight = np.clip(mask, 0, 1).astype(np.float32)
        outside = ~(weight > 0)
        weight *= smooth(weight, sigma) ** np.float32(DEPTH_POWER)
        return _Region(box, weight, outside)

    def _peaks(self, region, draw=None):
        """The sliding maximum at the peaks of a region, below 0 elsewhere, in the map or with a draw of noise added."""
        of = self._map
        height = of.volume[region.box] - np.float32(of.zero)
        if draw is not None:
            height += self._drawn.window(draw, region.box, of.floor_in(region.box))
        height[region.outside] = min(float(height.min()), 0.0)
        return scale_on_peaks(height, of.maximum(height), 0.0, 0.0, 1.0)

    def _samples(self, region):
        """Values, weights and blocks of the peaks in a region, and the noise floor there."""
        peaks, floor = self._peaks(region), self._map.floor_in(region.box)
        values, weights, blocks = covered(region.weight, peaks, self._edge)
        if np.ndim(floor):
            there = covered(region.weight, np.where(peaks >= 0, floor, np.float32(-1)), self._edge)[0]
            floor = float(np.average(there, weights=weights)) if there.size else 0.0
        return values, weights, self._in_map(blocks, region.weight.shape, region.box), floor

    def _in_map(self, blocks, shape, box):
        """Block numbers in the map for blocks of a box."""
        local = np.unravel_index(blocks, tuple(-(-n // self._edge) for n in shape))
        first = [part.start // self._edge for part in box]
        return np.ravel_multi_index(tuple(i + k for i, k in zip(local, first, strict=True)), self._along)

    def places(self, median: Median) -> dict[Any, Any] | None:
        """Data of each block of a median, by its position (z, y, x) among the blocks; None without an error."""
        if median.in_blocks is None:
            return None
        along = np.transpose(np.unravel_index(list(median.in_blocks), self._along)).tolist()
        return dict(zip(map(tuple, along), median.in_blocks.values(), strict=True))


def reader_of(result: Result, thread_count: int | None = None) -> Reader:
    """Reader for the map of a result.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result
    thread_count : int, optional
        Never changes the result.

    Returns
    -------
    Reader

    Raises
    ------
    ValueError
        If the low-passed map was not kept.
    """
    if result.lowpass is None:
        raise ValueError("the occupancy of regions needs the low-passed map: estimate with keep_lowpass=True")
    return Reader(ReadMap(result.lowpass, result.zero, result.floor_map, result.quiet, result.half_difference,
                          result.ball, result.voxel_size), thread_count)
