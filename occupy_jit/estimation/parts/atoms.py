"""The fitted atoms and their parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.estimation.parts.gauss_newton import SMALL_PART, Parts
from occupy_jit.estimation.parts.restored import missing_side_chains
from occupy_jit.estimation.parts.scattering import atom_types

if TYPE_CHECKING:
    from occupy_jit.files.models.reading import AtomicModel

_B_PERCENTILE, _B_LARGEST = 5, 150.0
_SURROUNDINGS = 6.0  # Å


@dataclass
class Atoms:
    """Fitted atoms: those of the model inside the box, and possible positions of absent side chains.

    Attributes
    ----------
    positions : ndarray (atoms, 3), float64
        In voxels [z, y, x].
    weights : ndarray (atoms,)
    types : ndarray (atoms,), int32
        Index into `kinds`.
    b_factor : ndarray (atoms,)
        Of the file, Å^2.
    part, residue : ndarray (atoms,), int
    kinds : list of (element, kind)
    absent : ndarray (n, 3), float64
        Mean positions of absent side-chain atoms, in voxels [z, y, x].
    scatter : ndarray (n,), float64
        Å, rms, around these.
    n_outside : int
        Atoms of the model outside the box.
    """

    positions: np.ndarray
    weights: np.ndarray
    types: np.ndarray
    b_factor: np.ndarray
    part: np.ndarray
    residue: np.ndarray
    kinds: list
    absent: np.ndarray
    scatter: np.ndarray
    n_outside: int = 0

    def b_of(self, use_file: bool) -> np.ndarray:
        """B factors relative to that of the map: those of the file, or 0."""
        if not use_file:
            return np.zeros(len(self.part))
        return np.clip(self.b_factor - np.percentile(self.b_factor, _B_PERCENTILE), 0, _B_LARGEST)


def collect_atoms(model: AtomicModel, part: np.ndarray, to_voxels: Callable[..., Any], shape: tuple[int, ...]) -> Atoms:
    """Atoms inside the box.

    Parameters
    ----------
    model : AtomicModel
    part : ndarray (atoms,), int
    to_voxels : callable
        From xyz in Å to voxels [z, y, x].
    shape : tuple of int

    Returns
    -------
    Atoms
    """
    types, index = atom_types(model.element, model.kind)
    absent, scatter = missing_side_chains(model)
    atoms = Atoms(to_voxels(model.xyz), model.weight, index, model.b_factor, part, model.residue, types,
                  to_voxels(absent), scatter)
    inside = ((atoms.positions > 0) & (atoms.positions < np.array(shape) - 1)).all(1)
    atoms.n_outside = int(np.count_nonzero(~inside))
    for name in ("positions", "weights", "types", "b_factor", "part", "residue"):
        setattr(atoms, name, getattr(atoms, name)[inside])
    return atoms


def share_b_factors(atoms: Atoms, spacing: np.ndarray, parts: Parts, tree: Any) -> None:
    """Give the atoms of small parts the mean B factor of the surrounding atoms.

    B factors of ligands in files are unreliable, and the result must not depend on them.

    Parameters
    ----------
    atoms : Atoms
        Changed.
    spacing : ndarray (3,)
        Å.
    parts, tree
        From `describe_parts`.
    """
    large = atoms.b_factor[~parts.small[atoms.part]]
    atoms.b_factor = atoms.b_factor.copy()
    for part in np.flatnonzero(parts.small & (parts.size > 0)):
        own = atoms.part == part
        xyz = atoms.positions[own] * spacing
        near = {i for some in tree.query_ball_point(xyz, _SURROUNDINGS) for i in some} or set(tree.query(xyz)[1])
        atoms.b_factor[own] = large[sorted(near)].mean()


def describe_parts(atoms: Atoms, spacing: np.ndarray, n_parts: int) -> tuple[Any, Any, np.ndarray]:
    """Sizes of the parts, which of them are small, and the large part beside every small one.

    Returns
    -------
    parts : Parts
    tree : scipy.spatial.cKDTree
        Of the atoms of large parts, in Å.
    owner : ndarray
        Part of each of these atoms.
    """
    from scipy.spatial import cKDTree

    size = np.bincount(atoms.part, atoms.weights, n_parts)
    small = size < SMALL_PART
    if small.all():
        small[np.argmax(size)] = False
    parent = np.arange(n_parts)
    large = ~small[atoms.part]
    tree, owner = cKDTree(atoms.positions[large] * spacing), atoms.part[large]
    for k in np.flatnonzero(small & (size > 0)):
        nearest = tree.query(atoms.positions[atoms.part == k] * spacing)[1]
        parent[k] = np.bincount(owner[nearest]).argmax()
    return Parts(size, small, parent), tree, owner
