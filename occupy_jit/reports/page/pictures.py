"""Still pictures of a map: for paper, for mail previews, and for browsers without WebGL or without scripts."""

from typing import Any

import numpy as np

from occupy_jit.reports import colours
from occupy_jit.reports.colours import ramp
from occupy_jit.reports.page.display_grid import averaged, means

_LONGEST = 400  # pixels of the longest edge, about
_ZOOMS = (2, 8)
_WHITE = 255.0
_GAP = 20
_AMBIENT, _DIFFUSE = 0.45, 0.62
_STEEPEST = 2.5
_TILT = (0.35, -0.2)  # where the light comes from, down and to the right
_DARKEST = 0.45
_OCCLUSION = 0.035
_BELOW_SURFACE = (1, 2, 4)  # voxels: at the surface itself the scale fades everywhere
_DUST_REACH = 6  # pixels
_VIEWS = ((0, True), (1, False), (2, True))  # axis, and whether it is looked along from its end


def three_views(density: np.ndarray, scale: np.ndarray, level: float) -> np.ndarray:
    """A surface from three sides, coloured by the scale.

    Parameters
    ----------
    density, scale : (nz, ny, nx) float32 array
    level : float
        Density of the surface.

    Returns
    -------
    (height, width, 3) uint8 array
        On white.
    """
    zoom = zoom_of(density.shape)
    return _beside([_orthographic(density, scale, level, axis, reverse, zoom) for axis, reverse in _VIEWS], _GAP)


def zoom_of(shape: tuple[int, int, int]) -> int:
    """Pixels a voxel in pictures of a volume of this shape; the first of three views is ``zoom * shape[2]`` wide."""
    return min(max(round(_LONGEST / max(shape)), _ZOOMS[0]), _ZOOMS[1])


def thumbnail(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """The first of three views, made to fit: for a list of many maps.

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
    """Slices beside each other.

    Parameters
    ----------
    panels : sequence of ((ny, nx) array of 0 to 1, stops)
        Values and their colours.
    gap : int
        Pixels between two.

    Returns
    -------
    (height, width, 3) uint8 array
        The first row of an array is at the bottom.
    """
    return _beside([ramp(stops, values[::-1]) for values, stops in panels], gap)


GREY = ((0.0, "#000000"), (1.0, "#ffffff"))


def scale_on_white() -> tuple[Any, ...]:
    """Colours of the scale in slices: what is next to nothing fades into the paper."""
    lowest = colours.SCALE[0][0]
    return ((0.0, "#ffffff"), (lowest / 2, "#ffffff"), *colours.SCALE)


def share_on_white(stops: tuple[Any, ...]) -> tuple[Any, ...]:
    """Colours of a quantity from 0 to 1 in slices, from white to its strongest colour."""
    return ((0.0, "#ffffff"), (1.0, stops[-1][1]))


def zero_on_white(stops: Any) -> tuple[Any, Any, Any]:
    """Colours of a quantity of both signs in slices: white at 0, where its second stop is."""
    return (stops[0], (stops[1][0], "#ffffff"), stops[2])


def _beside(pictures, gap):
    height = max(p.shape[0] for p in pictures)
    width = sum(p.shape[1] for p in pictures) + gap * (len(pictures) - 1)
    out = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for picture in pictures:
        top = (height - picture.shape[0]) // 2
        out[top:top + picture.shape[0], left:left + picture.shape[1]] = np.clip(picture, 0, 255)
        left += picture.shape[1] + gap
    return out


def _orthographic(density, scale, level, axis, reverse, zoom):
    """View along an axis: the first crossing of the level, shaded by its slope and by what surrounds it."""
    volume, colour = (np.moveaxis(v, axis, 0)[::-1 if reverse else 1] for v in (density, scale))
    highest = volume.max(0)
    hit = _without_dust(highest > level)
    depth = _zoomed(_spread(_depth(volume, level), hit), zoom)
    # where the highest density along the line of sight crosses the level, between voxels, is the outline
    outline = _zoomed(np.where(_grown(hit), highest, np.minimum(highest, level)), zoom) > level
    light = _light(depth, zoom)
    first = np.rint(depth).astype(np.int32)
    y, x = np.indices(depth.shape) // zoom
    inside = [colour[np.clip(first + below, 0, len(colour) - 1), y, x] for below in _BELOW_SURFACE]
    rgb = ramp(colours.SCALE, np.max(inside, axis=0)) * light[..., None]
    return np.where(outline[..., None], rgb, _WHITE)[::-1]


def _without_dust(hit):
    """Pixels that hang together with a square of three: single ones are noise."""
    solid = hit.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            solid &= np.roll(solid, shift, axis)
    for _ in range(_DUST_REACH):
        solid = _grown(solid) & hit
    return solid


def _grown(picture):
    """With the neighbours on all four sides."""
    out = picture.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            out |= np.roll(picture, shift, axis)
    return out


def _depth(volume, level):
    """Depth of the first crossing of the level along the first axis, between voxels; its length where there is none."""
    above = volume > level
    first = above.argmax(0)
    here = np.take_along_axis(volume, first[None], 0)[0]
    before = np.take_along_axis(volume, np.maximum(first - 1, 0)[None], 0)[0]
    share = (here - level) / np.maximum(here - before, np.float32(1e-6) * abs(level) + np.float32(1e-30))
    depth = first - np.clip(share, 0, 1) * (first > 0)
    return np.where(above.any(0), depth, len(volume)).astype(np.float32)


def _spread(depth, hit):
    """Depths where there is no surface: the mean of neighbours that have one, three voxels far."""
    known = hit.copy()
    depth = depth.copy()
    for _ in range(3):
        total = np.zeros_like(depth)
        count = np.zeros_like(depth)
        for axis in (0, 1):
            for shift in (-1, 1):
                near = np.roll(known, shift, axis)
                total += np.where(near, np.roll(depth, shift, axis), 0)
                count += near
        new = ~known & (count > 0)
        depth[new] = total[new] / count[new]
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
    """Larger, with straight lines between the pixels."""
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
