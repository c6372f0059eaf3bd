"""Pictures of the density at each ligand, cut out while the map is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from occupy_jit.kernels.model.atoms import density_at
from occupy_jit.reports.ligand_files import in_words
from occupy_jit.reports.page.data import LigandSite

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.result import PartsResult
    from occupy_jit.files.maps.maps import Map

_MOST = 48  # pictures
_PIXEL = 0.4  # Å
_MARGIN, _LEAST, _MOST_EDGE = 4.0, 16.0, 48.0  # Å
_SLAB = (-1.0, 0.0, 1.0)  # Å from the plane
_NEAR_PLANE = 2.0  # Å
_BOND = 2.0  # Å
_WHITE, _BLACK = 0.02, 0.997  # quantiles of the densities around a site


class _Placed(NamedTuple):
    """A map in the frame of the model; `origin` is the position of its first voxel."""

    data: np.ndarray
    origin: np.ndarray
    voxel_size: float


def pictures(volume: Map, fitted: PartsResult, rows: Sequence[dict[str, Any]]) -> tuple[LigandSite, ...]:
    """Pictures of the ligands for the report.

    Parameters
    ----------
    volume : occupy_jit.files.maps.maps.Map
    fitted : occupy_jit.estimation.parts.result.PartsResult
    rows : sequence of dict
        Of the table of ligands.

    Returns
    -------
    tuple of occupy_jit.reports.page.data.LigandSite
        Of the first ones if there are many.
    """
    if fitted.ligands is None:
        return ()
    placed = _Placed(np.ascontiguousarray(volume.data, np.float32), fitted.frame.origin, volume.voxel_size)
    cuts = [_cut(placed, fitted.model, own) for own in fitted.ligands.residues[:_MOST]]
    levels = [np.quantile(section, (0.5 * _WHITE, _BLACK)) for section, *_ in cuts]
    low, high = max(0.0, float(np.median([level[0] for level in levels]))), float(np.median([v[1] for v in levels]))
    return tuple(LigandSite(row["part"], in_words(row), _details(row),
                            np.clip((section - low) / max(high - low, 1e-30), 0, 1).astype(np.float32), _PIXEL, *drawn)
                 for row, (section, *drawn) in zip(rows, cuts, strict=False))


def _details(row):
    """Numbers for the caption of a picture."""
    said = [f"detection limit {row['detection_limit']:.2f}"]
    if row["relative_to_chain"] is not None:
        said.append(f"{row['relative_to_chain']:.2f} of chain {row['chain']}")
    if row["dB"] is not None:
        said.append(f"dB {row['dB']:.0f} Å²")
    if row["differs"]:
        said.append("differs from the other copies")
    return ", ".join(said)


def _cut(placed, model, residues):
    """Section through the ligand in its plane; positions of its atoms and bonds, and of those beside it."""
    own = np.isin(model.residue, residues)
    xyz = model.xyz[own]
    centre = xyz.mean(0)
    axes = np.linalg.svd(xyz - centre, full_matrices=True)[2]
    along = (xyz - centre) @ axes[:2].T
    middle = (along.min(0) + along.max(0)) / 2
    edge = np.clip(np.ptp(along, axis=0) + 2 * _MARGIN, _LEAST, _MOST_EDGE)
    ny, nx = (int(np.ceil(edge[k] / _PIXEL)) for k in (1, 0))
    corner = middle - np.array([nx, ny]) * _PIXEL / 2
    x, y = (corner[k] + (np.arange(n) + 0.5) * _PIXEL for k, n in ((0, nx), (1, ny)))
    plane = centre + x[None, :, None] * axes[0] + y[:, None, None] * axes[1]
    section = np.mean([_density(placed, plane + height * axes[2]) for height in _SLAB], axis=0)
    beside = model.xyz[~own] - centre
    flat = beside @ axes.T
    inside = ((np.abs(flat[:, 2]) < _NEAR_PLANE) & (flat[:, :2] > corner).all(1)
              & (flat[:, :2] < corner + np.array([nx, ny]) * _PIXEL).all(1))
    return (section, along - corner, _bonds(xyz), flat[inside, :2] - corner, _bonds(beside[inside]))


def _density(placed, points):
    """Density at points [x, y, z] in Å."""
    places = (points.reshape(-1, 3) - placed.origin)[:, ::-1] / placed.voxel_size
    return density_at(placed.data, places).reshape(points.shape[:2])


def _bonds(xyz):
    """Pairs of atoms within the length of a bond."""
    from scipy.spatial import cKDTree

    return cKDTree(xyz).query_pairs(_BOND, output_type="ndarray") if len(xyz) else np.zeros((0, 2), int)
