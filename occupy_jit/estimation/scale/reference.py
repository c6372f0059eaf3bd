"""Full scale from a region that is known to be fully occupied, without a search or a quantile.

Full scale is the level of the reference, so that its occupancy is 1 by the same measure as for other
regions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.regions.reading import Reader
from occupy_jit.estimation.regions.response import ReadMap
from occupy_jit.estimation.regions.weighted_median import FEWEST_BLOCKS
from occupy_jit.estimation.scale.contrast import maximum_with_noise
from occupy_jit.estimation.scale.result import FullScale

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.inputs import Inputs
    from occupy_jit.estimation.scale.steps import Noise
    from occupy_jit.estimation.solvent.quiet_voxels import Quiet

_MUCH_WEAKER = 0.8


class UnusableReference(InputError):
    """A reference mask that is too small or empty."""


class Reference(NamedTuple):
    """Result of a reference mask.

    Attributes
    ----------
    blocks : float
        Independent blocks of 15 Å.
    searched : float
        Full scale by a search, without the mask.
    """

    blocks: float
    searched: float


def full_scale_in_mask(inputs: Inputs, noise: Noise, floor: float | np.ndarray, quiet: Quiet,
                       searched: FullScale) -> tuple[FullScale, float, Reference]:
    """Full scale as the noise-free level inside a mask, measured as in `occupancy_of_masks`.

    Parameters
    ----------
    inputs : occupy_jit.estimation.scale.inputs.Inputs
        With a reference mask.
    noise : occupy_jit.estimation.scale.steps.Noise
        The map, its zero level, and half of the difference of the half maps.
    floor : float or float32 array
        Noise floor, for voxels or cells of two voxels.
    quiet : occupy_jit.estimation.solvent.quiet_voxels.Quiet
    searched : FullScale
        Of the whole map.

    Returns
    -------
    found : FullScale
    error : float
        Standard error in units of the map.
    reference : Reference

    Raises
    ------
    UnusableReference
        If the mask contains nothing, or too little for an error.
    ValueError
        If the mask has another shape.
    """
    mask = np.asarray(inputs.masks.reference)
    if mask.shape != noise.source.shape:
        raise ValueError(f"reference mask: shape {mask.shape} differs from the map's {noise.source.shape}")
    read_map = ReadMap(noise.source, noise.zero, floor, quiet, noise.difference, inputs.ball, inputs.voxel_size)
    median = Reader(read_map, inputs.thread_count).read(mask)
    if not median.value > 0:
        raise UnusableReference("nothing stands above solvent inside the reference mask: it must cover a part of the "
                                "map that is fully occupied, with values above 0")
    if median.blocks < FEWEST_BLOCKS:
        raise UnusableReference(f"the reference mask contains {median.blocks:.1f} independent blocks of 15 Å, and "
                                f"full scale needs at least {FEWEST_BLOCKS:.0f}: mark a larger part, such as a whole "
                                "chain")
    level = float(np.median(floor)) if np.ndim(floor) else floor
    with_noise = maximum_with_noise(median.value, level)
    found = FullScale(median.value, None, searched.tile, searched.zero, searched.tau, float(with_noise))
    return found, median.error, Reference(median.blocks, searched.value)  # pyright: ignore[reportReturnType]


def verdicts(reference: Any, full: Any) -> list[Any]:
    """Verdict if a part of the map is much stronger than the reference: list of (code, sentence)."""
    if not full < _MUCH_WEAKER * reference.searched:
        return []
    return [("reference-weak", f"the reference mask lies at {full / reference.searched:.2f} of the strongest part of "
                               "the map: the scale of everything stronger is limited to 1")]
