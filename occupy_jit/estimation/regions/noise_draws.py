"""Draws of the noise of a map, for errors of regions.

One volume of noise with the spectrum of the noise of the map comes from a Fourier transform and is periodic: each shift
of it is another draw of the same noise. The level of a region in the map plus a draw varies between draws in the same
way as with the noise of the map itself, including waves longer than the region, the choice of peaks and the correction
for noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DRAWS = 8
"""Draws per region; the relative error of their standard deviation is a quarter."""

_STEPS = (0.8191725134, 0.6710436067, 0.5497004779)  # fractions of the box: distant shifts for any number of draws


class Drawn(NamedTuple):
    """Noise like that of a map.

    Attributes
    ----------
    volume : (nz, ny, nx) float32 array
    floor : float
        Median of its sliding maximum.
    reading : float
        Median of the sliding maximum over its peaks.
    """

    volume: np.ndarray
    floor: float
    reading: float

    def window(self, number: int, box: tuple[slice, ...], floor: float | np.ndarray) -> np.ndarray:
        """A draw of the noise in a box of the map.

        Parameters
        ----------
        number : int
            Number of the draw.
        box : tuple of slice
        floor : float or array of the shape of the box
            Noise floor in the box, to which the draw is scaled.

        Returns
        -------
        float32 array
        """
        places = [(np.arange(part.start, part.stop) + int(number * step * n)) % n
                  for part, step, n in zip(box, _STEPS, self.volume.shape, strict=True)]
        return self.volume[np.ix_(*places)] * np.asarray(floor / self.floor, np.float32)
