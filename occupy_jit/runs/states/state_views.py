"""The mean maps of the states, reduced one by one for the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.reports import content
from occupy_jit.reports.page.display_grid import reduce_to, whole_grid
from occupy_jit.reports.states_page.views import MOST_STATES, StateView, Views
from occupy_jit.runs.one_map.part_regions import nearest_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from occupy_jit.estimation.states.blocks import Blocks
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.states.findings import Findings

_MOST_VOXELS, _MOST_OF_ALL = 6_000_000, 30_000_000
_REACH = 6.0
"""Å around its atoms within which a surface belongs to a part: mean maps are coarser than models."""


def most_voxels(number: int) -> float:
    """Largest number of voxels of each reduced mean map, before the box is cropped to the content."""
    return min(_MOST_VOXELS, _MOST_OF_ALL / min(number, MOST_STATES))


def views_of_kept(paths: Sequence[str], log: RunLog) -> ViewsOfMeans:
    """The mean maps of the states from an earlier run."""
    from occupy_jit.files.maps.reading import read_map

    views = None
    for path in paths:
        mean = read_map(path)
        views = views or ViewsOfMeans(mean.data.shape, mean.voxel_size, len(paths))
        if not views.wants_more:
            break
        views.add(mean.data, log)
    assert views is not None
    return views


class ViewsOfMeans:
    """Collects the mean maps of the states.

    Parameters
    ----------
    shape : (nz, ny, nx)
        Of the volumes.
    voxel_size : float
        Å.
    number : int
        Number of states: the more states, the coarser the grid of the reduced maps.
    """

    def __init__(self, shape: tuple[int, ...], voxel_size: float, number: int) -> None:
        step = max(1.0, (math.prod(shape) / most_voxels(number)) ** (1 / 3))
        self._grid = whole_grid(shape, step)
        self._voxel_size, self._full, self._radius = voxel_size, None, 0.0
        self._states: list[StateView] = []
        self._ended = False

    @property
    def wants_more(self) -> bool:
        """bool : Whether the page also shows the next state."""
        return not self._ended and len(self._states) < MOST_STATES

    def add(self, mean: np.ndarray, log: RunLog) -> None:
        """Add the mean map of the next state: (nz, ny, nx) float32 array, not changed.

        The full scale of the first state applies to all: the means are on one grey scale. After a map without content
        no more maps are added, because states and maps have the same numbers.
        """
        try:
            self._add(mean)
        except InputError as error:
            self._ended = True
            log.warning(f"the page shows no mean map of state {len(self._states) + 1} and later ones: {error}")

    def _add(self, mean):
        from occupy_jit.estimation.scale.estimate import estimate
        from occupy_jit.runs.one_map import shown_level

        sample = shown_level.thinned(mean)
        result = estimate(mean.copy(), voxel_size=self._voxel_size, full_scale=self._full)
        self._full = result.full_scale if self._full is None else self._full
        self._radius = result.ball.radius / self._grid.step
        density, scale, confidence = (reduce_to(self._grid, volume) for volume in
                                      (mean, result.scale, result.confidence))
        seen = content.visibility(confidence, self._radius)
        clean = content.cleaned(density, seen, result.zero) - np.float32(result.zero)
        level = shown_level.results(sample, result)["surface_level"] - result.zero
        self._states.append(StateView(np.maximum(clean, 0), scale, float(level)))

    def views(self, found: Findings) -> Views | None:
        """The maps for the page, with the positions of parts or blocks; None without maps."""
        if not self._states:
            return None
        parts = None
        if found.blocks is not None:
            parts = self.parts_of_blocks(found.blocks)
        elif found.prepared is not None:
            parts = self.parts_of_model(found.prepared)
        return Views(tuple(self._states), parts, self._voxel_size * self._grid.step, self._radius)

    def parts_of_model(self, prepared: Any) -> np.ndarray:
        """Number of the part, from 1, of the atom nearest to each voxel, 0 far from all: (gz, gy, gx) int32 array.

        Parameters
        ----------
        prepared : occupy_jit.estimation.states.prepared_fit.PreparedFit
        """
        return nearest_parts(self._grid, self._voxel_size, prepared.model.xyz - prepared.frame.origin, prepared.part,
                             _REACH)

    def parts_of_blocks(self, blocks: Blocks) -> np.ndarray:
        """Number of the block, from 1, at each voxel, 0 in solvent: (gz, gy, gx) int32 array."""
        coarse = blocks.label.shape
        places = [np.rint(((np.arange(m) + 0.5) * self._grid.step - 0.5) * self._voxel_size / spacing).astype(int) % n
                  for m, n, spacing in zip(self._grid.shape, coarse, blocks.spacing, strict=True)]
        return (blocks.label[np.ix_(*places)] + 1).astype(np.int32)
