"""Which parts count as fully occupied."""

import numpy as np

_SUPPORT = 0.03
"""Share of the atoms that must reach a level before it counts as full: the highest of many small parts is an
accident."""


def full_group(occupancy: np.ndarray, se: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts that agree with the highest well-determined level, and their weights in full scale.

    Parameters
    ----------
    occupancy, se, size : ndarray (parts,)
        On any scale; number of atoms.

    Returns
    -------
    full : ndarray (parts,), bool
    weights : ndarray (parts,), float64
        They sum to 1.
    """
    by_size = np.argsort(size, kind="stable")
    typical = size[by_size[np.searchsorted(np.cumsum(size[by_size]), 0.5 * size.sum())]]
    candidates = (se < 0.15 * np.maximum(occupancy, 1e-9)) & (size >= min(0.02 * size.sum(), 0.25 * typical))
    if not candidates.any():
        candidates = size == size.max()
    order = np.flatnonzero(candidates)
    order = order[np.argsort(-(occupancy - 1.5 * se)[order], kind="stable")]
    reached = np.cumsum(size[order])
    top = order[min(np.searchsorted(reached, _SUPPORT * size.sum()), len(order) - 1)]
    reference = occupancy[top]
    for _ in range(5):
        tolerance = np.clip(2.5 * np.hypot(se, se[top]), 0.07 * reference, 0.12 * reference)
        full = candidates & (occupancy > reference - tolerance)
        weights = full / (se**2 + (0.03 * reference) ** 2)
        now = (weights * occupancy).sum() / weights.sum()
        if abs(now - reference) < 1e-6 * reference:
            break
        reference = now
    return full, weights / weights.sum()
