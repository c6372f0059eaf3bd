"""From volumes of any size to the small grids of bytes in a report.

All maps of a report share one grid: the box around the visible content, in steps so wide that a volume has no more
voxels than a browser can mesh and draw at once. Densities and scales become bytes, deflated and written as base64.
"""

import base64
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from occupy_jit.reports.content import without_islands

MOST_VOXELS = 1_500_000
MARGIN_ANGSTROM = 8.0
LOWEST_SCALE = 0.1
"""Lowest scale that is drawn."""

FEWEST = 2
"""Voxels along an axis: a surface lies between two."""

LAYER = 255
"""Numbers of one layer of parts; 0 is outside all parts."""

_LEAST_MARGIN = 4
_LOOKED_AT = 1_000_000  # voxels for the search of content
_TOP_PERCENTILE = 99.95
_BOTTOM_SHARE = 0.35
_SOLVENT_BITS = 0xFC
_SOLVENT_CONFIDENCE = 0.01
_DEFLATE_LEVEL = 6


@dataclass(frozen=True)
class Grid:
    """Part of a box, and its reduction.

    Attributes
    ----------
    crop : tuple of slice
        Of the volume, [z, y, x].
    step : float
        Voxels of the volume per voxel of the grid, at least 1.
    shape : (nz, ny, nx)
        Of the grid.
    """

    crop: tuple
    step: float
    shape: tuple

    def position(self, voxel_zyx: list[float]) -> list[float]:
        """Position of a voxel of the volume, in voxels of the grid: [z, y, x] list of float."""
        return [(v - c.start + 0.5) / self.step - 0.5 for v, c in zip(voxel_zyx, self.crop, strict=True)]

    def origin(self, voxel_size: float, position_xyz: tuple[float, float, float]) -> list[float]:
        """Position of the first voxel of the grid in Å: [x, y, z] list of float.

        `position_xyz` is the position of the first voxel of the volume.
        """
        return [p + (c.start + 0.5 * self.step - 0.5) * voxel_size
                for p, c in zip(position_xyz, reversed(self.crop), strict=True)]


def grid_over(crop: tuple[slice, ...], step: float) -> Grid:
    """Grid of a part of a box, `step` voxels of it per voxel of the grid."""
    return Grid(crop, step, tuple(min(c.stop - c.start, max(FEWEST, math.floor((c.stop - c.start) / step)))
                                  for c in crop))


def whole_grid(shape: tuple[int, ...], step: float) -> Grid:
    """Grid of a whole box."""
    return grid_over(tuple(slice(0, n) for n in shape), step)


def choose_grid(scale: np.ndarray, confidence: np.ndarray, voxel_size: float, most_voxels: float = MOST_VOXELS) -> Grid:
    """Grid for the visible content: confidence above one half and scale above `LOWEST_SCALE`, with a margin.

    Islands of noise are left out.

    Parameters
    ----------
    scale, confidence : (nz, ny, nx) float32 array
    voxel_size : float
        Å.
    most_voxels : float
        Approximate upper limit of the voxels of the grid.

    Returns
    -------
    Grid
        Of the whole box without visible content.
    """
    margin = max(_LEAST_MARGIN, round(MARGIN_ANGSTROM / voxel_size))
    # every few voxels: content is wider, and whole boolean volumes would take time and memory
    step = max(1, math.ceil((scale.size / _LOOKED_AT) ** (1 / 3)))
    some = np.s_[::step, ::step, ::step]
    content = without_islands((confidence[some] > 0.5) & (scale[some] >= LOWEST_SCALE))
    crop = tuple(_extent(content.any(tuple({0, 1, 2} - {axis})), step, n, margin)
                 for axis, n in enumerate(scale.shape))
    full = [c.stop - c.start for c in crop]
    return grid_over(crop, max(1.0, (math.prod(full) / most_voxels) ** (1 / 3)))


def _extent(on, step, n, margin):
    """Range of the n voxels that may be on, from every few of them in `on`, with a margin."""
    places = step * np.flatnonzero(on)
    if not places.size:
        return slice(0, n)
    return slice(max(0, int(places[0]) - step + 1 - margin), min(n, int(places[-1]) + step + margin))


def reduce_to(grid: Grid, volume: np.ndarray) -> np.ndarray:
    """A volume on a grid.

    Each voxel is a mean with triangular weights that extend to its neighbours, so that no detail finer than the
    grid is aliased.

    Parameters
    ----------
    grid : Grid
    volume : (nz, ny, nx) float32 array

    Returns
    -------
    (gz, gy, gx) float32 array
    """
    volume = volume[grid.crop]
    if grid.step == 1:
        return np.array(volume, np.float32, order="C")
    # no matrix product, whose threads compete with those of other runs on a shared machine
    (first_z, weight_z), *plane = (means(n, m, grid.step) for n, m in zip(volume.shape, grid.shape, strict=True))
    out = np.empty(grid.shape, np.float32)
    for target, first, weights in zip(out, first_z, weight_z, strict=True):
        section = weights[0] * volume[first]
        for k in range(1, len(weights)):
            section += weights[k] * volume[first + k]
        target[:] = averaged(section, *plane)
    return out


def nearest_to(grid: Grid, numbers: np.ndarray) -> np.ndarray:
    """A volume of labels, which have no mean, on a grid of the whole box: (gz, gy, gx) array of its type."""
    at = [np.minimum(((np.arange(m) + 0.5) * grid.step).astype(int), n - 1)
          for m, n in zip(grid.shape, numbers.shape, strict=True)]
    return numbers[np.ix_(*at)]


def in_layers(numbers: np.ndarray, most: int) -> list[np.ndarray]:
    """Numbers from 1 to `most` in layers of `LAYER`, each from 1 with 0 outside: list of (gz, gy, gx) uint8 array."""
    return [np.where((numbers > start) & (numbers <= start + LAYER), numbers - start, 0).astype(np.uint8)
            for start in range(0, most, LAYER)]


def averaged(picture: tuple[Any, ...] | np.ndarray, along_y: tuple[Any, ...], along_x: tuple[Any, ...]) -> Any:
    """Weighted means of the rows, then of the columns, of a picture.

    Parameters
    ----------
    picture : (ny, nx) or (ny, nx, colours) array
    along_y, along_x : (first, weights)
        From `means`.
    """
    for axis, (first, weights) in enumerate((along_y, along_x)):
        shape = [-1 if k == axis else 1 for k in range(picture.ndim)]  # pyright: ignore[reportAttributeAccessIssue]
        total = weights[:, 0].reshape(shape) * np.take(picture, first, axis)
        for k in range(1, weights.shape[1]):
            total += weights[:, k].reshape(shape) * np.take(picture, first + k, axis)
        picture = total
    return picture


def means(n: int, m: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights for m means of n values, `step` apart: triangles as wide as two steps.

    Returns
    -------
    first : (m,) int array
        The first value of each mean.
    weights : (m, k) float32 array
        Weights of this value and the k - 1 next, with a sum of 1.
    """
    # an axis shorter than two steps still has two positions: the second is on its last voxel
    centre = np.minimum((np.arange(m) + 0.5) * step - 0.5, n - 1)
    weight = np.maximum(0, 1 - np.abs(np.arange(n) - centre[:, None]) / max(step, 1.0))
    k = max(1, int(np.count_nonzero(weight, axis=1).max()))
    first = np.minimum((weight > 0).argmax(1), n - k)
    kept = np.take_along_axis(weight, first[:, None] + np.arange(k), 1)
    return first, (kept / kept.sum(1, keepdims=True)).astype(np.float32)


def density_range(density: np.ndarray, confidence: np.ndarray, zero: float = 0.0) -> tuple[float, float]:
    """Densities of the bytes 0 and 255.

    From below solvent to a density that hardly any content exceeds.

    Parameters
    ----------
    density, confidence : (gz, gy, gx) float32 array
    zero : float
        Density of solvent.

    Returns
    -------
    low, high : float
    """
    content = density[confidence > 0.5]
    if not content.size:
        content = density.reshape(-1)
    high = float(np.percentile(content, _TOP_PERCENTILE)) - zero
    if not high > 0:
        high = max(float(np.abs(density - np.float32(zero)).max()), float(np.finfo(np.float32).tiny))
    return zero - _BOTTOM_SHARE * high, zero + high


def to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as bytes: `low` or less is 0, `high` or more 255.

    Returns
    -------
    uint8 array of the same shape
    """
    scaled = (values - np.float32(low)) * np.float32(255 / (high - low))
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)


def quieter_solvent(density_bytes: np.ndarray, confidence: np.ndarray) -> None:
    """Clear the two lowest bits in certain solvent, in place, because noise does not compress."""
    density_bytes[confidence < _SOLVENT_CONFIDENCE] &= np.uint8(_SOLVENT_BITS)


def drawn_scale(scale_bytes: np.ndarray) -> None:
    """Set voxels that are never drawn to 0, in place, which halves the deflated size."""
    scale_bytes[scale_bytes < round(LOWEST_SCALE * 255)] = 0


def packed(volume_bytes: np.ndarray) -> str:
    """Bytes of a volume, x fastest, deflated (zlib), as base64 text."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(volume_bytes), _DEFLATE_LEVEL)).decode("ascii")
