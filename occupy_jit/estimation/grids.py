"""Sampling of large maps for quantities that vary slowly. Standard library only, so that memory is predicted
quickly."""

import math

QUIET_SMOOTHING_ANGSTROM = 4.0
"""Sigma of the Gaussian that smooths the power for quiet voxels."""

SOFTENING_ANGSTROM = 3.0
"""Sigma of the Gaussian that softens the edge of the content for the measurement of resolution bands."""

LEAST_SIGMA = 2.0
"""Smallest sigma, in voxels, of a Gaussian whose result a grid of cells of two voxels can represent."""

_LARGE = 1 << 20


def is_thin(shape: tuple[int, int, int]) -> bool:
    """Whether a map is so large that every other voxel along each axis suffices for medians.

    Low-passed maps and sliding maxima vary over several voxels: neighbours are redundant, and the median of an
    eighth of a few million voxels is as good as that of all voxels. Small boxes use every voxel.
    """
    return math.prod(shape) > _LARGE


def cells_hold(shape: tuple[int, int, int], voxel_size: float) -> bool:
    """Whether power and evidence are kept on the grid of cells (`occupy_jit.kernels.grid.binned`) of a map."""
    return is_thin(shape) and QUIET_SMOOTHING_ANGSTROM / voxel_size >= LEAST_SIGMA


def in_place(shape: tuple[int, int, int], with_confidence: bool, keep_source: bool) -> bool:
    """Whether the sliding maximum replaces its input.

    Only for large maps, because a few sections are held twice; with a confidence the input is working space.
    """
    return is_thin(shape) and not with_confidence and not keep_source


def sections_at_a_time(n_z: int) -> int:
    """Number of sections of a map of `n_z` that are dilated at a time: few, but their neighbours are computed twice."""
    return max(32, n_z // 16 * 2)
