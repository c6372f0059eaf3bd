"""Colours of a report, the same in its surfaces, slices, charts and tables.

The scale runs from red over grey to blue, confidence to green, errors to orange: colours that can be distinguished
without seeing red and green.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

SCALE = ((0.2, "#cc3920"), (0.6, "#d9d9d9"), (1.0, "#4d6edf"))
CONFIDENCE = ((0.0, "#ece7da"), (1.0, "#007a59"))
B_FACTOR = ((0.0, "#4d6edf"), (0.25, "#d9d9d9"), (1.0, "#cc3920"))
"""From the lowest to the highest shown; the second stop is 0."""

ERROR = ((0.0, "#efece6"), (1.0, "#b35900"))

B_FACTOR_RANGE = (-50.0, 150.0)
"""Limits of `B_FACTOR`, Å^2."""

LARGEST_ERROR = 0.3
"""Upper limit of `ERROR`, a standard error of the scale."""

GREY = ((0.0, "#000000"), (1.0, "#ffffff"))
"""Densities in slices."""

GREY_WINDOW = (-0.12, 0.8)
"""Limits of `GREY`: densities above solvent, in shares of the largest one."""

_WHITE = "#ffffff"
_DARK_TEXT, _LIGHT_TEXT = "#111", "#fff"


def scale_on_white() -> tuple[Any, ...]:
    """Colours of the scale in slices: very low scales fade into the paper."""
    return ((0.0, _WHITE), (SCALE[0][0] / 2, _WHITE), *SCALE)


def share_on_white(stops: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Colours of a quantity from 0 to 1 in slices, from white to its strongest colour."""
    return ((0.0, _WHITE), (1.0, stops[-1][1]))


def zero_on_white(stops: Any) -> tuple[Any, Any, Any]:
    """Colours of a quantity of both signs in slices: white at 0, its second stop."""
    return (stops[0], (stops[1][0], _WHITE), stops[2])


def ramp(stops: Sequence[tuple[Any, ...]], values: Any) -> np.ndarray:
    """Colours of values, linear between the stops.

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


def faded(rgb: np.ndarray, seen: np.ndarray | None) -> np.ndarray:
    """Colours (ny, nx, 3) faded to white by `seen`, (ny, nx) from 0 to 1; None leaves them unchanged."""
    return rgb if seen is None else 255 + (rgb - 255) * seen[..., None]


def hexadecimal(rgb: np.ndarray) -> str:
    """Three numbers from 0 to 255 as #rrggbb."""
    return "#" + "".join(f"{int(round(v)):02x}" for v in rgb)


def of_scale(value: float) -> str:
    """Colour of a scale as #rrggbb."""
    return hexadecimal(ramp(SCALE, value))


def text_on(colour: Any) -> Any:
    """Most readable colour of text on a background #rrggbb, by relative luminance."""
    linear = [(int(colour[i:i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # the two contrasts (L + 0.05) / 0.05 and 1.05 / (L + 0.05) are equal here
    return _DARK_TEXT if luminance > 0.179 else _LIGHT_TEXT
