"""Draws of the noise of a map, for the error of what is read in it.

One volume of noise with the spectrum of the map's is made by a transform, so it continues periodically: moved by any
offset it is another draw of the same noise. What a region reads in the map with a draw added varies with the draw as it
does with the noise in the map itself: by everything, waves longer than the region, the choice of peaks and the
correction for noise included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DRAWS = 8
"""Draws of a region: their standard deviation is known within a quarter."""

_STEPS = (0.8191725134, 0.6710436067, 0.5497004779)  # of the box: far from each other for any number of draws


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
            Of the draw.
        box : tuple of slice
        floor : float or array of the shape of the box
            Noise floor there, which the draw is brought to.

        Returns
        -------
        float32 array
        """
        places = [(np.arange(part.start, part.stop) + int(number * step * n)) % n
                  for part, step, n in zip(box, _STEPS, self.volume.shape, strict=True)]
        return self.volume[np.ix_(*places)] * np.asarray(floor / self.floor, np.float32)
