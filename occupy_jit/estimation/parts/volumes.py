"""Memory of the fit of a model's parts. Standard library only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from occupy_jit.estimation.ledger import Ledger

# Å: voxels of the finest grid that a model is fitted on.
FIT_VOXEL = 4 / 2.8
# Å, or voxels: detail of the fit. Measured memory per voxel of the boxes of the parts and of the whole.
_MODEL_DETAIL, _DETAIL_VOXELS = 4.0, 2.4
# Share of it kept for the next map on the same grid: 0.31 to 0.66 measured.
_KEPT = 0.7
_MODEL_LIBRARIES, _BYTES_PER_BOX_VOXEL, _BYTES_PER_ATOM_OF_RESIDUES, _BYTES_PER_BYTE = 60_000_000, 70, 14500, 16


class ModelSize(NamedTuple):
    """Properties of a model that determine the memory of its fit.

    Attributes
    ----------
    extents : tuple of (x, y, z)
        Of every part, in Å.
    extent : (x, y, z)
        Of the whole.
    atoms, text_bytes : int
    """

    extents: tuple
    extent: tuple
    atoms: int
    text_bytes: int


def bytes_of_model(model: ModelSize, voxel_size: float, residues: bool) -> float:
    """Bytes for the fit of a model beside the map, from `ModelSize`, Å, and whether residues are fitted."""
    step, detail = max(voxel_size, FIT_VOXEL), max(_MODEL_DETAIL, _DETAIL_VOXELS * voxel_size)
    voxels = sum(math.prod((length + 6 * detail) / step for length in part) for part in model.extents)
    voxels += math.prod((length + 8 * detail) / step for length in model.extent)
    return _MODEL_LIBRARIES + max(_BYTES_PER_BOX_VOXEL * voxels, _BYTES_PER_BYTE * model.text_bytes,
                                  residues * _BYTES_PER_ATOM_OF_RESIDUES * model.atoms)


def bytes_kept(model: ModelSize, voxel_size: float) -> float:
    """Bytes of the fit that are kept for the next map on the same grid, from `ModelSize` and Å."""
    return _KEPT * (bytes_of_model(model, voxel_size, False) - _MODEL_LIBRARIES)


def fit(ledger: Ledger, voxels: int, bytes_of_fit: float) -> None:
    """Transforms of the map to a coarser grid, then the memory of the fit, for a map of `voxels`."""
    ledger.moment(3)
    ledger.moment(bytes_of_fit / (4 * voxels))


def half_maps(voxel_size: float, beside_halves: bool) -> float:
    """Volumes of half maps that are kept for the fit."""
    return (1 + beside_halves) * min(1.0, voxel_size / FIT_VOXEL) ** 3
