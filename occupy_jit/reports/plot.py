"""Pictures without a display: the solvent model of a run, and slices of maps.

matplotlib is an extra: it is imported on use, and only its Figure with the Agg canvas, so that no display
is needed and global state (pyplot) is not touched.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from occupy_jit.errors import missing_packages

if TYPE_CHECKING:
    import os

    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

# Colours of Okabe and Ito, for colour-blind readers, with different line styles for grey prints.
_MAP, _SOLVENT, _CONFIDENCE = "#7f8c99", "#0072b2", "#009e73"
_LINES = (("zero", "zero level", "#333333", "-"), ("floor", "noise floor: zero +", "#d55e00", "--"),
          ("full_scale", "full scale: zero +", "#cc79a7", "-."), ("edge", "end of solvent", "#0072b2", ":"))


_BANDS_HEIGHT = 3.6  # inches
_MOST_COLUMNS = 4
_MARK = "#d55e00"


def _agg():
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_packages("a picture", "matplotlib") from error
    return Figure, FigureCanvasAgg


def _write(figure, target, version):
    # name of the program, but no date, so that the same picture is the same file
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a script that the font lacks is drawn as boxes
        figure.savefig(target, format="png", metadata={"Software": f"occupy_jit {version}"})


def _plain(text):
    """Text for matplotlib, in which "$" would begin a formula."""
    return "".join(char if char.isprintable() else "?" for char in str(text)).replace("$", r"\$")


def _short(text, most=24):
    """As `_plain`, without the middle of names longer than `most`."""
    text = str(text)
    if len(text) > most:
        text = f"{text[:most // 2]}…{text[-(most - most // 2 - 1):]}"
    return _plain(text)


def _binned(edges, counts, limit=400):
    """At most about `limit` bins by joining neighbours, so that steps are wider than a pixel."""
    import numpy as np

    edges, counts = np.asarray(edges, np.float64), np.asarray(counts, np.float64)
    join = max(1, math.ceil(len(counts) / limit))
    starts = np.arange(0, len(counts), join)
    return np.append(edges[:-1][starts], edges[-1]), np.add.reduceat(counts, starts), join


def solvent_model_png(target: str | os.PathLike[str] | IO[bytes], *, name: str, bin_edges: np.ndarray,  # noqa: PLR0913 (everything that one picture shows)
                      counts: np.ndarray, gaussian: tuple[Any, ...] | None, edge: float | None, zero: float | None,
                      floor: float | None, full_scale: float | None, confidence_centres: np.ndarray,
                      confidence_values: np.ndarray, bands: dict[str, Any] | None = None,
                      verdicts: Sequence[str] = (), version: str) -> None:
    """Draw solModel_<name>.png: histogram of the densities and solvent model.

    Parameters
    ----------
    target : str, path-like or binary file
    name : str
        Of the map.
    bin_edges : (n + 1,) array
        Density.
    counts : (n,) array
        Voxels per bin, of the low-passed map inside the inscribed sphere.
    gaussian : (amplitude, mean, sigma) or None
        Of the fitted solvent peak; amplitude in voxels per bin.
    edge, zero, floor, full_scale : float or None
        Densities: end of the solvent model, zero level b, noise floor b + f, full scale b + X. Those that are None or
        not finite are left out.
    confidence_centres, confidence_values : (m,) array
        Mean confidence (0 to 1) at these densities; empty arrays or NaN values if missing.
    bands : dict, optional
        For a map equalised by bands: ``frequency`` in 1/Å, ``signal`` and ``noise`` power there, ``edges`` of
        the bands in 1/Å, and ``factors``, scale -> factor of each band. Drawn in a second panel.
    verdicts : sequence of str
        Sentences, for the caption.
    version : str
        Of this program.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    Figure, FigureCanvasAgg = _agg()
    import numpy as np

    sentences = [_plain(sentence) for sentence in verdicts] or ["The solvent looks normal."]
    caption = "\n".join(line for sentence in sentences for line in textwrap.wrap(sentence, 110) or [""])
    caption_height = 0.2 * (caption.count("\n") + 1) + 0.2  # inches
    below = caption_height + (0 if bands is None else _BANDS_HEIGHT)
    height = 4.9 + below
    figure = Figure(figsize=(9, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.085, (below + 0.6) / height, 0.83, (height - below - 1.6) / height))

    edges, voxels, join = _binned(bin_edges, counts)
    axes.stairs(voxels, edges, fill=True, color=_MAP, alpha=0.6, label="low-passed map", baseline=0.5)
    top = max(float(voxels.max(initial=0)), 1.0)
    if gaussian is not None and all(map(math.isfinite, gaussian)) and gaussian[2] > 0:
        amplitude, mean, sigma = gaussian
        density = np.linspace(mean - 6 * sigma, mean + 6 * sigma, 600)
        model = join * amplitude * np.exp(-0.5 * ((density - mean) / sigma) ** 2)
        drawn = (model >= 0.5) & (density >= edges[0]) & (density <= edges[-1])
        axes.plot(density[drawn], model[drawn], color=_SOLVENT, linewidth=2, label="solvent model")
        top = max(top, join * amplitude)
    axes.set_yscale("log")
    axes.set_ylim(0.7, 2.5 * top)
    axes.set_xlabel("density")
    axes.set_ylabel("voxels" if join == 1 else f"voxels per {join} bins")

    positions = {"edge": edge, "zero": zero, "floor": floor, "full_scale": full_scale}
    positions = {key: float(value) for key, value in positions.items() if value is not None and math.isfinite(value)}
    for key, label, colour, style in _LINES:
        if key in positions:
            axes.axvline(positions[key], color=colour, linestyle=style, linewidth=1.6,
                         label=f"{label} {_as_logged(key, positions):.4g}")
    low, high = min([edges[0], *positions.values()]), max([edges[-1], *positions.values()])
    high = high if high > low else low + 1
    axes.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))

    second = axes.twinx()
    second.plot(np.asarray(confidence_centres, np.float64), np.asarray(confidence_values, np.float64),
                color=_CONFIDENCE, linewidth=2, label="confidence")
    second.set_ylim(0, 1.05)
    second.set_ylabel("confidence that the voxel is content", color=_CONFIDENCE)
    second.tick_params(axis="y", colors=_CONFIDENCE)

    handles, labels = axes.get_legend_handles_labels()
    more_handles, more_labels = second.get_legend_handles_labels()
    # Above the axes, where no curve can be hidden
    axes.legend(handles + more_handles, labels + more_labels, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4,
                fontsize="small", frameon=False, borderaxespad=0.3, columnspacing=1.2)
    figure.text(0.085, 1 - 0.3 / height, _plain(f"Solvent model of {name}"), fontsize="large", fontweight="bold",
                verticalalignment="center")
    if bands is not None:
        _draw_bands(figure, (0.085, (caption_height + 0.6) / height, 0.83, (_BANDS_HEIGHT - 1.0) / height), bands)
    figure.text(0.085, (caption_height - 0.08) / height, caption, fontsize="small", verticalalignment="top")
    figure.text(0.985, 0.06 / height, _plain(f"OccuPy {version}"), fontsize="x-small", color="#888888",
                horizontalalignment="right")
    _write(figure, target, version)


def _as_logged(key, positions):
    """A level as in log and record: noise floor and full scale above the zero level."""
    return positions[key] - (positions.get("zero", 0.0) if key in ("floor", "full_scale") else 0.0)


def _draw_bands(figure, place, bands):
    """Signal and noise in the spectrum, and factors of the bands at some scales."""
    import numpy as np

    axes = figure.add_axes(place)
    frequency = np.asarray(bands["frequency"], np.float64)
    for name, colour, style in (("signal", _CONFIDENCE, "-"), ("noise", "#d55e00", "--")):
        power = np.asarray(bands[name], np.float64)
        there = (power > 0) & (frequency > 0)  # the mean of the noise was subtracted
        axes.plot(frequency[there], power[there], color=colour, linestyle=style, linewidth=1.6,
                  label=f"{name}, at scale 1" if name == "signal" else name)
    axes.set_yscale("log")
    axes.set_ylabel("power")
    axes.set_xlim(0, bands["edges"][-1])
    axes.set_xticks(bands["edges"], ["∞", *(f"{1 / edge:.3g}" for edge in bands["edges"][1:])])
    axes.set_xlabel("resolution, Å; ticks are the ends of the bands")
    second = axes.twinx()
    for (scale, factors), style in zip(bands["factors"].items(), ("-", "--", ":"), strict=False):
        second.stairs(factors, bands["edges"], color=_SOLVENT, linestyle=style, linewidth=1.6, baseline=None,
                      label=f"factor at scale {scale}")
    second.set_ylim(bottom=0)
    second.set_ylabel("factor", color=_SOLVENT)
    second.tick_params(axis="y", colors=_SOLVENT)
    handles, labels = axes.get_legend_handles_labels()
    more_handles, more_labels = second.get_legend_handles_labels()
    axes.legend(handles + more_handles, labels + more_labels, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=5,
                fontsize="small", frameon=False, borderaxespad=0.3, columnspacing=1.2)


class Panel(NamedTuple):
    """A slice and its drawing style.

    Attributes
    ----------
    title : str
    section : (ny, nx) array
        The first row is drawn at the bottom, as in a coordinate system.
    stops : sequence of (float, "#rrggbb")
        Colours from 0 to 1, see `occupy_jit.reports.colours`.
    low, high : float
        Values of 0 and 1.
    seen : (ny, nx) array or None
        Visibility of each pixel on white, 0 to 1; None for full visibility.
    mark : float or None
        Surface level: a line in the colour bar.
    """

    title: str
    section: np.ndarray
    stops: Sequence[tuple[Any, ...]]
    low: float
    high: float
    seen: np.ndarray | None = None
    mark: float | None = None


def slices_png(target: str | os.PathLike[str] | IO[bytes], panels: Sequence[Panel], *, caption: str = "",
               version: str = "") -> None:
    """Draw slices of maps side by side, with a colour bar each.

    Parameters
    ----------
    target : str, path-like or binary file
    panels : sequence of Panel
    caption : str
        Below them.
    version : str
        Of this program, for the file's metadata.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    Figure, FigureCanvasAgg = _agg()
    panels = list(panels)
    rows = math.ceil(len(panels) / _MOST_COLUMNS)
    columns = math.ceil(len(panels) / rows)
    figure = Figure(figsize=(3.3 * columns, 3.95 * rows + 0.45), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels):]:
        axes.set_axis_off()
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_slice(figure, axes, panel)
    if caption:
        figure.supxlabel(textwrap.fill(caption, 45 * columns), fontsize="small")
    _write(figure, target, version)


def colour_map(stops: Sequence[tuple[Any, ...]]) -> LinearSegmentedColormap:
    """Colours of a report for matplotlib, extended at both ends."""
    from matplotlib.colors import LinearSegmentedColormap

    first, last = [(0.0, stops[0][1])], [(1.0, stops[-1][1])]
    return LinearSegmentedColormap.from_list("", (first if stops[0][0] > 0 else []) + list(stops)
                                             + (last if stops[-1][0] < 1 else []))


def _draw_slice(figure, axes, panel):
    """A slice with its title and its colour bar, which is not faded."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    norm, cmap = Normalize(panel.low, panel.high), colour_map(panel.stops)
    axes.imshow(panel.section, cmap=cmap, norm=norm, alpha=panel.seen, origin="lower", interpolation="nearest")
    axes.set_title(_plain(panel.title), fontsize="medium")
    axes.set_xticks([])
    axes.set_yticks([])
    bar = figure.colorbar(ScalarMappable(norm, cmap), ax=axes, location="bottom", fraction=0.05, pad=0.02)
    bar.ax.tick_params(labelsize="x-small")
    bar.locator = _ticks()
    bar.update_ticks()
    if panel.mark is not None and panel.low < panel.mark < panel.high:
        bar.ax.axvline(panel.mark, color=_MARK, linewidth=2)
        bar.set_label(f"line: surface level {panel.mark:.3g}", fontsize="x-small")


def _ticks():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)
