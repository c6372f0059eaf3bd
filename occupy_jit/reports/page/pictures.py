"""Still pictures of a map: for paper, for mail previews, and for browsers without WebGL or without scripts."""

from typing import Any

import numpy as np

from occupy_jit.reports import colours
from occupy_jit.reports.colours import faded, ramp
from occupy_jit.reports.content import without_islands
from occupy_jit.reports.page.display_grid import averaged, means

_LONGEST = 400  # pixels of the longest edge, about
_ZOOMS = (2, 8)
_WHITE = 255.0
_GAP = 20
_MARGIN = 8  # pixels around a view
_AMBIENT, _DIFFUSE = 0.45, 0.62
_STEEPEST = 2.5
_TILT = (0.35, -0.2)  # direction of the light, from the upper left
_DARKEST = 0.45
_OCCLUSION = 0.035
_BELOW_SURFACE = (1, 2, 4)  # voxels below the surface, where the scale has not faded
_VIEWS = ((0, True), (1, False), (2, True))  # axis of view, and its direction


def three_views(density: np.ndarray, scale: np.ndarray, level: float) -> list[np.ndarray]:
    """A surface from three sides, coloured by the scale, without islands.

    Parameters
    ----------
    density : (nz, ny, nx) float32 array
        Without solvent: `occupy_jit.reports.content.cleaned`.
    scale : (nz, ny, nx) float32 array
    level : float
        Density of the surface.

    Returns
    -------
    list of (height, width, 3) uint8 array
        Along z, y and x, on white, without empty edges.
    """
    above = density > level
    # well below the level, so that rounding between voxels does not restore them
    density = np.where(above & ~without_islands(above), _below(density, level), density)
    zoom = min(max(round(_LONGEST / max(_extent(above))), _ZOOMS[0]), _ZOOMS[1])
    return [_trimmed(_orthographic(density, scale, level, axis, reverse, zoom)) for axis, reverse in _VIEWS]


def beside(views: list[np.ndarray], gap: int = _GAP) -> np.ndarray:
    """Pictures (height, width, 3) side by side on white, `gap` pixels apart: uint8."""
    height = max(p.shape[0] for p in views)
    width = sum(p.shape[1] for p in views) + gap * (len(views) - 1)
    out = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for picture in views:
        top = (height - picture.shape[0]) // 2
        out[top:top + picture.shape[0], left:left + picture.shape[1]] = np.clip(picture, 0, 255)
        left += picture.shape[1] + gap
    return out


def _extent(on):
    """Range that is on, along each axis; the whole axis if nothing is on."""
    places = [np.flatnonzero(on.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return [int(p[-1] - p[0]) + 1 if p.size else n for p, n in zip(places, on.shape, strict=True)]


def _trimmed(picture):
    """Without white edges wider than a margin."""
    painted = (picture < _WHITE).any(-1)
    if not painted.any():
        return picture
    ends = [(int(p[0]), int(p[-1]) + 1) for p in map(np.flatnonzero, (painted.any(1), painted.any(0)))]
    (top, bottom), (left, right) = [(max(0, first - _MARGIN), last + _MARGIN) for first, last in ends]
    return picture[top:bottom, left:right]


def thumbnail(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A view, reduced for a list of many maps.

    Parameters
    ----------
    picture : (h, w, 3) uint8 array
    width, height : int

    Returns
    -------
    (height, width, 3) uint8 array
        On white.
    """
    step = max(picture.shape[0] / height, picture.shape[1] / width, 1.0)
    shape = [max(1, int(n / step)) for n in picture.shape[:2]]
    ways = [means(n, m, step) for n, m in zip(picture.shape[:2], shape, strict=True)]
    small = averaged(picture.astype(np.float32), *ways)
    out = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - shape[0]) // 2, (width - shape[1]) // 2
    out[top:top + shape[0], left:left + shape[1]] = np.clip(np.rint(small), 0, 255)
    return out


def slice_strip(panels: Any, gap: int = 6) -> np.ndarray:
    """Slices side by side.

    Parameters
    ----------
    panels : sequence of ((ny, nx) array of 0 to 1, stops, (ny, nx) array of 0 to 1 or None)
        Values, their colours, and their visibility on white.
    gap : int
        Pixels between two.

    Returns
    -------
    (height, width, 3) uint8 array
        The first row of an array is at the bottom.
    """
    return beside([faded(ramp(stops, values[::-1]), None if seen is None else seen[::-1])
                   for values, stops, seen in panels], gap)


def _orthographic(density, scale, level, axis, reverse, zoom):
    """View along an axis: the first crossing of the level, shaded by its slope and its surroundings."""
    volume, colour = (np.moveaxis(v, axis, 0)[::-1 if reverse else 1] for v in (density, scale))
    highest = volume.max(0)
    hit = highest > level
    near = _spread(_depth(volume, level), hit)
    depth = _zoomed(near, zoom)
    # the outline is where the highest density along the line of sight crosses the level, between voxels
    outline = _zoomed(np.where(_grown(hit), highest, np.minimum(highest, _below(volume, level))), zoom) > level
    light = _light(depth, zoom)
    # at the depth of each voxel, without interpolation between surfaces behind each other
    first = np.rint(near).astype(np.int32)
    y, x = np.indices(near.shape)
    inside = np.max([colour[np.clip(first + below, 0, len(colour) - 1), y, x] for below in _BELOW_SURFACE], axis=0)
    rgb = ramp(colours.SCALE, np.kron(inside, np.ones((zoom, zoom), np.float32))) * light[..., None]
    return np.where(outline[..., None], rgb, _WHITE)[::-1]


def _below(density, level):
    """A density slightly below the level, by a hundredth of the range above it."""
    return np.float32(level - 0.01 * max(float(density.max()) - level, abs(level) * 1e-3))


def _grown(picture):
    """Dilation by the neighbours on all four sides."""
    out = picture.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            out |= np.roll(picture, shift, axis)
    return out


def _depth(volume, level):
    """Depth of the first crossing of the level along the first axis, between voxels; its length without a crossing."""
    above = volume > level
    first = above.argmax(0)
    here = np.take_along_axis(volume, first[None], 0)[0]
    before = np.take_along_axis(volume, np.maximum(first - 1, 0)[None], 0)[0]
    share = (here - level) / np.maximum(here - before, np.float32(1e-6) * abs(level) + np.float32(1e-30))
    depth = first - np.clip(share, 0, 1) * (first > 0)
    return np.where(above.any(0), depth, len(volume)).astype(np.float32)


def _spread(depth, hit):
    """Depths without a surface: that of the neighbour closest to the viewer, within three voxels."""
    known = hit.copy()
    depth = depth.copy()
    for _ in range(3):
        nearest = np.full_like(depth, np.inf)
        for axis in (0, 1):
            for shift in (-1, 1):
                there = np.where(np.roll(known, shift, axis), np.roll(depth, shift, axis), np.inf)
                nearest = np.minimum(nearest, there)
        new = ~known & np.isfinite(nearest)
        depth[new] = nearest[new]
        known |= new
    return depth


def _light(depth, zoom):
    """Light on a surface of this depth: 0 to about 1."""
    slope = np.clip(np.stack(np.gradient(depth * zoom)), -_STEEPEST, _STEEPEST)
    facing = 1 / np.sqrt(1 + (slope ** 2).sum(0))
    diffuse = np.clip(facing * (1 + _TILT[0] * slope[0] + _TILT[1] * slope[1]), 0, 1.3)
    wide = depth
    for _ in range(3):
        for axis in (0, 1):
            wide = (wide + np.roll(wide, zoom + 1, axis) + np.roll(wide, -zoom - 1, axis)) / 3
    openness = np.clip(1 - _OCCLUSION * np.maximum(depth - wide, 0), _DARKEST, 1)
    return np.clip(_AMBIENT + _DIFFUSE * diffuse, 0, 1.08) * openness


def _zoomed(picture, zoom):
    """Enlarged with linear interpolation."""
    for axis in (0, 1):
        n = picture.shape[axis]
        if n < 2:
            picture = np.repeat(picture, zoom, axis)
            continue
        place = np.clip((np.arange(n * zoom) + 0.5) / zoom - 0.5, 0, n - 1)
        low = np.minimum(place.astype(np.int32), n - 2)
        share = (place - low).astype(np.float32).reshape([-1, 1] if axis == 0 else [1, -1])
        picture = np.take(picture, low, axis) * (1 - share) + np.take(picture, low + 1, axis) * share
    return picture
