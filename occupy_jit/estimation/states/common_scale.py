"""Volumes on one scale: occupancy 1 is the mean of the same parts in every volume.

Parts that agree with the fullest in nearly all volumes set the grey scale of each volume. They are found once, from all
volumes together, because the fullest part of a single volume depends on its noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from occupy_jit.estimation.parts.full_group import full_group

_NEARLY_ALL = 0.95
_SURE = 2.5
_LEAST, _MOST = 0.07, 0.12
_SPREAD = 0.03
"""Scatter of full parts by errors of the model."""
_SUPPORT = 0.03
"""Share of the atoms that must reach a level before it counts as full."""
_TURNS = 20
_THERE = 0.5


@dataclass
class CommonScale:
    """Occupancies of many volumes on one scale.

    Attributes
    ----------
    occupancy, noise : ndarray (volumes, parts), float64
        And their standard errors by noise.
    full : ndarray (volumes,), float64
        Full scale of each volume, in its own units.
    weights : ndarray (parts,), float64
        Of the reference parts, with a sum of 1. All 0 if no part is full in nearly all volumes: each volume is then on
        the scale of its own fullest parts.
    """

    occupancy: np.ndarray
    noise: np.ndarray
    full: np.ndarray
    weights: np.ndarray


def to_common_scale(raw: np.ndarray, deviation: np.ndarray, correlation: np.ndarray, size: np.ndarray,
                    reference: Sequence[int] | None = None) -> CommonScale:
    """Find the reference parts, and divide every volume by its own full scale.

    Parameters
    ----------
    raw, deviation : ndarray (volumes, parts)
        Occupancies on each volume's own scale, and their standard errors by noise.
    correlation : ndarray (parts, parts)
        Correlation of the noise.
    size : ndarray (parts,)
        Number of atoms.
    reference : sequence of int, optional
        Parts that are fully occupied in all volumes.

    Returns
    -------
    CommonScale
    """
    if reference is not None:
        weights = np.isin(np.arange(len(size)), reference) * size.astype(float)
        return _scaled(raw, deviation, correlation, weights / weights.sum())
    own = found = _own_scale(raw, deviation, size)
    weights = found.weights
    for _ in range(_TURNS):
        full = _full_parts(found, size)
        if not full.any():
            return own
        new = full / ((found.noise**2).mean(0) + _SPREAD**2)
        settled = np.array_equal(full, weights > 0)
        weights = new / new.sum()
        found = _scaled(raw, deviation, correlation, weights)
        if settled:
            break
    return found


def _own_scale(raw, deviation, size):
    """Every volume relative to its own fullest parts, as a start."""
    full = np.empty(len(raw))
    for k, (values, se) in enumerate(zip(raw, deviation, strict=True)):
        full[k] = full_group(values, se, size)[1] @ values
    return CommonScale(raw / full[:, None], deviation / full[:, None], full, np.zeros(len(size)))


def _scaled(raw, deviation, correlation, weights):
    """Occupancies relative to full scale, including the error of full scale."""
    full = raw @ weights
    full = np.where(full > 0, full, np.nan)
    occupancy = raw / full[:, None]
    cross = deviation * ((deviation * weights) @ correlation)
    own = ((deviation * weights) @ correlation * (deviation * weights)).sum(1)
    variance = deviation**2 - 2 * occupancy * cross + occupancy**2 * own[:, None]
    return CommonScale(occupancy, np.sqrt(np.maximum(variance, 0)) / full[:, None], full, weights)


def _full_parts(found, size):
    """Parts that agree with the fullest in nearly all volumes; there may be none."""
    occupancy, noise = found.occupancy, found.noise
    ok = np.isfinite(occupancy).all(1)
    occupancy, noise = occupancy[ok], noise[ok]
    typical = np.sqrt((noise**2).mean(0))
    big = (size >= min(0.02 * size.sum(), 0.25 * np.median(np.repeat(size, np.maximum(size.astype(int), 1)))))
    candidates = big & (typical < 0.5)
    if not candidates.any():
        candidates = size == size.max()
    low = np.quantile(occupancy, 1 - _NEARLY_ALL, axis=0, method="higher")
    mean = occupancy.mean(0)
    se = np.sqrt((noise**2).mean(0) / len(noise) + _SPREAD**2)
    # a part that is always present is not lower in some volumes than noise explains
    steady = candidates & (low > mean - np.maximum(_SURE * typical, _MOST)) & (low > _THERE)
    if not steady.any():
        return steady
    order = np.flatnonzero(steady)
    order = order[np.argsort(-(mean - 1.5 * se)[order], kind="stable")]
    reached = np.cumsum(size[order])
    top = order[min(np.searchsorted(reached, _SUPPORT * size.sum()), len(order) - 1)]
    tolerance = np.clip(_SURE * np.hypot(se, se[top]), _LEAST * mean[top], _MOST * mean[top])
    return steady & (mean > mean[top] - tolerance)
