"""Which voxels of a large map are enough for what varies slowly. Standard library only: memory is told beforehand."""

import math

QUIET_SMOOTHING_ANGSTROM = 4.0
"""Sigma of the Gaussian that the power of quiet voxels is smoothed with."""

SOFTENING_ANGSTROM = 3.0
"""Sigma of the Gaussian that softens the edge of the content where bands of the spectrum are measured."""

LEAST_SIGMA = 2.0
"""Sigma, in voxels, from which on what a Gaussian leaves is held by a grid of cells of two voxels."""

_LARGE = 1 << 20


def is_thin(shape: tuple[int, int, int]) -> bool:
    """Whether a map is so large that every other voxel on each axis is enough for medians.

    Low-passed maps and sliding maxima vary over several voxels: neighbours tell the same, and the median of an
    eighth of a few million voxels is as good as that of all. Small boxes use every voxel.
    """
    return math.prod(shape) > _LARGE


def cells_hold(shape: tuple[int, int, int], voxel_size: float) -> bool:
    """Whether power and evidence are kept on the grid of cells (`occupy_jit.kernels.grid.binned`) of a map."""
    return is_thin(shape) and QUIET_SMOOTHING_ANGSTROM / voxel_size >= LEAST_SIGMA


def in_place(shape: tuple[int, int, int], with_confidence: bool, keep_source: bool) -> bool:
    """Whether the sliding maximum replaces what it is taken from.

    Only of large maps, as a few sections are held twice; with a confidence what it is taken from is working space.
    """
    return is_thin(shape) and not with_confidence and not keep_source


def sections_at_a_time(n_z: int) -> int:
    """How many sections of a map of `n_z` are dilated at a time: few, but their neighbours are done twice."""
    return max(32, n_z // 16 * 2)
