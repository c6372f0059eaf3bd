"""States of many volumes as pictures without a browser: a heat map of all parts, and the graph of the states."""

from __future__ import annotations

import itertools
import math
from typing import IO, TYPE_CHECKING, Any

from occupy_jit.reports.part_charts import DPI, LARGEST, figure_of, table
from occupy_jit.reports.plot import _plain, _short, _write, colour_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FONT = 7.5  # points: 12.5 pixels
_LETTER, _LINE, _HIGH = 7.2, 12.0, 15.0  # pixels, of a letter, between two lines, and of a line with room
_EDGE, _GAP, _ABOVE, _BELOW, _BAND = 16, 26, 56, 78, 18  # pixels
_ROW, _VOLUME, _STATE = 17, 26, 30  # largest height of a part, and width of a volume and a state, pixels
_STATES_SHARE = 0.4  # largest share of the room for cells
_LONGEST_PART, _LONGEST_VOLUME = 24, 18  # letters
_LEAST_WIDTH = 800  # pixels, for the title
_BANDS = ("#c9d1da", "#eef1f4")

_COLUMN, _LEVEL, _MARGIN = 250.0, 116.0, 66.0  # pixels between states, across and down, and around them
_SMALLEST, _LARGEST = 15.0, 36.0  # pixels, radius of a state
_LEAST_LEVEL = 45.0  # pixels between rows
_SPOTS = (0.5, 0.35, 0.65, 0.25, 0.75)  # positions of a label along its edge
_LONGEST_LABEL = 28
_NODE, _LINE_COLOUR = "#4d6edf", "#7b8794"


def heat_map(target: IO[bytes], record: dict[str, Any], *, version: str) -> None:
    """Draw states_heatmap.png: the occupancy of every part in every volume, and in every state.

    Similar parts are neighbours; volumes are ordered by state, or along a continuum.

    Parameters
    ----------
    target : binary file
    record : dict
        As `occupy_jit.runs.states.states_record.record_of` gives it.
    version : str
        Of this program.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    import numpy as np

    from occupy_jit.reports.states_page.data import leaves

    parts, states = record["parts"], record["states"]
    rows, columns = leaves(record["part_tree"], len(parts)), _order_of_volumes(record)
    names = [_short(parts[k]["part"], _LONGEST_PART) for k in rows]
    volumes = [_short(record["volumes"][k]["map"].replace("\\", "/").rsplit("/", 1)[-1], _LONGEST_VOLUME)
               for k in columns]
    found = record["occupancy"]
    of_volumes = np.array(found["of_volumes"], float)[columns][:, rows].T
    of_states = np.array(found["of_states"], float)[:, rows].T

    left = _EDGE + 14 + _LETTER * max(map(len, names))
    room = LARGEST[0] - left - _GAP - _EDGE
    state = min(_STATE, _STATES_SHARE * room / len(states))
    volume = min(_VOLUME, (room - state * len(states)) / len(volumes))
    named = volume >= _LINE
    above = _ABOVE + _BAND + (_LETTER * max(map(len, volumes)) + 8 if named else 0)
    row = min(_ROW, (LARGEST[1] - above - _BELOW) / len(parts))
    width = max(left + volume * len(volumes) + _GAP + state * len(states) + _EDGE, _LEAST_WIDTH)
    figure = figure_of(width, above + row * len(parts) + _BELOW)
    one = _placed(figure, left, above, volume * len(volumes), row * len(parts))
    other = _placed(figure, left + volume * len(volumes) + _GAP, above, state * len(states), row * len(parts))
    _cells(one, of_volumes)
    table(other, of_states, [str(row["state"]) for row in states], numbers=row >= _LINE)
    step = max(1, math.ceil(_LINE / row))
    one.set_yticks(range(0, len(names), step), names[::step], fontsize=_FONT)
    other.set_yticks([])
    one.set_xticks(range(len(volumes)) if named else [], volumes if named else [], rotation=90, fontsize=_FONT)
    _band(one, [record["volumes"][k]["state"] for k in columns], volume, row)
    key = _undecided(other, states, [parts[k]["part"] for k in rows])
    ordered = "along the continuum" if record["kind"] == "continuous" else "by state"
    some = "" if step == 1 else f"; every {step} parts are named"
    _head(figure, f"{len(parts)} parts in {len(volumes)} volumes and {len(states)} state{'s' * (len(states) > 1)}",
          f"occupancy; left: volumes, {ordered}; right: states{some}")
    _foot(figure, left, key)
    _write(figure, target, version)


def _order_of_volumes(record):
    """Order of volumes: by state, with similar ones side by side, or along the first direction of a continuum."""
    from occupy_jit.reports.states_page.data import leaves

    volumes = record["volumes"]
    if record["kind"] == "continuous":
        coordinates = record["continuum"]["coordinates"]
        return sorted(range(len(volumes)), key=lambda k: coordinates[k][0] or 0.0)
    return sorted(leaves(record["volume_tree"], len(volumes)), key=lambda k: volumes[k]["state"])


def _placed(figure: Figure, left: float, above: float, across: float, down: float) -> Axes:
    """Axes at pixels from the upper left corner."""
    width, height = (DPI * size for size in figure.get_size_inches())
    axes = figure.add_axes((left / width, 1 - (above + down) / height, across / width, down / height))
    axes.tick_params(length=0, labeltop=True, labelbottom=False, pad=4)
    return axes


def _cells(axes, values):
    """Cells in the colours of the scale, without numbers; a pixel is the mean of the volumes in it."""
    import numpy as np

    from occupy_jit.reports.colours import SCALE

    rows, columns = values.shape
    pixels = max(1, math.floor(axes.get_window_extent().width))
    if columns > pixels:
        known, starts = np.isfinite(values), np.arange(pixels) * columns // pixels
        with np.errstate(invalid="ignore"):
            values = (np.add.reduceat(np.where(known, values, 0), starts, axis=1)
                      / np.add.reduceat(known.astype(float), starts, axis=1))
    axes.imshow(np.ma.masked_invalid(values), cmap=colour_map(SCALE), vmin=0, vmax=1, aspect="auto",
                interpolation="nearest", extent=(-0.5, columns - 0.5, rows - 0.5, -0.5))


def _band(axes, states, volume, row):
    """A band below the volumes with the state of each."""
    rows = axes.get_ylim()[0]
    deep = 14 / row
    first = 0
    for k, (state, same) in enumerate((state, list(same)) for state, same in itertools.groupby(states)):
        axes.axvspan(first - 0.5, first + len(same) - 0.5, -deep / (rows + 0.5), 0, clip_on=False,
                     color=_BANDS[k % 2], linewidth=0)
        if len(same) * volume >= _LETTER * len(str(state)):
            axes.text(first + (len(same) - 1) / 2, rows + deep / 2, str(state), fontsize=_FONT, ha="center",
                      va="center")
        first += len(same)


def _undecided(axes, states, parts):
    """Frames around cells of states that are neither present nor absent; returns the key."""
    from matplotlib.patches import Rectangle

    place = {name: k for k, name in enumerate(parts)}
    key = []
    for s, row in enumerate(states):
        for name in row["undecided"]:
            key = [Rectangle((s - 0.46, place[name] - 0.46), 0.92, 0.92, fill=False, edgecolor="#000000", linewidth=1.1,
                             label="neither present nor absent")]
            axes.add_patch(key[0])
    return [Rectangle((0, 0), 1, 1, fill=False, edgecolor="#000000", label=key[0].get_label())] if key else []


def _head(figure, title, remark):
    width, height = (DPI * size for size in figure.get_size_inches())
    for text, down, style in ((title, 18, {"fontsize": 9, "fontweight": "bold"}),
                              (remark, 38, {"fontsize": _FONT, "color": "#444444"})):
        figure.text(_EDGE / width, 1 - down / height, text, verticalalignment="center", **style)


def _foot(figure, left, key):
    """The colours and the key, below."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from occupy_jit.reports.colours import SCALE

    height = DPI * figure.get_figheight()
    bar = _placed(figure, left, height - 44, 220, 12)
    figure.colorbar(ScalarMappable(Normalize(0, 1), colour_map(SCALE)), cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=_FONT, labelbottom=True, labeltop=False)
    bar.set_xlim(0, 1)
    if key:
        figure.legend(handles=key, loc="lower left", fontsize=_FONT, frameon=False, borderaxespad=0.3,
                      bbox_to_anchor=((left + 240) / (DPI * figure.get_figwidth()), 0.0))


def has_graph(record: dict[str, Any]) -> bool:
    """Whether there is a graph of states, which needs at least two real states."""
    return record["kind"] != "continuous" and len(record["states"]) > 1


def graph(target: IO[bytes], record: dict[str, Any], *, version: str) -> None:
    """Draw states_graph.png: states from few parts on the left to many on the right, with the parts added by each step.

    Parameters
    ----------
    target : binary file
    record : dict
        As for `heat_map`; with a graph.
    version : str

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    from occupy_jit.reports.states_page.graph import layout

    states, edges = record["states"], record["graph"]
    place = layout(states, edges)
    room = LARGEST[1] - 2 * _MARGIN - _ABOVE
    if _levels(place) * _LEAST_LEVEL > room:  # too many steps over several columns: these have no path of their own
        place = layout(states, [])
    rows = [row for _, row in place.values()]
    columns, levels = max(column for column, _ in place.values()), _levels(place)
    across = min(_COLUMN, (LARGEST[0] - 2 * _MARGIN) / max(columns, 1))
    down = min(_LEVEL, room / max(levels, 1))
    width, height = max(2 * _MARGIN + across * columns, _LEAST_WIDTH), 2 * _MARGIN + down * levels + _ABOVE
    figure = figure_of(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    at = {key: (_MARGIN + across * column, _ABOVE + _MARGIN + down * (row - min(rows)))
          for key, (column, row) in place.items()}
    largest = max(row["share"] or 0 for row in states) or 1
    most = min(_LARGEST, 0.4 * down, 0.3 * across)
    radius = {row["state"]: max(min(_SMALLEST, most), most * ((row["share"] or 0) / largest) ** 0.5) for row in states}
    for row in states:
        _draw_state(axes, row, at[row["state"]], radius[row["state"]], down)
    taken = [(x - radius[key], y - radius[key], x + radius[key], y + radius[key] + _HIGH)
             for key, (x, y) in at.items() if key in radius]
    labelled = [_draw_edge(axes, edge, at, radius, taken, width) for edge in edges]
    some = "" if all(labelled) else "; states_graph.csv lists what every step adds"
    _head(figure, f"{len(states)} states", "from few parts on the left to many on the right; area: share of the "
          f"{record['shares_of']}{some}")
    _write(figure, target, version)


def _levels(place):
    """Number of rows below the first."""
    rows = [row for _, row in place.values()]
    return max(rows) - min(rows)


def _draw_edge(axes, edge, at, radius, taken, width):
    """A curve from state to state, around the states between them, with its added and lost parts if there is room.

    `taken` are the boxes of earlier labels: (left, top, right, bottom). Returns whether there was room.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    from occupy_jit.reports.states_page.words import some

    one, other = edge["from"], edge["to"]
    passed = sorted(place for key, place in at.items() if isinstance(key, tuple) and key[:2] == (one, other))
    (x1, y1), (x2, y2) = at[one], at[other]
    # horizontal at both ends; an edge that adds no parts runs back, or around its column
    leaves, arrives = (-1 if x2 < x1 else 1), (1 if x2 <= x1 else -1)
    points = [(x1 + leaves * radius[one], y1), *passed, (x2 + arrives * radius[other], y2)]
    corners, codes, spots = [points[0]], [Path.MOVETO], []
    for (xa, ya), (xb, yb) in itertools.pairwise(points):
        reach, back = (_COLUMN / 3, -1) if x1 == x2 else ((xb - xa) / 2, 1)
        corners += [(xa + reach, ya), (xb - back * reach, yb), (xb, yb)]
        codes += [Path.CURVE4] * 3
        spots += [_on_curve(corners[-4:], share) for share in _SPOTS]
    axes.add_patch(FancyArrowPatch(path=Path(corners, codes), arrowstyle="-|>", mutation_scale=10, color=_LINE_COLOUR,
                                   linewidth=1.3, shrinkA=0, shrinkB=0))
    words = " ".join(sign + some(edge[key], 3) for sign, key in (("+ ", "adds"), ("− ", "loses")) if edge[key])
    words = words if len(words) <= _LONGEST_LABEL else words[:_LONGEST_LABEL - 1] + "…"
    half = _LETTER * len(words) / 2
    # in the middle of its passage, if it has one
    for x, y in sorted(spots, key=lambda spot: min(math.dist(spot, p) for p in passed or [spots[0]])):
        box = (x - half, y - 4 - _HIGH, x + half, y - 4)
        if box[0] < 0 or box[2] > width or any(_meet(box, other) for other in taken):
            continue
        taken.append(box)
        text = axes.text(x, y - 5, _plain(words), fontsize=_FONT, ha="center", va="bottom", zorder=5)
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8})
        return True
    return not words


def _on_curve(corners, share):
    """Point of a cubic curve."""
    weights = ((1 - share) ** 3, 3 * share * (1 - share) ** 2, 3 * share ** 2 * (1 - share), share ** 3)
    return tuple(sum(w * corner[axis] for w, corner in zip(weights, corners, strict=True)) for axis in (0, 1))


def _meet(one, other):
    """Whether two boxes (left, top, right, bottom) overlap."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _draw_state(axes, row, place, radius, down):
    """A disc with the number of the state, and its share below."""
    from matplotlib.patches import Circle

    from occupy_jit.reports.states_page.words import percent

    x, y = place
    axes.add_patch(Circle(place, radius, facecolor=_NODE, edgecolor="white", linewidth=1, zorder=3))
    axes.text(x, y, str(row["state"]), fontsize=_FONT, fontweight="bold", color="white", ha="center", va="center",
              zorder=4)
    if down >= 2 * radius + _HIGH:
        axes.text(x, y + radius + 2, percent(row["share"]), fontsize=_FONT, ha="center", va="top", zorder=4)
