"""Facts about a map from its estimate: whether there is solvent and content, and usable levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.estimation.scale.result import IgnoredFloor
from occupy_jit.estimation.solvent.flattened import FLATTENED_SHARE

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.steps import Solvent
    from occupy_jit.estimation.solvent.model import SolventModel

_FEWEST_QUIET = 0.15
# The next four limits come from simulated maps; ``python -m bench.calibrate`` prints the values that they separate.
NOISE_LIMIT = 0.31
"""Noise in solvent, as a share of the tau-quantile of the best region: above it noise dominates."""

NARROW_PEAK, UNEVEN_MAXIMUM = 0.85, 1.08
"""Quiet voxels with content vary by more than the width of the solvent peak, and the sliding maximum over them varies
by more than its own height above zero: width of the peak in deviations of the quiet voxels, and deviation of the
sliding maximum in heights. Either is sufficient, the second only if the ball is as wide as the finest detail that the
low-pass leaves; its limit lies above all maps with solvent."""

NARROW_PEAK_OF_FEW = 0.7
"""The same width after the wider low-pass of the confidence: with fewer independent values fits vary more."""

LEAST_DARK_SHARE = 3e-4
"""Share of voxels more than 4 sigma below the mean of the solvent peak, above which there is dark content."""


def usable_levels(full: float, quantile: float, floor: float, floor_given: bool
                 ) -> tuple[float, float, IgnoredFloor | None]:
    """Usable full scale and noise floor.

    In a map without content the strongest region is noise, and the noise floor reaches its quantile: no scale above it
    exists then, and the scale is the plain ratio to that quantile, noise included.

    Parameters
    ----------
    full, quantile, floor : float
        Full scale, its quantile with noise, and the noise floor, as measured, above the zero level.
    floor_given : bool

    Returns
    -------
    full, floor : float
    ignored : IgnoredFloor or None
        The unusable floor.
    """
    if not full > 0:
        full = quantile = max(abs(full), float(np.finfo(np.float32).tiny) * 1e6)
    if floor >= 0.95 * quantile:
        return quantile, 0.0, IgnoredFloor(floor, quantile, floor_given)
    return full, floor, None


def covered_share(confidence: np.ndarray) -> float:
    """Share of the box with confidence above one half."""
    return sum(np.count_nonzero(section > 0.5) for section in confidence) / confidence.size


def is_flattened(repeated_share: float) -> bool:
    """Whether so many voxels are exactly equal that the solvent was flattened or masked."""
    return repeated_share > FLATTENED_SHARE


def content_is_dark(model: SolventModel) -> bool:
    """Whether far more of the histogram lies below the solvent peak than above it.

    Parameters
    ----------
    model : occupy_jit.estimation.solvent.model.SolventModel
        Of the whole inscribed sphere, because the solvent side of a mask has no content.

    Returns
    -------
    bool
    """
    if not model.sigma > 0:
        return False
    height = (model.centres - model.mean) / model.sigma
    weight = np.where(np.abs(height) > 4, model.counts * np.abs(height) ** 3, 0)
    below, above = weight[height < 0].sum(), weight[height > 0].sum()
    return bool(below > 2 * above and model.counts[height < -4].sum() > LEAST_DARK_SHARE * model.counts.sum())


def solvent_is_missing(solvent: Solvent, spread: float, floor: float) -> bool:
    """Whether the quiet voxels are content because solvent is missing.

    Parameters
    ----------
    solvent : occupy_jit.estimation.scale.steps.Solvent
    spread, floor : float
        Standard deviation of the sliding maximum over the quiet voxels, and the noise floor, in units of the map; a
        given floor, or a floor of 0, is not informative.

    Returns
    -------
    bool
    """
    if solvent.quiet_share < _FEWEST_QUIET:
        return True
    return peak_is_narrow(solvent, NARROW_PEAK) or bool(spread > UNEVEN_MAXIMUM * floor > 0)


def peak_is_narrow(solvent: Solvent, limit: float) -> bool:
    """Whether the peak of solvent in the histogram is narrower than the noise of the quiet voxels.

    Parameters
    ----------
    solvent : occupy_jit.estimation.scale.steps.Solvent
    limit : float
        Width of the peak, in standard deviations of the quiet voxels, below which it is.

    Returns
    -------
    bool
    """
    return bool(solvent.whole.fitted and solvent.whole.sigma < limit * solvent.noise)
