"""The graph of states as a drawing: from few parts to many, each edge with what it adds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from markupsafe import escape

from occupy_jit.reports.states_page.words import percent, some

_COLUMN, _ROW, _MARGIN = 250, 116, 62
_SMALLEST, _LARGEST = 15, 40
_SWEEPS = 8
_MOST_NAMES = 3
_LONGEST_LABEL = 30


def layout(states: list[dict[str, Any]], edges: list[dict[str, Any]]) -> dict[Any, tuple[int, float]]:
    """Column and row of every state.

    Columns are numbers of parts that are present. In a column, states stand at the mean row of their neighbours
    (Sugiyama's barycentre method), which avoids most crossings.

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
        # an edge over several columns has a place of its own in each, so that it runs around the states there
        between = range(column_of[edge["from"]] + 1, column_of[edge["to"]])
        way = [edge["from"], *((edge["from"], edge["to"], c) for c in between), edge["to"]]
        column_of |= {(edge["from"], edge["to"], c): c for c in between}
        for one, other in itertools.pairwise(way):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
    columns: list[list[Any]] = [[key for key, c in column_of.items() if c == k] for k in range(len(counts))]
    row = {key: k - (len(column) - 1) / 2 for column in columns for k, key in enumerate(column)}
    for sweep in range(_SWEEPS):
        for c in range(len(columns))[::1 if sweep % 2 == 0 else -1]:
            wanted = {key: float(np.mean([row[other] for other in near[key]] or [row[key]])) for key in columns[c]}
            columns[c].sort(key=wanted.__getitem__)
            row |= {key: k - (len(columns[c]) - 1) / 2 for k, key in enumerate(columns[c])}
    return {key: (column_of[key], row[key]) for key in column_of}


def drawing(record: dict[str, Any]) -> str:
    """The graph as SVG; empty where there is nothing to draw.

    Parameters
    ----------
    record : dict
        As `occupy_jit.runs.states.states_record.record_of` gives it.
    """
    states, edges = record["states"], record["graph"]
    if record["kind"] == "continuous" or len(states) < 2:
        return ""
    place = layout(states, edges)
    rows = [row for _, row in place.values()]
    width = 2 * _MARGIN + _COLUMN * max(column for column, _ in place.values())
    height = 2 * _MARGIN + _ROW * (max(rows) - min(rows))
    at = {state: (_MARGIN + _COLUMN * column, _MARGIN + _ROW * (row - min(rows)))
          for state, (column, row) in place.items()}
    largest = max(row["share"] or 0 for row in states) or 1
    radius = {row["state"]: max(_SMALLEST, _LARGEST * ((row["share"] or 0) / largest) ** 0.5) for row in states}
    return "".join([
        f'<svg id="graphsvg" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="width:{width:.0f}px" role="group" aria-label="Graph of states">',
        *(_edge(edge, at, radius) for edge in edges), *(_node(row, at, radius) for row in states), "</svg>"])


def _edge(edge, at, radius):
    one, other = edge["from"], edge["to"]
    passed = sorted(place for key, place in at.items() if isinstance(key, tuple) and key[:2] == (one, other))
    (x1, y1), (x2, y2) = at[one], at[other]
    # an edge leaves and arrives level; one that leads to no more parts runs back, or around the column
    leaves, arrives = (-1 if x2 < x1 else 1), (1 if x2 <= x1 else -1)
    end = x2 + arrives * (radius[other] + 9)
    points = [(x1 + leaves * radius[one], y1), *passed, (end, y2)]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(
        _curve(start, stop, _COLUMN / 3 if x1 == x2 else (stop[0] - start[0]) / 2, -1 if x1 == x2 else 1)
        for start, stop in itertools.pairwise(points))
    tip = f"{x2 + arrives * (radius[other] + 1):.1f},{y2:.1f}"
    corners = f"{tip} {end:.1f},{y2 - 4:.1f} {end:.1f},{y2 + 4:.1f}"
    # on a passage of its own a label meets no other; else half way
    middle = passed[len(passed) // 2] if passed else ((points[0][0] + points[-1][0]) / 2, (y1 + y2) / 2)
    label = " ".join(word for word in (
        "+ " + some(edge["adds"], _MOST_NAMES) if edge["adds"] else "",
        "− " + some(edge["loses"], _MOST_NAMES) if edge["loses"] else "") if word)
    label = label if len(label) <= _LONGEST_LABEL else label[:_LONGEST_LABEL - 1] + "…"
    whole = "; ".join(f"{word} {', '.join(names)}" for word, names in (
        ("adds", edge["adds"]), ("loses", edge["loses"]), ("undecided", edge["undecided"])) if names)
    return (f'<g class="edge"><title>State {one} to state {other}: {escape(whole)}</title>'
            f'<path d="{path}" fill="none" stroke="#7b8794" stroke-width="1.6"/>'
            f'<polygon points="{corners}" fill="#7b8794"/><text x="{middle[0]:.1f}" y="{middle[1] - 6:.1f}" '
            f'text-anchor="middle" font-size="12" class="strong">{escape(label)}</text></g>')


def _curve(start, stop, reach, back):
    """A curve that is level at both ends."""
    return (f"C{start[0] + reach:.1f} {start[1]:.1f} {stop[0] - back * reach:.1f} {stop[1]:.1f} "
            f"{stop[0]:.1f} {stop[1]:.1f}")


def _node(row, at, radius):
    (x, y), state = at[row["state"]], row["state"]
    said = f"State {state}, {percent(row['share'])}, {len(row['present'])} parts present"
    return (f'<g class="node" data-state="{state}" tabindex="0" role="button" aria-label="{said}"><title>{said}</title>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius[state]:.1f}" fill="#4d6edf"/>'
            f'<text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle" font-size="14" style="fill:#fff;font-weight:700">'
            f'{state}</text><text x="{x:.1f}" y="{y + radius[state] + 14:.1f}" text-anchor="middle" font-size="12">'
            f'{percent(row["share"])}</text></g>')
