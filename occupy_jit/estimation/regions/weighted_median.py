"""Weighted quantiles, and the error of a median of locally correlated values."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

BLOCK_ANGSTROM = 15.0
"""Edge of the cubes of space that count as independent of each other."""

FEWEST_BLOCKS = 3.0
"""With fewer independent cubes their spread is not informative."""


class Median(NamedTuple):
    """Weighted median of a region.

    Attributes
    ----------
    value : float
        NaN if there is no weight.
    error : float or None
        Standard error; None if the region is too small for one.
    blocks : float
        Number of independent blocks, ``(sum W)^2 / sum W^2`` with W the weight of each.
    in_blocks : dict or None
        For each block, by number: its share of the weight and its contribution to the median.
    """

    value: float
    error: float | None
    blocks: float
    in_blocks: dict | None = None


def block_edge(voxel_size: float) -> int:
    """Edge of the blocks in voxels, at least 1."""
    return max(1, round(BLOCK_ANGSTROM / voxel_size))


class _Sorted:
    """Values in ascending order, with the share of the weight below the middle of each."""

    def __init__(self, values: np.ndarray, weights: np.ndarray) -> None:
        order = np.argsort(values, kind="stable")
        self.values = np.asarray(values)[order].astype(np.float64)
        sorted_weights = np.asarray(weights)[order].astype(np.float64)
        total = np.cumsum(sorted_weights)
        self.share = (total - sorted_weights / 2) / total[-1]

    def quantile(self, share: float) -> float:
        return float(np.interp(share, self.share, self.values))


def quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Weighted quantile: the value with this share of the weight below the middle of its own.

    Parameters
    ----------
    values, weights : (n,) arrays
        Weights of at least 0, not all 0.
    share : float

    Returns
    -------
    float
    """
    chosen = weights > 0
    return _Sorted(values[chosen], weights[chosen]).quantile(share)


def weighted_median(samples: Sequence[tuple[Any, ...]]) -> Median:
    """Median over a region, and its standard error from the spread between blocks of space.

    The share of the weight below the median varies between blocks
    by noise and by structure alike; the quantiles this far on both sides of the middle are as far
    apart as twice the error (as for a simple random sample; Woodruff 1952, JASA 47, 635).

    Parameters
    ----------
    samples : sequence of (values, weights, blocks)
        One or more sets of samples of the same region, arrays of one length each; blocks are integers that mean the
        same in all sets. The median is the mean of their medians.

    Returns
    -------
    Median
    """
    sets = []
    for values, weights, blocks in samples:
        chosen = np.asarray(weights) > 0
        sets.append(tuple(np.asarray(a)[chosen] for a in (values, weights, blocks)))
    if not all(values.size for values, _, _ in sets):
        return Median(math.nan, None, 0.0)
    names, place = np.unique(np.concatenate([blocks for _, _, blocks in sets]), return_inverse=True)
    places = np.split(place, np.cumsum([values.size for values, _, _ in sets])[:-1])
    in_block, below = np.zeros(names.size), np.zeros(names.size)
    ordered, medians = [], []
    for (values, weights, _), where in zip(sets, places, strict=True):
        ordered.append(_Sorted(values, weights))
        median = ordered[-1].quantile(0.5)
        medians.append(median)
        weights = weights.astype(np.float64) / weights.sum(dtype=np.float64) / len(sets)
        in_block += np.bincount(where, weights, names.size)
        # values equal to the median lie half below it
        lower = (values < median) + 0.5 * (values == median) - 0.5
        below += np.bincount(where, weights * lower, names.size)
    blocks = float(1 / np.square(in_block).sum())
    value = float(np.mean(medians))
    if blocks < FEWEST_BLOCKS:
        return Median(value, None, blocks)
    shift = math.sqrt(blocks / (blocks - 1) * np.square(below).sum())
    widths = [(s.quantile(min(0.5 + shift, 1.0)) - s.quantile(max(0.5 - shift, 0.0))) / 2 for s in ordered]
    error = float(np.mean(widths))
    influence = -below * (error / shift) if shift > 0 else np.zeros_like(below)
    moved = zip(in_block.tolist(), influence.tolist(), strict=True)
    return Median(value, error, blocks, dict(zip(names.tolist(), moved, strict=True)))
