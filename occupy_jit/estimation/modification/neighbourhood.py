"""The scale of the neighbourhood: the scale of a part without the spread by the ball."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.estimation import grids
from occupy_jit.kernels import band_equalisation as kernels
from occupy_jit.kernels.grid import binned
from occupy_jit.kernels.grid.smoothing import smooth
from occupy_jit.kernels.sliding_ball_maximum import sliding_maximum
from occupy_jit.kernels.sliding_sections import maxima_of_sections

if TYPE_CHECKING:
    from occupy_jit.estimation.modification.equalise import Bands
    from occupy_jit.estimation.scale.ball import Ball
    from occupy_jit.estimation.scale.result import Result

SECTIONS = 16
"""Sections handled at a time, so that no volumes are needed beside the result."""


class Neighbourhood:
    """Scale of the neighbourhood: the scale of a part without the spread by the ball.

    ``G(C^3) / G(C^2)``, where C is the closing of the scale: the sliding minimum, over the same ball, of a sliding
    maximum, so that a strong part does not spread into a weak one. G is a Gaussian as wide as the radius of the ball,
    which leaves no facets of balls in the map. Weighted by its power, the scale stays that of the content up to its
    edge, where a plain mean would fall to the scale of solvent and amplify most.

    For large maps it is stored on the grid of cells (`occupy_jit.kernels.grid.binned`), if that can represent the
    result of the Gaussian, with linear interpolation.

    Parameters
    ----------
    scale : (nz, ny, nx) float32 array
    ball : occupy_jit.estimation.scale.ball.Ball
    """

    def __init__(self, scale: np.ndarray, ball: Ball) -> None:
        self._scale, self._ball = scale, ball
        self._sigma = smoothing_voxels(ball)
        self._cells = None
        if grids.is_thin(scale.shape) and self._sigma >= grids.LEAST_SIGMA:
            self._cells = self._on_cells()

    def sections(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Sections first ... last - 1: (last - first, ny, nx) float32 array."""
        last = self._scale.shape[0] if last is None else last
        if self._cells is not None:
            return binned.values_between(self._cells, self._scale.shape, binned.sections(first, last))
        out = np.empty((last - first, *self._scale.shape[1:]), np.float32)
        reach = max(1, int(3 * self._sigma + 0.5)) + self._ball.size // 2
        # slab by slab: no more volumes than the result
        for begin in range(first, last, SECTIONS):
            end = min(last, begin + SECTIONS)
            start = max(0, begin - reach)
            depth = sliding_maximum(np.negative(self._scale[start:end + reach]), self._ball.radius, self._ball.size)
            squares, cubes = kernels.squares_and_cubes(depth, out=depth)
            wanted = slice(begin - start, end - start)
            cubes, squares = (smooth(powers, self._sigma, out=powers)[wanted] for powers in (cubes, squares))
            kernels.power_weighted_scale(cubes, squares, out=out[begin - first:end - first])
        return out

    def _on_cells(self):
        shape = self._scale.shape
        squares, cubes = (np.empty(binned.cell_shape(shape), np.float32) for _ in range(2))
        pieces = list(binned.sections_of_cells(shape[0], grids.sections_at_a_time(shape[0]) // 2))
        closed = maxima_of_sections(self._scale, self._ball.radius, self._ball.size, [voxels for _, voxels in pieces],
                                    np.negative)
        for (of_cells, _), depth in zip(pieces, closed, strict=True):
            for powers, out in zip(kernels.squares_and_cubes(depth, out=depth), (squares, cubes), strict=True):
                binned.cell_mean_of_sections(powers, of_cells, shape[0], out[of_cells])
        cubes, squares = (binned.smoothed_cells(powers, self._sigma) for powers in (cubes, squares))
        return kernels.power_weighted_scale(cubes, squares, out=squares)


def smoothing_voxels(ball: Ball) -> float:
    """Sigma of the Gaussian of the scale of the neighbourhood."""
    return max(ball.radius, 0.5)


def scale_in_force(result: Result, bands: Bands, first: int = 0, last: int | None = None) -> np.ndarray:
    """The scale for the factors: that of the neighbourhood, at the mean level of the scale itself."""
    neighbourhood = bands.neighbourhood or Neighbourhood(result.scale, result.ball)
    scale = neighbourhood.sections(first, last)
    scale /= np.float32(bands.reading)
    return np.minimum(scale, np.float32(1), out=scale)
