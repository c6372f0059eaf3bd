"""Parts of a model and insides of target masks on the grid of a report, as numbers in layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.reports.page.display_grid import LAYER, in_layers, reduce_to

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.result import PartsResult
    from occupy_jit.reports.page.display_grid import Grid

REACH_ANGSTROM = 4.0
"""Distance from its atoms within which density is shown as part of it."""

_MOST_LAYERS = 8
_COARSE = 1.5  # smallest reach of a part in voxels of the grid


class Regions:
    """Layers of numbers on one grid: every part or mask has a number in a layer without overlaps.

    Parameters
    ----------
    grid : occupy_jit.reports.page.display_grid.Grid
    voxel_size : float
        Å, of the map.

    Attributes
    ----------
    grid : occupy_jit.reports.page.display_grid.Grid
    layers : list of (gz, gy, gx) uint8 array
    place : dict
        ("part", name) or ("mask", path) -> (layer, number), for all that found room.
    """

    def __init__(self, grid: Grid, voxel_size: float) -> None:
        self.grid, self._voxel_size = grid, voxel_size
        self.layers: list[np.ndarray] = []
        self.place: dict[tuple[str, str], tuple[int, int]] = {}

    def add_mask(self, path: str, mask: np.ndarray) -> None:
        """Put the inside of a mask into the first layer without an overlap."""
        inside = mask > 0.5 if mask.max() > 0.5 else mask > 0
        own = reduce_to(self.grid, inside.astype(np.float32)) > 0.5
        if not own.any():
            return
        number = next((k for k, layer in enumerate(self.layers) if layer.max() < LAYER and not layer[own].any()),
                      len(self.layers))
        if number == _MOST_LAYERS:
            return
        if number == len(self.layers):
            self.layers.append(np.zeros(self.grid.shape, np.uint8))
        layer = self.layers[number]
        self.place["mask", path] = number, int(layer.max()) + 1
        layer[own] = self.place["mask", path][1]

    def add_parts(self, fitted: PartsResult) -> None:
        """Assign every voxel near atoms to the part of the nearest one."""
        if fitted.model is None or fitted.part_of_atom is None:
            return
        nearest = nearest_parts(self.grid, self._voxel_size, fitted.model.xyz - fitted.frame.origin,
                                fitted.part_of_atom)
        first = len(self.layers)
        for index, name in enumerate(fitted.names):
            layer = index // LAYER
            if first + layer < _MOST_LAYERS and (nearest == index + 1).any():
                self.place["part", name] = first + layer, index % LAYER + 1
        self.layers += in_layers(nearest, len(fitted.names))[:_MOST_LAYERS - first]


def nearest_parts(grid: Grid, voxel_size: float, places: np.ndarray, part_of_atom: np.ndarray,
                  reach_angstrom: float = REACH_ANGSTROM) -> np.ndarray:
    """Number of the part, from 1, of the atom nearest to each voxel, 0 far from all.

    Parameters
    ----------
    grid : occupy_jit.reports.page.display_grid.Grid
    voxel_size : float
        Å, of the map.
    places : (n, 3) float array
        Atoms [x, y, z] in Å from the first voxel of the map.
    part_of_atom : (n,) int array
        Below 0 for atoms that are left out.
    reach_angstrom : float

    Returns
    -------
    (gz, gy, gx) int32 array
    """
    from scipy.ndimage import distance_transform_edt

    index = np.rint(np.stack(grid.position(list((places[:, ::-1] / voxel_size).T)), axis=1)).astype(np.int64)
    inside = ((index >= 0) & (index < grid.shape)).all(1) & (part_of_atom >= 0)
    numbers = np.zeros(grid.shape, np.int32)
    numbers[tuple(index[inside].T)] = part_of_atom[inside] + 1
    if not inside.any():
        return numbers
    distance, near = distance_transform_edt(numbers == 0, return_indices=True)
    reach = max(reach_angstrom / (voxel_size * grid.step), _COARSE)
    return np.where(distance <= reach, numbers[tuple(near)], 0)
