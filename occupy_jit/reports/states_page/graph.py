"""The graph of states as a drawing: from few parts to many, each edge with its added parts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import escape

from occupy_jit.reports.states_page.words import percent, some

_ROW, _MARGIN = 124, 66
_COLUMNS, _WHOLE = (160, 300), 1110  # width of a column, and of a drawing that fits a screen
_SMALLEST, _LARGEST = 18, 46
_SWEEPS = 8
_MOST_ORDERS = 5000  # all of which are tested
_MOST_CHANGED = 200  # most states and passages for swaps of neighbours (time grows with the third power)
_MOST_NAMES = 3
_LONGEST_LABEL = 30
_LETTER, _LINE, _TIP = 6.4, 15, 10  # width and height of a label, about; length of the tip of an arrow
_PLACES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)  # of a label along its edge, the first that is free


def layout(states: list[dict[str, Any]], edges: list[dict[str, Any]]) -> dict[Any, tuple[int, float]]:
    """Column and row of every state.

    The column of a state is its number of present parts. Among all orders in the columns the one with the fewest
    crossings of edges is used; if there are too many orders, states are at the mean row of their neighbours (Sugiyama's
    barycentre method) or in the order of a walk along the edges, and neighbours are swapped as long as this removes a
    crossing, unless there are too many of them.

    Parameters
    ----------
    states, edges : list of dict
        Of the record.

    Returns
    -------
    dict
        State -> (column, row); rows of a column are centred on 0. Also (from, to, column) of edges that pass a column.
    """
    counts = sorted({len(row["present"]) for row in states})
    column_of: dict[Any, int] = {row["state"]: counts.index(len(row["present"])) for row in states}
    near: dict[Any, list[Any]] = {state: [] for state in column_of}
    for edge in edges:
        # an edge over several columns has its own row in each, so that it runs around the states there
        between = range(column_of[edge["from"]] + 1, column_of[edge["to"]])
        way = [edge["from"], *((edge["from"], edge["to"], c) for c in between), edge["to"]]
        column_of |= {(edge["from"], edge["to"], c): c for c in between}
        for one, other in itertools.pairwise(way):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
    columns: list[list[Any]] = [[key for key, c in column_of.items() if c == k] for k in range(len(counts))]
    right = {key: [other for other in near[key] if column_of[other] == column_of[key] + 1] for key in column_of}
    if math.prod(math.factorial(len(column)) for column in columns) <= _MOST_ORDERS:
        columns = _best_order(columns, near, right)
    else:
        met = _as_met(columns, near)
        tried = [_barycentres(columns, near), list(map(list, met)), _barycentres(met, near)]
        if len(column_of) <= _MOST_CHANGED:
            tried = [_without_avoidable(order, right) for order in tried]
        columns = min(tried, key=lambda order: _all_crossings(order, right))
    row = _rows(columns)
    return {key: (column_of[key], row[key]) for key in column_of}


def _rows(columns):
    """Row of every state, those of a column centred on 0."""
    return {key: k - (len(column) - 1) / 2 for column in columns for k, key in enumerate(column)}


def _best_order(columns, near, right):
    """The order with the fewest crossings, and among these the one with the shortest edges."""
    def worth(order):
        row = _rows(order)
        return (_all_crossings(order, right), sum(abs(row[one] - row[other]) for one in near for other in near[one]))

    return min((list(map(list, order)) for order in itertools.product(*map(itertools.permutations, columns))),
               key=worth)


def _as_met(columns, near):
    """Columns in the order of a walk along the edges, which draws a tree without crossings."""
    met: dict[Any, None] = {}
    for start in itertools.chain.from_iterable(reversed(columns)):
        ahead = [start]
        while ahead:
            key = ahead.pop()
            if key not in met:
                met[key] = None
                ahead += [other for other in reversed(near[key]) if other not in met]
    place = {key: k for k, key in enumerate(met)}
    return [sorted(column, key=place.__getitem__) for column in columns]


def _barycentres(columns, near):
    """Columns with every state at the mean row of its neighbours."""
    columns = list(map(list, columns))
    row = _rows(columns)
    for sweep in range(_SWEEPS):
        for c in range(len(columns))[::1 if sweep % 2 == 0 else -1]:
            wanted = {key: float(np.mean([row[other] for other in near[key]] or [row[key]])) for key in columns[c]}
            columns[c].sort(key=wanted.__getitem__)
            row |= _rows([columns[c]])
    return columns


def _without_avoidable(columns, right):
    """Columns in which no swap of two neighbours removes a crossing."""
    better = True
    while better:
        better = False
        for c, column in enumerate(columns):
            for k in range(len(column) - 1):
                before = _around(columns, c, right)
                column[k], column[k + 1] = column[k + 1], column[k]
                if _around(columns, c, right) < before:
                    better = True
                else:
                    column[k], column[k + 1] = column[k + 1], column[k]
    return columns


def _around(columns, c, right):
    return sum(_crossings(columns[k], columns[k + 1], right) for k in (c - 1, c) if 0 <= k < len(columns) - 1)


def _all_crossings(columns, right):
    return sum(_crossings(one, other, right) for one, other in itertools.pairwise(columns))


def _crossings(one, other, right):
    """Number of crossings between two columns."""
    at = {key: k for k, key in enumerate(other)}
    ends = [(k, at[to]) for k, key in enumerate(one) for to in right[key]]
    return sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(ends, 2))


def crossings(states: list[dict[str, Any]], edges: list[dict[str, Any]]) -> int:
    """Number of crossings in the drawing, between neighbouring columns."""
    place = layout(states, edges)
    bends = []
    for edge in edges:
        one, other = edge["from"], edge["to"]
        way = [one, *sorted((key for key in place if isinstance(key, tuple) and key[:2] == (one, other)),
                            key=lambda key: key[2]), other]
        bends += [(place[a], place[b]) for a, b in itertools.pairwise(way)]
    return sum(a[0] == c[0] and b[0] == d[0] and (a[1] - c[1]) * (b[1] - d[1]) < 0
               for (a, b), (c, d) in itertools.combinations(bends, 2))


def drawing(record: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """The graph as SVG; empty without a graph.

    Parameters
    ----------
    record : dict
        As `occupy_jit.runs.states.states_record.record_of` gives it.
    pictures : sequence of str
        Addresses of small pictures of the first states.
    """
    states, edges = record["states"], record["graph"]
    if record["kind"] == "continuous" or len(states) < 2:
        return ""
    place = layout(states, edges)
    rows = [row for _, row in place.values()]
    last = max(column for column, _ in place.values())
    column_width = min(max((_WHOLE - 2 * _MARGIN) / max(1, last), _COLUMNS[0]), _COLUMNS[1])
    width = 2 * _MARGIN + column_width * last
    height = 2 * _MARGIN + _ROW * (max(rows) - min(rows))
    at = {state: (_MARGIN + column_width * column, _MARGIN + _ROW * (row - min(rows)))
          for state, (column, row) in place.items()}
    largest = max(row["share"] or 0 for row in states) or 1
    radius = {row["state"]: max(_SMALLEST, _LARGEST * ((row["share"] or 0) / largest) ** 0.5) for row in states}
    taken = [(x - radius[s], y - radius[s], x + radius[s], y + radius[s] + _LINE) for s, (x, y) in at.items()
             if s in radius]
    drawn = [_edge(edge, at, radius, taken, column_width) for edge in edges]
    nodes = [_node(row, at, radius, pictures[k] if k < len(pictures) else None) for k, row in enumerate(states)]
    return "".join([
        f'<svg id="graphsvg" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="width:{width:.0f}px" role="group" aria-label="Graph of states">',
        *(line for line, _ in drawn), *nodes, *(name for _, name in drawn), "</svg>"])


def _edge(edge, at, radius, taken, column_width):
    """(line, label) of an edge; `taken` are the boxes of labels and nodes; the box of this label is added."""
    one, other = edge["from"], edge["to"]
    passed = sorted(place for key, place in at.items() if isinstance(key, tuple) and key[:2] == (one, other))
    (x1, y1), (x2, y2) = at[one], at[other]
    # an edge is horizontal at both ends; one that adds no parts runs back, or around the column
    leaves, arrives = (-1 if x2 < x1 else 1), (1 if x2 <= x1 else -1)
    end = x2 + arrives * (radius[other] + 9)
    points = [(x1 + leaves * radius[one], y1), *passed, (end, y2)]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(
        _curve(start, stop, column_width / 3 if x1 == x2 else (stop[0] - start[0]) / 2, -1 if x1 == x2 else 1)
        for start, stop in itertools.pairwise(points))
    tip = f"{x2 + arrives * (radius[other] + 1):.1f},{y2:.1f}"
    corners = f"{tip} {end:.1f},{y2 - 4:.1f} {end:.1f},{y2 + 4:.1f}"
    label = " ".join(word for word in (
        "+ " + some(edge["adds"], _MOST_NAMES) if edge["adds"] else "",
        "− " + some(edge["loses"], _MOST_NAMES) if edge["loses"] else "") if word)
    room = max(abs(x2 - x1), column_width) - 2 * _LARGEST - _TIP
    longest = min(_LONGEST_LABEL, int(room / _LETTER))
    label = label if len(label) <= longest else label[:longest - 1] + "…"
    middle = _free_place(points, column_width / 3 if x1 == x2 else None, len(label), taken)
    whole = "; ".join(f"{word} {', '.join(names)}" for word, names in (
        ("adds", edge["adds"]), ("loses", edge["loses"]), ("undecided", edge["undecided"])) if names)
    return (f'<g class="edge"><title>State {one} to state {other}: {escape(whole)}</title>'
            f'<path d="{path}" fill="none" stroke="#7b8794" stroke-width="1.6"/>'
            f'<polygon points="{corners}" fill="#7b8794"/></g>',
            f'<text x="{middle[0]:.1f}" y="{middle[1] - 6:.1f}" text-anchor="middle" font-size="12" class="strong">'
            f'<title>{escape(whole)}</title>{escape(label)}</text>')


def _free_place(points, around, letters, taken):
    """Position on an edge where its label overlaps nothing, or the least; the box of the label is then taken."""
    half, best = _LETTER * letters / 2, None
    for share in _PLACES:
        x, y = _on_edge(points, share, around)
        box = (x - half, y - 6 - _LINE + 3, x + half, y - 3)
        overlap = sum(max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
                      * max(0.0, min(box[3], other[3]) - max(box[1], other[1])) for other in taken)
        if best is None or overlap < best[0]:
            best = overlap, (x, y), box
        if overlap == 0:
            break
    taken.append(best[2])
    return best[1]


def _on_edge(points, share, around):
    """A position on the curves that `_curve` draws through points, at a share of their length."""
    place = share * (len(points) - 1)
    k = min(int(place), len(points) - 2)
    t, (a, b) = place - k, (points[k], points[k + 1])
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3)
    reach, back = ((b[0] - a[0]) / 2, 1) if around is None else (around, -1)
    x = [a[0], a[0] + reach, b[0] - back * reach, b[0]]
    y = [a[1], a[1], b[1], b[1]]
    return tuple(sum(w * v for w, v in zip(weights, values, strict=True)) for values in (x, y))


def _curve(start, stop, reach, back):
    """A curve that is horizontal at both ends."""
    return (f"C{start[0] + reach:.1f} {start[1]:.1f} {stop[0] - back * reach:.1f} {stop[1]:.1f} "
            f"{stop[0]:.1f} {stop[1]:.1f}")


def _node(row, at, radius, picture):
    (x, y), state, r = at[row["state"]], row["state"], radius[row["state"]]
    said = f"State {state}, {percent(row['share'])}, {len(row['present'])} parts present"
    return (f'<g class="node" data-state="{state}" tabindex="0" role="button" aria-label="{said}"><title>{said}</title>'
            + _face(state, x, y, r, picture)
            + f'<text x="{x:.1f}" y="{y + r + 15:.1f}" text-anchor="middle" font-size="12" class="strong">'
            f'<tspan font-weight="700">{state}</tspan>: {percent(row["share"])}</text></g>')


def _face(state, x, y, r, picture):
    """A circle with the picture of the state, or with its number."""
    if picture is None:
        return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="#4d6edf"/><text x="{x:.1f}" y="{y + 5:.1f}" '
                f'text-anchor="middle" font-size="14" style="fill:#fff;font-weight:700">{state}</text>')
    edge = 2 * 0.94 * r
    return (f'<clipPath id="face{state}"><circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/></clipPath>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="#ffffff"/>'
            f'<image href="{picture}" x="{x - edge / 2:.1f}" y="{y - edge / 2:.1f}" width="{edge:.1f}" '
            f'height="{edge:.1f}" clip-path="url(#face{state})"/><circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" '
            'fill="none" stroke="#4d6edf" stroke-width="2"/>')
