"""Central slices of all volumes of a run, in the colours of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occupy_jit.reports import colours
from occupy_jit.reports.content import section_of
from occupy_jit.reports.page.display_grid import density_range
from occupy_jit.reports.plot import Panel

if TYPE_CHECKING:
    import numpy as np

    from occupy_jit.estimation.scale.result import Result

CAPTION = ("Central XY slices. The local scale fades where confidence is low. At the edge of the content, where the "
           "scale of every map falls off, slices show the colour of the inside, faded.")


def panels(volume: np.ndarray, result: Result, modified: list[tuple[str, np.ndarray]], level: float) -> list[Panel]:
    """The panels of slices_<name>.png.

    Parameters
    ----------
    volume : (nz, ny, nx) float32 array
        The input.
    result : occupy_jit.estimation.scale.result.Result
        With confidence.
    modified : list of (name, (1, ny, nx) array)
        Central section of each modified map.
    level : float
        Surface level.
    """
    middle = volume.shape[0] // 2
    _, highest = density_range(volume[middle], result.confidence[middle], result.zero)
    # the same grey values for input and modified maps
    low, high = (result.zero + share * (highest - result.zero) for share in colours.GREY_WINDOW)
    rim = result.ball.radius
    local, seen = section_of(result.scale, result.confidence, middle, rim)
    scale, confidence = colours.scale_on_white(), colours.share_on_white(colours.CONFIDENCE)
    made = [Panel("input", volume[middle], colours.GREY, low, high, mark=level),
            Panel("local scale", local, scale, 0, 1, seen),
            Panel("confidence", result.confidence[middle], confidence, 0, 1)]
    if result.flexibility is not None:
        occupancy, _ = section_of(result.flexibility.occupancy, result.confidence, middle, rim)
        made += [Panel("occupancy without flexibility", occupancy, scale, 0, 1, seen),
                 Panel("relative B factor, Å²", result.flexibility.b_factor[middle],
                       colours.zero_on_white(colours.B_FACTOR), *colours.B_FACTOR_RANGE, seen)]
    if result.error is not None:
        made.append(Panel("standard error of the scale", result.error[middle], colours.share_on_white(colours.ERROR),
                          0, colours.LARGEST_ERROR))
    return made + [Panel(name, data[0], colours.GREY, low, high) for name, data in modified]
