"""Occupancy of regions, with its error: inside masks, and at the atoms of a model.

The mean of the scale over a mask is the wrong number: the rim of a mask is not content, and the wider the mask, the
lower the mean. On peaks, where the map itself reaches half of its sliding maximum, the scale belongs to the voxel
itself, and the median over the peaks in a mask hardly depends on the width of the mask.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.regions.reading import reader_of

if TYPE_CHECKING:
    from occupy_jit.estimation.regions.weighted_median import Median
    from occupy_jit.estimation.scale.result import Result

LEAK = 0.025
"""Share of its missing occupancy that neighbours may spread into a part: the ball and the low-pass carry
density over. Root mean square over chains of proteins simulated without noise, all of whose neighbours are stronger or
weaker (0.008 to 0.037 of ``1 - occupancy``)."""


def occupancy_of_masks(result: Result, masks: Any) -> list[dict[str, Any]]:
    """Occupancy inside each mask and its standard error, without the error of full scale.

    The contrast inside the mask (`occupy_jit.estimation.regions.reading`) over full scale, limited to 0 to 1. The
    error includes leakage from neighbours (`LEAK`). The error of full scale is the same for all masks of a
    map: see `occupy_jit.estimation.scale.errors.relative_error_of_full_scale`.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result
        With the low-passed map.
    masks : iterable of (name, (nz, ny, nx) array)
        Soft or binary, in [0, 1]; they may overlap. Each is used once and not kept.

    Returns
    -------
    list of dict
        mask; occupancy (None without a peak in the mask); error (None if the mask is too small); blocks, the number of
        independent blocks; voxels, the sum of the mask; in_blocks: for each block, by its position (z, y, x)
        among the blocks, its share of the mask and its contribution to the occupancy, for
        `occupy_jit.estimation.comparison.masks.compare_targets`; None without an error.

    Raises
    ------
    ValueError
        If the low-passed map was not kept, or a mask has another shape than the map.
    """
    reader = None
    rows = []
    for name, mask in masks:
        mask = np.asarray(mask)
        if mask.shape != result.scale.shape:
            raise ValueError(f"mask {name}: shape {np.shape(mask)} differs from the map's {result.scale.shape}")
        if reader is None:
            reader = reader_of(result)
        found = with_leak(_relative(reader.read(mask), result.full_scale))
        total = sum(float(np.clip(section, 0, 1).sum(dtype=np.float64)) for section in mask)
        rows.append({"mask": name, **in_words(found), "voxels": total, "in_blocks": reader.places(found)})
    return rows


def _relative(median: Median, full: float) -> Median:
    """A median in units of the map, over full scale."""
    if median.error is None:
        return median._replace(value=median.value / full)
    moved = {block: (weight, by / full) for block, (weight, by) in median.in_blocks.items()}
    return median._replace(value=median.value / full, error=median.error / full, in_blocks=moved)


def with_leak(median: Median) -> Median:
    """The same median with an error that includes leakage from stronger neighbours into a part of lower occupancy."""
    if median.error is None:
        return median
    return median._replace(error=math.hypot(median.error, LEAK * (1 - min(max(median.value, 0.0), 1.0))))


def in_words(median: Median) -> dict[str, Any]:
    """Occupancy, error and blocks of a median for tables: None if missing, limited to 0 to 1."""
    occupancy = None if math.isnan(median.value) else min(max(median.value, 0.0), 1.0)
    return {"occupancy": occupancy, "error": median.error, "blocks": median.blocks}
