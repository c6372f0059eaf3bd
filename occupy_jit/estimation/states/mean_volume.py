"""Averaging of volumes with different grey scales, one by one."""

import numpy as np


def level_of(data: np.ndarray) -> float:
    """Density of solvent: the median outside the inscribed ellipsoid.

    Parameters
    ----------
    data : ndarray (z, y, x)

    Returns
    -------
    float
    """
    axes = [(np.arange(n) - (n - 1) / 2) / (n / 2) for n in data.shape]
    outside = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2 > 1
    return float(np.median(data[outside])) if outside.any() else float(np.median(data))


class MeanVolume:
    """A weighted mean of volumes, each less its solvent and divided by its own 1.

    Attributes
    ----------
    count : int
        Number of volumes added.
    """

    def __init__(self) -> None:
        self._total, self._weight, self.count = None, 0.0, 0

    def add(self, data: np.ndarray, scale: float | None = None, weight: float = 1.0) -> None:
        """Add a volume.

        Parameters
        ----------
        data : ndarray (z, y, x), float32
        scale : float, optional
            Value of 1 in units of the volume; its standard deviation if not given.
        weight : float
        """
        scale = float(data.std()) if scale is None else scale
        if not scale > 0:
            raise ValueError("a volume without contrast cannot be part of a mean")
        own = (data - np.float32(level_of(data))) * np.float32(weight / scale)
        self._total = own.astype(float) if self._total is None else self._total + own
        self._weight += weight
        self.count += 1

    @property
    def data(self) -> np.ndarray:
        """ndarray (z, y, x), float32 : The mean."""
        return (self._total / self._weight).astype(np.float32)
