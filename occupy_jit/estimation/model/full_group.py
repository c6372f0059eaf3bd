"""Which parts count as fully occupied."""

import numpy as np


def full_group(occupancy, se, size):
    """The parts that agree with the highest one that is well determined, and their weights in full scale.

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
    candidates = (se < 0.15 * np.maximum(occupancy, 1e-9)) & (size >= min(0.02 * size.sum(), 0.5 * size.max()))
    if not candidates.any():
        candidates = size == size.max()
    top = np.flatnonzero(candidates)[np.argmax((occupancy - 1.5 * se)[candidates])]
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
