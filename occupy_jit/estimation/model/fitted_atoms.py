"""The atoms that are fitted, and what is known of the parts they make up."""

from dataclasses import dataclass

import numpy as np

from occupy_jit.estimation.model.restored import missing_side_chains
from occupy_jit.estimation.model.scattering import atom_types
from occupy_jit.estimation.model.turns import SMALL_PART, Parts
from occupy_jit.files.models import PROTEIN

_B_PERCENTILE, _B_LARGEST = 5, 150.0


@dataclass
class Atoms:
    """Atoms that are fitted: those of the model inside the box, and the side chains put back.

    Attributes
    ----------
    positions : ndarray (atoms, 3), float64
        In voxels [z, y, x].
    weights : ndarray (atoms,)
    types : ndarray (atoms,), int32
        Index into `kinds`.
    b_factor, b_extra : ndarray (atoms,)
        Of the file, and what an unknown place adds, Å^2.
    part, residue : ndarray (atoms,), int
    kinds : list of (element, kind)
    from_model : ndarray (atoms,), bool
        Not put back.
    n_outside : int
        Atoms of the model outside of the box.
    """

    positions: np.ndarray
    weights: np.ndarray
    types: np.ndarray
    b_factor: np.ndarray
    b_extra: np.ndarray
    part: np.ndarray
    residue: np.ndarray
    kinds: list
    from_model: np.ndarray
    n_outside: int = 0

    def b_of(self, use_file):
        """B factors beyond that of the map: those of the file, or none."""
        if not use_file:
            return self.b_extra
        low = np.percentile(self.b_factor[self.from_model], _B_PERCENTILE)
        return np.clip(self.b_factor - low, 0, _B_LARGEST) + self.b_extra


def collect_atoms(model, part, to_voxels, shape):
    """Atoms inside the box, with side chains put back.

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
    xyz, element, extra, residue = missing_side_chains(model)
    n = len(model)
    part_of_residue = np.zeros(len(model.residues), int)
    part_of_residue[model.residue] = part
    b_of_residue = np.bincount(model.residue, model.b_factor, len(model.residues)) / np.bincount(
        model.residue, minlength=len(model.residues))
    positions = to_voxels(np.concatenate([model.xyz, xyz]))
    types, index = atom_types(np.concatenate([model.element, element]),
                              np.concatenate([model.kind, np.full(len(xyz), PROTEIN, np.uint8)]))
    atoms = Atoms(positions, np.concatenate([model.weight, np.ones(len(xyz))]), index,
                  np.concatenate([model.b_factor, b_of_residue[residue]]), np.concatenate([np.zeros(n), extra]),
                  np.concatenate([part, part_of_residue[residue]]), np.concatenate([model.residue, residue]), types,
                  np.arange(n + len(xyz)) < n)
    inside = ((positions > 0) & (positions < np.array(shape) - 1)).all(1)
    atoms.n_outside = int(np.count_nonzero(~inside[:n]))
    for name in ("positions", "weights", "types", "b_factor", "b_extra", "part", "residue", "from_model"):
        setattr(atoms, name, getattr(atoms, name)[inside])
    return atoms


def describe_parts(atoms, spacing, n_parts):
    """Sizes of the parts, which are small, and the large part beside every small one.

    Returns
    -------
    parts : Parts
    tree : scipy.spatial.cKDTree
        Of the atoms of large parts, in Å.
    owner : ndarray
        Part of each of those.
    """
    from scipy.spatial import cKDTree

    size = np.bincount(atoms.part, atoms.weights * atoms.from_model, n_parts)
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
