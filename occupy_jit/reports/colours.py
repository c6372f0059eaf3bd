"""Colours of a report, the same in its surfaces, slices, charts and tables.

The scale runs from red over grey to blue, confidence to green, errors to orange: colours that stay apart for eyes that
do not tell red from green.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

SCALE = ((0.2, "#cc3920"), (0.6, "#d9d9d9"), (1.0, "#4d6edf"))
CONFIDENCE = ((0.0, "#ece7da"), (1.0, "#007a59"))
B_FACTOR = ((0.0, "#4d6edf"), (0.25, "#d9d9d9"), (1.0, "#cc3920"))
"""From the lowest to the highest that is shown; the second stop is 0."""

ERROR = ((0.0, "#efece6"), (1.0, "#b35900"))

_DARK_TEXT, _LIGHT_TEXT = "#111", "#fff"


def ramp(stops: Sequence[tuple[Any, ...]], values: Any) -> np.ndarray:
    """Colours of values, straight lines between the stops.

    Parameters
    ----------
    stops : sequence of (float, "#rrggbb")
    values : array

    Returns
    -------
    float64 array, shape of `values` and 3
        0 to 255.
    """
    places = [place for place, _ in stops]
    return np.stack([np.interp(values, places, [int(colour[i:i + 2], 16) for _, colour in stops])
                     for i in (1, 3, 5)], axis=-1)


def hexadecimal(rgb: np.ndarray) -> str:
    """Three numbers from 0 to 255 as #rrggbb."""
    return "#" + "".join(f"{int(round(v)):02x}" for v in rgb)


def of_scale(value: float) -> str:
    """Colour of a scale as #rrggbb."""
    return hexadecimal(ramp(SCALE, value))


def text_on(colour: Any) -> Any:
    """Colour of text that is read best on a background #rrggbb: by relative luminance."""
    linear = [(int(colour[i:i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # the two contrasts (L + .05) / .05 and 1.05 / (L + .05) are equal here
    return _DARK_TEXT if luminance > 0.179 else _LIGHT_TEXT
