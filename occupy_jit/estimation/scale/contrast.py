"""The contrast without noise: the sliding maximum that a noise-free map would have.

The maximum of content that would be m, in noise whose own maximum would be f, is about
``M' = (m + sqrt(m^2 + 4 f^2)) / 2``: f where there is no content, and m + f^2 / m where there is much more of it. The
inverse is ``m = M' - f^2 / M'``, whose slope, ``1 + (f / M')^2``, is at most 2.
"""

from typing import Any

import numpy as np


def noise_free_maximum(height: float | np.ndarray, floor: float | np.ndarray) -> np.ndarray:
    """m of heights M' above the zero level; 0 where they do not exceed the noise floor.

    Parameters
    ----------
    height, floor : float or array

    Returns
    -------
    float64 array of their common shape
    """
    height, floor = np.asarray(height, np.float64), np.asarray(floor, np.float64)
    clear = height > floor
    return np.where(clear, height - floor * (floor / np.where(clear, height, 1.0)), 0.0)


def maximum_with_noise(free: Any, floor: Any) -> Any:
    """M' of a contrast m >= 0 in noise of floor f: the inverse of `noise_free_maximum` above the floor."""
    return (free + np.hypot(free, 2 * np.asarray(floor, np.float64))) / 2


def noise_share(height: Any, floor: Any) -> Any:
    """``(f / M')^2``, 1 where M' does not exceed f: the slope of m is 1 more than that."""
    height, floor = np.asarray(height, np.float64), np.asarray(floor, np.float64)
    clear = height > floor
    return np.where(clear, np.square(floor / np.where(clear, height, 1.0)), 1.0)
