"""The core of a map and the distribution of its scale, the basis of the sentence about a map.

Every surface has a rim where the scale falls to 0, as wide as the ball of the sliding maximum. It says
nothing about occupancy, and it is large: with it a third of a fully occupied complex would
seem to be weak. The core is the confident content without a rim of one ball radius. Inside
the core the scale still falls in every groove between atoms; it is therefore averaged over a neighbourhood as
large as the ball, weighted by itself, so that gaps between atoms count little.

In simulated maps the share of the core below half is at most 0.042 where everything is fully occupied. Parts that noise
hides are not in the core, and visible weak parts lose a wider rim: the share is then a lower limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum

if TYPE_CHECKING:
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.estimation.scale.confidence import Content
    from occupy_jit.estimation.scale.result import Result

BINS = 40
"""Of the histogram of the scale, from 0 to 1."""

WEAK, STRONG = 0.5, 0.8
"""Scale below which a voxel of the core is weak, and scale from which on it is strong."""

SURELY_WEAK = 0.45
"""Scale below which a voxel of the core is weak beyond doubt. The averaged scale varies by some 0.1 at equal occupancy:
where whole chains have an occupancy of 0.6, up to 0.1 of the core is below 0.5, but at most 0.03 below this."""

CONFIDENT = 0.5
SMOOTHING_RADII = 5 ** -0.5
"""Standard deviation of the Gaussian neighbourhood, in radii of the ball: along each axis that of the ball itself."""

_LEAST_SIGMA = 0.5  # voxels
_SECTIONS = 32
_CELLS = 16  # planes of cells at a time
_FINE_BINS = 4096  # to find the median


@dataclass(frozen=True)
class Core:
    """The core of a map and its scale.

    Attributes
    ----------
    volume_angstrom3 : float
    weak_share : float
        Share of it with a scale below `WEAK`.
    strong_share : float
        Share of it with a scale of `STRONG` or more.
    median : float
        Of the scale in it.
    counts : (BINS,) int64 array
        Voxels in equal bins of the scale from 0 to 1.
    voxel_volume_angstrom3 : float
    """

    volume_angstrom3: float
    weak_share: float
    strong_share: float
    median: float
    counts: np.ndarray
    voxel_volume_angstrom3: float

    @property
    def surely_weak_share(self) -> float:
        """float : Share of the core with a scale below `SURELY_WEAK`: at least so much is weak."""
        return float(self.counts[:round(SURELY_WEAK * BINS)].sum()) / max(int(self.counts.sum()), 1)

    @property
    def empty(self) -> bool:
        """bool : Whether no content is deeper than one radius of the ball."""
        return not self.counts.sum()


def core_of(result: Result, scale: np.ndarray | None = None) -> Core | None:
    """The core of a map, however its content is known.

    Parameters
    ----------
    result : occupy_jit.estimation.scale.result.Result
    scale : (nz, ny, nx) float32 array, optional
        The scale to measure; by default the one of the result.

    Returns
    -------
    Core or None
        None where the result holds neither content nor confidence.
    """
    scale = result.scale if scale is None else scale
    if result.content is not None:
        return measure_core_on_cells(scale, result.content, result.ball, result.voxel_size)
    if result.confidence is None:
        return None
    return measure_core(scale, result.confidence, result.ball, result.voxel_size)


def measure_core(scale: np.ndarray, confidence: np.ndarray, ball: Ball, voxel_size: float) -> Core:
    """The core of a map, and the distribution of its scale.

    Parameters
    ----------
    scale, confidence : (nz, ny, nx) float32 array
        In [0, 1]; not changed.
    ball : occupy_jit.estimation.scale.ball.Ball
        Ball of the sliding maximum.
    voxel_size : float
        Å.

    Returns
    -------
    Core
        With shares and a median of 0 if it is empty.
    """
    sigma = SMOOTHING_RADII * ball.radius
    part = _around((section > CONFIDENT for section in confidence), ball.size + math.ceil(4 * sigma))
    pieces = list(_core_values(scale[part], confidence[part], ball, sigma))
    voxel, number = float(voxel_size) ** 3, sum(values.size for values in pieces)
    counts = sum((np.histogram(values, BINS, (0.0, 1.0))[0] for values in pieces), np.zeros(BINS, np.int64))
    if not number:
        return Core(0.0, 0.0, 0.0, 0.0, counts, voxel)
    weak = sum(int(np.count_nonzero(values < WEAK)) for values in pieces) / number
    strong = sum(int(np.count_nonzero(values >= STRONG)) for values in pieces) / number
    return Core(number * voxel, weak, strong, _median(pieces, number), counts, voxel)


def measure_core_on_cells(scale: np.ndarray, content: Content, ball: Ball, voxel_size: float) -> Core:
    """The same for a large map, with the scale averaged on the grid of cells of two voxels.

    Which voxels belong to the core is decided voxel by voxel. Shares and median differ by at most 0.01 from
    those of `measure_core` in simulated proteins, from good to poor maps.

    Parameters
    ----------
    scale : (nz, ny, nx) float32 array
    content : occupy_jit.estimation.scale.confidence.Content
    ball, voxel_size
        As for `measure_core`.

    Returns
    -------
    Core
    """
    # two cells more: between cells, content reaches halfway
    box = _around(content.sure, 2)
    inside = _share_in_core(scale, content, ball, box)
    on = inside > 0
    values = _averaged_on_cells(scale, SMOOTHING_RADII * ball.radius, box)[on]
    z, y, x = (np.diff(binned.section_starts(n, cells)).astype(np.float32)
               for n, cells in zip(scale.shape, box, strict=True))
    voxels = np.rint(inside[on] * (z[:, None, None] * y[:, None] * x)[on]).astype(np.int64)
    return _weighted(values, voxels, float(voxel_size) ** 3)


def _share_in_core(scale, content, ball, box):
    """Share of each cell of a box that belongs to the core."""
    n_z, halo = len(scale), ball.size // 2
    y, x = (binned.voxels_of(n, cells) for n, cells in zip(scale.shape[1:], box[1:], strict=True))
    out = np.empty([cells.stop - cells.start for cells in box], np.float32)
    for cells, voxels in binned.sections_of_cells(n_z, _CELLS, box[0]):
        start = max(0, voxels.start - halo)
        around = slice(start, min(n_z, voxels.stop + halo)), y, x
        doubt = sliding_maximum(content.doubt(scale, around), ball.radius, ball.size)
        out[cells.start - box[0].start:cells.stop - box[0].start] = binned.cell_mean_of_box(
            doubt[voxels.start - start:voxels.stop - start], (cells, *box[1:]), scale.shape)
    return np.subtract(1, out, out=out)


def _averaged_on_cells(scale, sigma, box):
    """`self_weighted` on a box of cells."""
    reach = math.ceil(2 * sigma)  # four sigma, in cells of two voxels
    wide = tuple(slice(max(0, cells.start - reach), min(binned.cell_count(n), cells.stop + reach))
                 for n, cells in zip(scale.shape, box, strict=True))
    mean, square = binned.cell_mean(scale, box=wide), binned.cell_power(scale, 0.0, box=wide)
    if sigma > binned.SIGMA_OF_CELL:
        mean, square = (binned.smoothed_cells(cells, sigma) for cells in (mean, square))
    part = tuple(slice(cells.start - around.start, cells.stop - around.start)
                 for cells, around in zip(box, wide, strict=True))
    mean, square = mean[part], square[part]
    return np.divide(square, mean, out=np.zeros_like(mean), where=mean > 0)


def _weighted(values, voxels, voxel_volume):
    """The core from a value for each cell and the number of its voxels that belong to the core."""
    counts = np.histogram(values, BINS, (0.0, 1.0), weights=voxels)[0].astype(np.int64)
    number = int(voxels.sum())
    if not number:
        return Core(0.0, 0.0, 0.0, 0.0, counts, voxel_volume)
    weak, strong = (int(voxels[chosen].sum()) / number for chosen in (values < WEAK, values >= STRONG))
    order = np.argsort(values)
    ranks = np.searchsorted(np.cumsum(voxels[order]), ((number - 1) // 2, number // 2), side="right")
    return Core(number * voxel_volume, weak, strong, float(values[order][ranks].mean()), counts, voxel_volume)


def _median(pieces, number):
    """As `np.median` of all pieces, without copying them: only values near the median are sorted."""
    counts = sum(np.histogram(values, _FINE_BINS, (0.0, 1.0))[0] for values in pieces)
    below = np.concatenate([[0], np.cumsum(counts)])
    first, last = (int(np.searchsorted(below, rank, side="right")) - 1 for rank in ((number - 1) // 2, number // 2))
    # a further bin on both sides, because a value at the edge of a bin may be counted in the next
    low, high = max(first - 1, 0) / _FINE_BINS, min(last + 2, _FINE_BINS) / _FINE_BINS
    low, high = (-np.inf if low == 0 else low), (np.inf if high == 1 else high)
    before = sum(int(np.count_nonzero(values < low)) for values in pieces)
    near = np.sort(np.concatenate([values[(values >= low) & (values < high)] for values in pieces]))
    return float(np.mean(near[[(number - 1) // 2 - before, number // 2 - before]]))


def _core_values(scale, confidence, ball, sigma):
    """Averaged scale of the voxels of the core, some sections at a time: no volumes are needed for it."""
    reach = max(ball.size // 2, math.ceil(3 * max(sigma, _LEAST_SIGMA)) + 1)
    for first in range(0, len(scale), _SECTIONS):
        last = min(first + _SECTIONS, len(scale))
        start = max(0, first - reach)
        here = slice(start, last + reach)
        inside = core_mask(np.ascontiguousarray(confidence[here]), ball)[first - start:last - start]
        if inside.any():
            averaged = self_weighted(np.ascontiguousarray(scale[here]), sigma)[first - start:last - start]
            yield averaged[inside]


def _around(sections, margin):
    """Box around what is true in sections, with a margin: nothing outside it changes what is inside its core."""
    rows: list[Any] = []
    outline: Any = False
    for section in sections:
        rows.append(section.any())
        outline = section | outline
    lines = (np.array(rows), outline.any(1), outline.any(0))
    found = [(np.flatnonzero(line), len(line)) for line in lines]
    return tuple(slice(max(0, int(on[0]) - margin), min(n, int(on[-1]) + 1 + margin)) if on.size else slice(0, 1)
                 for on, n in found)


def core_mask(confidence: np.ndarray, ball: Ball) -> Any:
    """Confident content without a rim of one ball radius.

    Returns
    -------
    (nz, ny, nx) bool array
        Where confidence is above one half over the whole ball; beyond the edge of the box the nearest voxel repeats.
    """
    doubt = np.less_equal(confidence, CONFIDENT).astype(np.float32)
    return sliding_maximum(doubt, ball.radius, ball.size) == 0


def self_weighted(scale: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of the scale over a Gaussian neighbourhood, weighted by the scale itself: G(S^2) / G(S).

    Parameters
    ----------
    scale : (nz, ny, nx) float32 array
        Never negative.
    sigma : float
        Of the Gaussian, in voxels.

    Returns
    -------
    (nz, ny, nx) float32 array
        0 where the surrounding scale is 0.
    """
    sigma = max(float(sigma), _LEAST_SIGMA)
    squares = np.square(scale, dtype=np.float32)
    smooth(squares, sigma, out=squares)
    weight = smooth(scale, sigma)
    return np.divide(squares, weight, out=squares, where=weight > 0)
