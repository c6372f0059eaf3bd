"""A continuous family as a drawing: the order of its volumes, and the curve of every part that changes along it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import escape

_ACROSS, _WIDTH, _HEIGHT, _GAP = 5, 210, 118, 18
_EDGE, _TOP = 30, 26
_FACE, _MOST_FACES = 88, 10
_MOST_CURVES = 60
_LOW, _HIGH = -0.15, 1.25


def drawing(record: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """The family as SVG; empty for states.

    Parameters
    ----------
    record : dict
        As `occupy_jit.runs.states.states_record.record_of` gives it.
    pictures : sequence of str
        Addresses of small pictures of the first neighbourhoods.
    """
    found = record["continuum"]
    if record["kind"] != "continuous":
        return ""
    place, drawn, y = np.array(found["coordinates"], dtype=float), [], 0.0
    for direction in range(found["directions"]):
        curves = [c for c in found.get("curves", ()) if c["direction"] == direction + 1]
        text, height = _volumes(record, place[:, direction], direction, pictures, y)
        drawn.append(text)
        y += height
        if curves:
            text, height = _curves(record, curves, place[:, direction], y)
            drawn.append(text)
            y += height
    width = _ACROSS * (_WIDTH + _GAP)
    return (f'<svg id="graphsvg" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y:.0f}" '
            f'style="width:{width}px" role="group" aria-label="Volumes and parts along the family">'
            + "".join(drawn) + "</svg>")


def _volumes(record, place, direction, pictures, top):
    """The volumes at their positions along a direction, with pictures of neighbourhoods above."""
    low, high = float(np.min(place)), float(np.max(place))
    width = _ACROSS * (_WIDTH + _GAP) - 2 * _FACE
    across = lambda value: _FACE + width * (value - low) / max(high - low, 1e-12)  # noqa: E731
    label = np.array([volume["state"] for volume in record["volumes"]])
    middle = {s: across(place[label == s].mean()) for s in range(1, min(len(pictures), label.max()) + 1)
              if (label == s).any()}
    out, axis = [_heading(f"Volumes along direction {direction + 1}", top)], top + _TOP + 12
    faces = _spread(sorted(middle, key=middle.__getitem__), middle)
    if faces:
        out += [_neighbourhood(s, middle[s], top + _TOP, pictures[s - 1]) for s in faces]
        axis += _FACE + 22
    out.append(f'<path d="M{_FACE} {axis}H{_FACE + width}" class="zero" stroke="#9aa5b1"/>')
    out += [f'<circle cx="{across(value):.1f}" cy="{axis}" r="4" fill="#4d6edf" fill-opacity=".55"><title>'
            f'{escape(volume["map"])}, position {value:.3g}</title></circle>'
            for value, volume in zip(place, record["volumes"], strict=True)]
    return "".join(out), axis + 22 - top


def _spread(states, middle):
    """As many states, in order, as fit side by side."""
    kept: list[Any] = []
    for state in states:
        if len(kept) < _MOST_FACES and (not kept or middle[state] - middle[kept[-1]] >= _FACE + 4):
            kept.append(state)
    return kept


def _neighbourhood(state, x, top, picture):
    return (f'<g class="node" data-state="{state}" tabindex="0" role="button" aria-label="Neighbourhood {state}">'
            f'<title>Neighbourhood {state}</title><rect x="{x - _FACE / 2:.1f}" y="{top}" width="{_FACE}" '
            f'height="{_FACE}" rx="10" fill="#ffffff" stroke="#c4ccd4"/><image href="{picture}" '
            f'x="{x - _FACE / 2 + 4:.1f}" y="{top + 4}" width="{_FACE - 8}" height="{_FACE - 8}"/>'
            f'<path d="M{x:.1f} {top + _FACE}V{top + _FACE + 26}" stroke="#c4ccd4"/>'
            f'<text x="{x + 4:.1f}" y="{top + _FACE + 14}" font-size="11">{state}</text></g>')


def _curves(record, curves, place, top):
    """One small chart per part; those that change most come first."""
    change = {id(c): np.nanmax(_plain(c["occupancy"])) - np.nanmin(_plain(c["occupancy"])) for c in curves}
    curves = sorted(curves, key=lambda c: -change[id(c)])
    left_out = max(0, len(curves) - _MOST_CURVES)
    number = {part["part"]: k for k, part in enumerate(record["parts"])}
    found = np.array(record["occupancy"]["of_volumes"], dtype=float)
    out = [_heading("Occupancy of parts along it" + (f"; {left_out} more in states_curves.csv" if left_out else ""),
                    top)]
    for k, curve in enumerate(curves[:_MOST_CURVES]):
        x = (k % _ACROSS) * (_WIDTH + _GAP)
        y = top + _TOP + (k // _ACROSS) * (_HEIGHT + _GAP)
        out.append(_chart(curve, place, found[:, number[curve["part"]]], record["threshold"], x, y))
    rows = -(-min(len(curves), _MOST_CURVES) // _ACROSS)
    return "".join(out), _TOP + rows * (_HEIGHT + _GAP) + 8


def _chart(curve, place, found, threshold, left, top):  # noqa: PLR0913 (a chart and where it stands)
    x, value, error = (_plain(curve[name]) for name in ("position", "occupancy", "se"))
    low, high = float(np.min(place)), float(np.max(place))
    across = lambda v: left + _EDGE + (_WIDTH - _EDGE - 6) * (v - low) / max(high - low, 1e-12)  # noqa: E731
    up = lambda v: top + 18 + (_HEIGHT - 22) * (_HIGH - np.clip(v, _LOW, _HIGH)) / (_HIGH - _LOW)  # noqa: E731
    known = np.isfinite(x) & np.isfinite(value)
    x, value, error = x[known], value[known], np.nan_to_num(error[known])
    line = "L".join(f"{across(a):.1f} {up(b):.1f}" for a, b in zip(x, value, strict=True))
    edge = [(a, b) for a, b in zip(x, value + error, strict=True)]
    edge += [(a, b) for a, b in zip(x[::-1], (value - error)[::-1], strict=True)]
    band = "L".join(f"{across(a):.1f} {up(b):.1f}" for a, b in edge)
    dots = "".join(f"M{across(a):.1f} {up(b):.1f}h0" for a, b in zip(place, found, strict=True) if np.isfinite(b))
    lines = "".join(f'<path d="M{left + _EDGE} {up(v):.1f}H{left + _WIDTH - 6}" '
                    + ('class="limit" stroke="#566170" stroke-dasharray="4 3"' if v == threshold else
                       'class="zero" stroke="#dfe3e8"')
                    + f'/><text x="{left + _EDGE - 5}" y="{up(v) + 4:.1f}" text-anchor="end" '
                    f'font-size="10">{v:g}</text>'
                    for v in (0.0, 0.5, 1.0))
    return (f'<g class="curve" data-name="{escape(curve["part"])}"><text x="{left + _EDGE}" y="{top + 12}" '
            f'font-size="12" font-weight="700">{escape(curve["part"])}</text>{lines}'
            f'<path d="{dots}" class="dot" fill="none" stroke="#4d6edf" stroke-opacity=".4" stroke-width="4" '
            f'stroke-linecap="round"/><path d="M{band}Z" fill="#e69f00" fill-opacity=".3" stroke="none"/>'
            f'<path d="M{line}" fill="none" stroke="#b35900" stroke-width="2"/></g>')


def _plain(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _heading(text, top):
    return f'<text x="0" y="{top + 15}" font-size="13" font-weight="700">{escape(text)}</text>'
