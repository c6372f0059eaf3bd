"""Charts of the occupancies of parts, with a name for every row: of one map, and of several classes.

Parts are listed one below the other, in columns, so that names are readable and a picture fits a page or a screen
for any number of parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from occupy_jit.reports.plot import _agg, _short, _write, colour_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
LARGEST = (1600, 2000)
"""Largest width and height of a chart, pixels."""

_FONT = 7.5  # points: 12.5 pixels
_LETTER = 7.2  # pixels, about
_LONGEST_NAME = 24
_ABOVE, _BELOW, _BESIDE = 70, 74, 16  # pixels: title and numbers, key, and between columns
_MOST_ROWS = 50  # in a column, before the next one begins
_LEAST_ACROSS = 190  # pixels, of a column without its names
_RANGE = (-0.5, 2.0)  # largest range of occupancies
_BAR, _DOTS, _CELL = 17, 8, 17  # pixels of a row: of a bar, for each class, of a table
_MOST_DOTS = 6  # largest number of classes for marks; more become a table
_CELLS_ACROSS, _LONGEST_COLUMN = (30, 15, 8), 10  # pixels of a cell, with and without its number; letters above it

# Colours of Okabe and Ito, for colour-blind readers, with different marks for grey prints.
_CLASS_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f8c99")
_CLASS_MARKS = "osD^vP*X"
_SHADE = "#f3e3b3"


class Layout(NamedTuple):
    """Distribution of rows over columns, in pixels.

    Attributes
    ----------
    columns, rows : int
        Of the chart, and of its longest column.
    row, names, across : float
        Height of a row; width of the names, and of the drawing beside them.
    above : float
        Height of the title and headings above the columns.
    """

    columns: int
    rows: int
    row: float
    names: float
    across: float
    above: float = _ABOVE

    @property
    def size(self) -> tuple[float, float]:
        """(float, float) : Width and height of the picture."""
        return (self.columns * (self.names + self.across + _BESIDE) + _BESIDE,
                self.above + self.rows * self.row + _BELOW)


def laid_out(number: int, row: float, longest_name: int, least_across: float = _LEAST_ACROSS,
             above: float = _ABOVE) -> tuple[Layout, int]:
    """Layout of a number of rows, and the number shown.

    Parameters
    ----------
    number : int
    row : float
        Pixels, of one of them.
    longest_name : int
        Letters.
    least_across : float
        Pixels that a column needs beside its names.
    above : float
        Pixels above the columns.

    Returns
    -------
    layout : Layout
    shown : int
        Fewer than `number` if there is no room for all.
    """
    names = 14 + _LETTER * longest_name
    most_columns = max(1, int((LARGEST[0] - _BESIDE) // (names + least_across + _BESIDE)))
    most_rows = max(1, int((LARGEST[1] - above - _BELOW) // row))
    columns = min(most_columns, math.ceil(number / min(_MOST_ROWS, most_rows))) if number else 1
    rows = min(most_rows, math.ceil(number / columns)) if number else 1
    room = (LARGEST[0] - _BESIDE) / columns - names - _BESIDE
    return Layout(columns, rows, row, names, min(room, max(least_across, 520)), above), min(number, rows * columns)


def table_laid_out(number: int, names: Sequence[str], longest_name: int) -> tuple[Layout, int]:
    """Layout of a table of rows with cells of these names, and the number of rows shown.

    Parameters
    ----------
    number : int
    names : sequence of str
        Of the cells of a row, written upright.
    longest_name : int
        Letters, of the rows.
    """
    room = LARGEST[0] - 14 - _LETTER * longest_name - 2 * _BESIDE
    above = _ABOVE + _LETTER * max(map(len, names), default=0)
    for across in _CELLS_ACROSS:
        layout, shown = laid_out(number, _CELL, longest_name, min(across * len(names), room), above)
        if shown == number:
            break
    return layout, shown


def figure_of(width: float, height: float) -> Figure:
    """An empty figure of a size in pixels."""
    Figure, FigureCanvasAgg = _agg()
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def columns_of(layout: Layout, number: int) -> tuple[Figure, list[tuple[Axes, range]]]:
    """A figure with axes for each column, and the rows in each.

    Parameters
    ----------
    layout : Layout
    number : int
        Of rows.

    Returns
    -------
    figure : matplotlib.figure.Figure
    columns : list of (axes, range)
        Row k of a column is at y = k - first, downwards.
    """
    width, height = layout.size
    figure, out = figure_of(width, height), []
    for column in range(layout.columns):
        rows = range(column * layout.rows, min(number, (column + 1) * layout.rows))
        left = _BESIDE + column * (layout.names + layout.across + _BESIDE) + layout.names
        tall = max(len(rows), 1) * layout.row
        axes = figure.add_axes((left / width, 1 - (layout.above + tall) / height, layout.across / width, tall / height))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0, pad=4)
        axes.tick_params(axis="x", labelsize=_FONT, labeltop=True, labelbottom=False, top=True, bottom=False)
        for side in ("right", "left", "bottom"):
            axes.spines[side].set_visible(False)
        out.append((axes, rows))
    return figure, out


def _named(axes, names):
    axes.set_yticks(range(len(names)), names, fontsize=_FONT)


def _occupancies(axes, low, high):
    """The axis of occupancies, with lines at 0 and 1."""
    axes.set_xlim(low, high)
    axes.axvline(0, color="#333333", linewidth=0.6, zorder=0.5)
    axes.axvline(1, color="#333333", linewidth=0.6, linestyle="--", zorder=0.5)


def _range_of(low, high):
    """Range of occupancies of a chart: at least 0 to 1, and all values within limits."""
    low, high = max(min(0.0, low), _RANGE[0]), min(max(1.0, high), _RANGE[1])
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _ends(values):
    """The smallest and the largest known value."""
    known = [value for value in values if math.isfinite(value)]
    return min(known, default=0.0), max(known, default=1.0)


def _titled(figure, name, remark, key, label):
    """Title, and below it axis labels and a key."""
    height = figure.get_figheight() * DPI
    figure.text(_BESIDE / (figure.get_figwidth() * DPI), 1 - 18 / height, _short(name, 60) + remark, fontsize=9,
                fontweight="bold", verticalalignment="center")
    figure.text(_BESIDE / (figure.get_figwidth() * DPI), 1 - 38 / height, label, fontsize=_FONT,
                verticalalignment="center", color="#444444")
    if key:
        across = max(1, int(figure.get_figwidth() * DPI // 190))
        figure.legend(handles=key, loc="lower left", ncols=min(len(key), across), fontsize=_FONT, frameon=False,
                      bbox_to_anchor=(0.0, 0.0), borderaxespad=0.4)


def _left_out(shown, number, what):
    return "" if shown == number else f", {what} {shown} of {number} parts"


def bar_chart(target: IO[bytes], rows: Sequence[dict[str, Any]], *, name: str, version: str) -> None:
    """Draw parts_<name>.png: the occupancy of every part with its standard error.

    Parameters
    ----------
    target : binary file
    rows : sequence of dict
        Of the table.
    name : str
        Of the map.
    version : str
    """
    there = [row for row in rows if row["atoms"]]
    names = [_short(row["part"], _LONGEST_NAME) for row in there]
    layout, number = laid_out(len(there), _BAR, max(map(len, names), default=4))
    figure, columns = columns_of(layout, number)
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = there[:number]
    ends = [row["occupancy"] + sign * row["se"] for row in shown for sign in (-1, 1)]
    low, high = _range_of(*_ends(ends))
    kinds = {True: ("#0072b2", "full scale: 1 on average"), False: ("#9aa5b1", "occupancy, fitted")}
    for axes, places in columns:
        own = [shown[k] for k in places]
        axes.barh(range(len(own)), [row["occupancy"] for row in own], xerr=[row["se"] for row in own], height=0.72,
                  color=[kinds[bool(row["full"])][0] for row in own], capsize=2, error_kw={"linewidth": 0.9})
        known = [(row["scale_from_map"], k) for k, row in enumerate(own) if row.get("scale_from_map") is not None]
        if known:
            axes.plot(*zip(*known, strict=True), "o", markerfacecolor="white", markeredgecolor="#333333", markersize=4)
        _occupancies(axes, low, high)
        _named(axes, [names[k] for k in places])
    key = [Patch(color=colour, label=label) for full, (colour, label) in kinds.items()
           if any(bool(row["full"]) is full for row in shown)]
    if any(row.get("scale_from_map") is not None for row in shown):
        key.append(Line2D([], [], marker="o", linestyle="none", markerfacecolor="white", markeredgecolor="#333333",
                          markersize=4, label="scale of the map alone"))
    _titled(figure, f"Parts of the model in {name}", _left_out(number, len(there), "the first"), key,
            "occupancy ± standard error")
    _write(figure, target, version)


def class_chart(target: IO[bytes], found: Any, *, name: str, version: str) -> None:
    """Draw classparts_<name>.png: the occupancy of every part in every class.

    Few classes are dots with standard errors, many are a coloured table.

    Parameters
    ----------
    target : binary file
    found : occupy_jit.estimation.comparison.parts.ClassParts
    name : str
        Of the group.
    version : str
    """
    parts = [k for k, atoms in enumerate(found.atoms) if atoms]
    differs = {row.part for row in found.significant}
    # those that differ come first if there is no room for all
    first = sorted(parts, key=lambda k: found.names[k] not in differs)
    names = [_short(found.names[k], _LONGEST_NAME) for k in parts]
    longest, dots = max(map(len, names), default=4), len(found.classes) <= _MOST_DOTS
    if dots:
        layout, number = laid_out(len(parts), max(_BAR, _DOTS * len(found.classes) + 4), longest)
    else:
        layout, number = table_laid_out(len(parts), [_short(c, _LONGEST_COLUMN) for c in found.classes], longest)
    shown = sorted(first[:number])
    figure, columns = columns_of(layout, number)
    draw = _class_dots if dots else _class_table
    key = draw([(axes, [shown[k] for k in places]) for axes, places in columns], found)
    for axes, places in columns:
        _named(axes, [_short(found.names[shown[k]], _LONGEST_NAME) for k in places])
        for k, place in enumerate(places):
            if found.names[shown[place]] in differs:
                if dots:
                    axes.axhspan(k - 0.5, k + 0.5, color=_SHADE, linewidth=0, zorder=0)
                axes.get_yticklabels()[k].set_fontweight("bold")
    remark = ": bold where classes differ beyond chance" if differs else ""
    _titled(figure, name, remark + _left_out(number, len(parts), "showing"), key,
            "occupancy ± standard error" if dots else "occupancy; standard errors are in the table")
    _write(figure, target, version)


def _class_dots(columns, found):
    """A mark with its error for each class and part; returns the key."""
    number, rows = len(found.classes), [k for _, own in columns for k in own]
    values, errors = found.occupancy[:, rows], found.se[:, rows]
    low, high = _range_of(*_ends([*(values - errors).ravel(), *(values + errors).ravel()]))
    key = []
    for axes, own in columns:
        key = []
        for c, label in enumerate(found.classes):
            places = [k + 0.7 * ((c + 0.5) / number - 0.5) for k in range(len(own))]
            key.append(axes.errorbar(
                found.occupancy[c, own], places, xerr=found.se[c, own], linestyle="none", capsize=1.5, markersize=4,
                marker=_CLASS_MARKS[c % len(_CLASS_MARKS)], linewidth=0.8,
                color=_CLASS_COLOURS[c % len(_CLASS_COLOURS)], label=_short(label)))
        _occupancies(axes, low, high)
    return key


def _class_table(columns, found):
    """A cell for each class and part."""
    for axes, own in columns:
        table(axes, found.occupancy[:, own].T, [_short(label, _LONGEST_COLUMN) for label in found.classes])
    return []


def table(axes: Axes, values: Any, names: Sequence[str], numbers: bool = True) -> None:
    """Occupancies as cells in the colours of the scale, with their numbers if there is room.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    values : (rows, columns) array
        NaN if unknown.
    names : sequence of str
        Of the columns.
    numbers : bool
        Whether rows are high enough for them.
    """
    import numpy as np

    from occupy_jit.reports.colours import SCALE, of_scale, text_on

    values = np.asarray(values, float)
    rows, number = values.shape
    cmap = colour_map(SCALE)
    axes.imshow(np.ma.masked_invalid(values), cmap=cmap, vmin=0, vmax=1, aspect="auto", interpolation="nearest",
                extent=(-0.5, number - 0.5, rows - 0.5, -0.5))
    width = axes.get_window_extent().width / max(number, 1)
    if numbers and width >= _LETTER * 4:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                axes.text(column, row, f"{value:.2f}", fontsize=_FONT - 1, ha="center", va="center",
                          color=text_on(of_scale(value)))
    step = max(1, math.ceil(_LETTER * 2 / width))
    axes.set_xticks(range(0, number, step), names[::step], fontsize=_FONT,
                    rotation=0 if _LETTER * max(map(len, names), default=1) < width else 90)
    axes.tick_params(axis="x", length=0)
