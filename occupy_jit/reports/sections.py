"""Central sections of a map and its scale: a figure, and a thumbnail for notebooks."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import missing_packages
from occupy_jit.reports.colours import faded, ramp, scale_on_white
from occupy_jit.reports.content import section_of
from occupy_jit.reports.plot import _short, colour_map
from occupy_jit.reports.png import data_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AXES = (("XY", 0), ("XZ", 1), ("YZ", 2))
_EDGE = 160  # pixels of a thumbnail, at least


def _middle(volume, axis):
    """Central section, the first remaining axis upwards."""
    return np.take(volume, volume.shape[axis] // 2, axis=axis)[::-1]


def _scale_seen(scale, confidence, axis, rim):
    """Central section of the scale and its visibility, which is full without a confidence."""
    if confidence is None:
        return _middle(scale, axis), None
    section, seen = section_of(np.moveaxis(scale, axis, 0), np.moveaxis(confidence, axis, 0), scale.shape[axis] // 2,
                               rim)
    return section[::-1], seen[::-1]


def sections_figure(volume: np.ndarray, scale: np.ndarray, name: str, confidence: np.ndarray | None = None,
                    rim: float = 0.0) -> Figure:
    """Central sections of a map and its scale in three directions.

    Parameters
    ----------
    volume, scale : (nz, ny, nx) arrays
    name : str
    confidence : (nz, ny, nx) array, optional
        The scale fades where it is low, and in the rim of certain content.
    rim : float
        Radius of the ball in voxels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    try:
        from matplotlib.cm import ScalarMappable
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_packages("plot()", "matplotlib") from None
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    low, high = np.percentile(volume, (1, 99.9))
    colours = colour_map(scale_on_white())
    grid = figure.subplots(2, 3)
    for column, (title, axis) in enumerate(_AXES):
        grid[0, column].imshow(_middle(volume, axis), cmap="gray", vmin=low, vmax=high)
        section, seen = _scale_seen(scale, confidence, axis, rim)
        grid[1, column].imshow(section, cmap=colours, vmin=0, vmax=1, alpha=seen)
        grid[0, column].set_title(title)
    figure.suptitle(_short(name, 60))
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(ScalarMappable(cmap=colours), ax=grid[1, :], label="local scale", shrink=0.8)
    return figure


def thumbnail_html(volume: np.ndarray, scale: np.ndarray, name: str, numbers: dict[str, str],
                   remarks: Sequence[str], seen: tuple[np.ndarray | None, float] = (None, 0.0)) -> str:
    """A piece of HTML: central sections of map and scale, numbers, and remarks.

    Parameters
    ----------
    volume, scale : (nz, ny, nx) arrays
    name : str
    seen : ((nz, ny, nx) array or None, float)
        Confidence, and radius of the ball in voxels, as in `sections_figure`.
    numbers : dict of str to str
    remarks : sequence of str

    Returns
    -------
    str
    """
    low, high = np.percentile(volume, (1, 99.9))
    grey = np.clip((_middle(volume, 0) - low) / max(high - low, 1e-30), 0, 1)[..., None] * np.full(3, 255.0)
    section, share = _scale_seen(scale, seen[0], 0, seen[1])
    coloured = faded(ramp(scale_on_white(), section), share)
    times = max(1, -(-_EDGE // grey.shape[0]))
    picture = np.concatenate([grey, coloured], axis=1).repeat(times, 0).repeat(times, 1).astype(np.uint8)
    rows = "".join(f"<tr><td>{html.escape(what)}</td><td>{html.escape(value)}</td></tr>"
                   for what, value in numbers.items())
    said = "".join(f"<li>{html.escape(remark)}</li>" for remark in remarks)
    return (f'<div><strong>{html.escape(name)}</strong><br><img alt="central sections of map and local scale" '
            f'src="{data_uri(picture)}"><table>{rows}</table>{f"<ul>{said}</ul>" if said else ""}</div>')
