"""The mean maps of states for the page: grids of bytes for its viewer, and small pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from occupy_jit.reports import colours
from occupy_jit.reports.page import pictures
from occupy_jit.reports.page.display_grid import (
    FEWEST,
    LAYER,
    LOWEST_SCALE,
    drawn_scale,
    in_layers,
    nearest_to,
    packed,
    reduce_to,
    to_bytes,
    whole_grid,
)
from occupy_jit.reports.png import data_uri

LARGEST_BYTES = 4_500_000
"""Largest size of all maps of a page; larger ones are reduced further."""

MOST_STATES = 24
"""Number of states with maps on a page: the first, which are the largest."""

PART_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#a6a31b", "#17a2a2",
                "#8c564b", "#6b8e23", "#c51b7d")
"""Neighbours in this list stay apart for eyes that without seeing red and green."""

_PALE = "#cfd4da"
_MOST_VOXELS, _MOST_OF_ALL = 900_000, 7_000_000
_SMALLER, _TRIES = 0.8, 16
_MARGIN = 3
_TOP = 99.95
_HIGHEST_LEVEL = 0.6
_THUMBNAIL = (132, 132)
_SAMPLE = 20_000


@dataclass(frozen=True)
class StateView:
    """The mean map of a state, and its local scale, on the common grid.

    Attributes
    ----------
    density : (gz, gy, gx) float32 array
        Without solvent, which is at 0: `occupy_jit.reports.content.cleaned`.
    scale : (gz, gy, gx) float32 array
        1 is full scale, the same in all states.
    level : float
        Density of the first surface.
    """

    density: np.ndarray
    scale: np.ndarray
    level: float


@dataclass(frozen=True)
class Views:
    """The mean maps of the page.

    Attributes
    ----------
    states : tuple of StateView
        The first states; there may be more in the tables.
    parts : (gz, gy, gx) int32 array or None
        Number of the part, from 1, of each voxel; 0 is outside. None if unknown.
    spacing : float
        Å a voxel.
    radius : float
        Of the ball of the scale, in voxels.
    """

    states: tuple
    parts: np.ndarray | None
    spacing: float
    radius: float


def shown(views: Views, names: list[str]) -> dict[str, Any]:
    """Packed mean maps for a page.

    Parameters
    ----------
    views : Views
    names : list of str
        Of the parts.

    Returns
    -------
    dict
        ``meta``, for the scripts; ``data``, id -> packed bytes; ``pictures``, one small picture of each state as the
        address of a PNG.
    """
    small = _cropped(views)
    small = _coarser(small, min(_MOST_VOXELS, _MOST_OF_ALL / len(small.states)) / small.states[0].density.size)
    for _ in range(_TRIES):
        told, data = _packed(small, names)
        if sum(map(len, data.values())) < LARGEST_BYTES:
            break
        small = _coarser(small, _SMALLER)
    return {"meta": told, "data": data, "pictures": _pictures(small.states)}


def _cropped(views):
    """The box around the visible content of all states, with a margin."""
    there = np.any([(state.density > 0) & (state.scale >= LOWEST_SCALE) for state in views.states], axis=0)
    if not there.any():
        return views
    crop = []
    for axis, n in enumerate(there.shape):
        places = np.flatnonzero(there.any(tuple({0, 1, 2} - {axis})))
        first, last = max(0, int(places[0]) - _MARGIN), min(n, int(places[-1]) + 1 + _MARGIN)
        crop.append(slice(first, max(last, first + FEWEST)))
    box = tuple(crop)
    return replace(views, parts=None if views.parts is None else views.parts[box],
                   states=tuple(replace(s, density=s.density[box], scale=s.scale[box]) for s in views.states))


def _coarser(views, share):
    """The same maps with this share of the voxels; unchanged if the share is 1 or more."""
    if share >= 1:
        return views
    factor = share ** (-1 / 3)
    grid = whole_grid(views.states[0].density.shape, factor)
    return Views(tuple(StateView(reduce_to(grid, s.density), reduce_to(grid, s.scale), s.level) for s in views.states),
                 None if views.parts is None else nearest_to(grid, views.parts), views.spacing * factor,
                 views.radius / factor)


def _packed(views, names):
    """(meaning of the bytes, id -> bytes)."""
    dense = [state.density[state.density > 0] for state in views.states]
    high = max([float(np.percentile(values, _TOP)) for values in dense if values.size], default=1.0)
    volumes, data = [], {}
    for k, state in enumerate(views.states):
        scale = to_bytes(state.scale, 0.0, 1.0)
        drawn_scale(scale)
        scale[state.density <= 0] = 0
        level = min(state.level, _HIGHEST_LEVEL * high)
        volumes += [{"id": f"state{k}", "kind": "density", "low": 0.0, "high": high, "zero": 0.0, "level": level,
                     "levels": [level / 3, _HIGHEST_LEVEL * high], "stops": None},
                    {"id": f"scale{k}", "kind": "scale", "low": 0.0, "high": 1.0, "stops": colours.SCALE}]
        data |= {f"state{k}": packed(to_bytes(state.density, 0.0, high)), f"scale{k}": packed(scale)}
    layers = []
    if views.parts is not None:
        layers = in_layers(views.parts, len(names))
        data |= {f"layer{k}": packed(layer) for k, layer in enumerate(layers)}
        volumes.append({"id": "layer0", "kind": "labels", "low": 0.0, "high": 255.0, "stops": _part_stops()})
    return _meta(views, volumes, len(layers)), data


def _part_stops():
    return [(0.0, _PALE), *((k / LAYER, PART_COLOURS[(k - 1) % len(PART_COLOURS)]) for k in range(1, LAYER + 1))]


def _meta(views, volumes, layers):
    places = np.argwhere(np.any([state.density > state.level for state in views.states], axis=0))
    if not len(places):
        places = np.argwhere(np.ones(views.states[0].density.shape, bool))
    centre = (places.min(0) + places.max(0)) / 2
    sample = places[::max(1, len(places) // _SAMPLE)]
    axes = np.linalg.eigh(np.atleast_2d(np.cov(sample.T)))[1] if len(sample) > 3 else np.eye(3)
    plain = lambda values: [float(v) for v in values][::-1]  # noqa: E731
    return {"inside": views.radius, "cube": None, "layers": layers, "count": len(views.states),
            "labels": {"colours": PART_COLOURS, "per_layer": LAYER, "pale": _PALE}, "volumes": volumes, "parts": [],
            "regions": 0,
            "grid": {"size": plain_size(views), "spacing": views.spacing, "origin": [0.0, 0.0, 0.0],
                     "radius": max(1.0, float(np.sqrt(np.square(places - centre).sum(1).max())))},
            # along the shortest axis of the content, its longest one upwards
            "start": {"map": "state0", "colour": "scale0", "centre": plain(centre), "direction": plain(axes[:, 0]),
                      "up": plain(axes[:, 1])}}


def plain_size(views: Views) -> list[int]:
    """Voxels along x, y, z."""
    return [int(n) for n in views.states[0].density.shape][::-1]


def _pictures(states):
    """A small picture of each state, all from the side with the largest view of the first one."""
    rows = [pictures.three_views(state.density, state.scale, state.level) for state in states]
    side = int(np.argmax([view.shape[0] * view.shape[1] for view in rows[0]]))
    return [data_uri(pictures.thumbnail(row[side].astype(np.uint8), *_THUMBNAIL) & np.uint8(0xF8) | np.uint8(0x07))
            for row in rows]
