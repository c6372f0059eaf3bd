"""Selection of the parts of a model that are analysed as ligands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from occupy_jit.files.models.residue_names import residue_kind

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.atoms import Atoms
    from occupy_jit.files.models.reading import AtomicModel

_MOST_ATOMS, _MOST_ATOMS_OF_POLYMER = 250, 100
_FEWEST_ATOMS = 4
_SURROUNDINGS = 6.0  # Å
_NOT_MODIFIED = ("UNK", "MSE", "N", "DN")
"""Non-standard residues in polymers that are not ligands: unknown residues, and those used for phasing."""


@dataclass
class Site:
    """A ligand, cofactor, glycan, lipid, modified residue or small part named by the user.

    Attributes
    ----------
    name : str
    kind : str
        Names of the residues, the same for copies of one ligand. Empty for a part named by the user.
    atoms : ndarray (n,), int
        Indices into the fitted atoms.
    residues : ndarray, int
        Of the model.
    part : int
        Part as which, or with which, it was fitted.
    parent : int
        The large part beside it.
    b_factor : float
        Of the surrounding atoms, as fitted, Å^2.
    """

    name: str
    kind: str
    atoms: np.ndarray
    residues: np.ndarray
    part: int
    parent: int
    b_factor: float


def find_sites(model: AtomicModel, names: list[str], atoms: Atoms, b_factors: np.ndarray, spacing: np.ndarray
              ) -> list[Site]:
    """All ligands of a model that are not too large, and small parts named by the user.

    Parameters
    ----------
    model : AtomicModel
    names : list of str
        Of the parts.
    atoms : Atoms
    b_factors : ndarray (atoms,)
        As fitted.
    spacing : ndarray (3,)
        Å.

    Returns
    -------
    list of Site
        Also empty if the model has no large part for comparison.
    """
    from scipy.spatial import cKDTree

    found = _small_parts(model, names, atoms) + _modified_residues(model, names, atoms)
    alone = {part for name, part, _ in found if name == names[part]}
    large = np.flatnonzero(~np.isin(atoms.part, list(alone)))
    if not found or not len(large):
        return []
    tree = cKDTree(atoms.positions[large] * spacing)
    sites = []
    for name, part, own in found:
        xyz = atoms.positions[own] * spacing
        parent = part
        if part in alone:
            parent = int(np.bincount(atoms.part[large[tree.query(xyz)[1]]]).argmax())
        near = np.unique(np.concatenate([np.array(some, int) for some in tree.query_ball_point(xyz, _SURROUNDINGS)]))
        near = np.setdiff1d(large[near], own) if len(near) else large[np.unique(tree.query(xyz)[1])]
        residues = np.unique(atoms.residue[own])
        kind = "+".join(sorted(model.residues[r].name for r in residues))
        ours = part not in alone or _is_ligand(model, residues)
        sites.append(Site(name, kind if ours else "", own, residues, part, parent, float(b_factors[near].mean())))
    return sites


class _Atoms(NamedTuple):
    part: np.ndarray
    residue: np.ndarray
    weights: np.ndarray


def has_ligands(model: AtomicModel, names: list[str], part: np.ndarray) -> bool:
    """Whether a model contains ligands to analyse.

    Parameters
    ----------
    model : AtomicModel
    names : list of str
        Of the parts.
    part : ndarray (atoms,), int
    """
    atoms = _Atoms(part, model.residue, model.weight)
    return bool(_small_parts(model, names, atoms) or _modified_residues(model, names, atoms))


def _is_ligand(model, residues):
    return not any(model.residues[r].polymer for r in residues)


def _small_parts(model, names, atoms):
    """Name, part and atoms of parts that are ligands or short pieces of chains."""
    order = np.argsort(atoms.part, kind="stable")
    bounds = np.searchsorted(atoms.part[order], np.arange(len(names) + 1))
    found = []
    for part, name in enumerate(names):
        own = np.sort(order[bounds[part]:bounds[part + 1]])
        if len(own) < _FEWEST_ATOMS:
            continue
        ligand = _is_ligand(model, np.unique(atoms.residue[own]))
        if atoms.weights[own].sum() <= (_MOST_ATOMS if ligand else _MOST_ATOMS_OF_POLYMER):
            found.append((name, part, own))
    return found


def _modified_residues(model, names, atoms):
    """The same for modified residues inside polymers; their part is the chain."""
    modified = [i for i, r in enumerate(model.residues) if r.polymer and _is_modified(r.name)]
    order = np.argsort(atoms.residue, kind="stable")
    bounds = np.searchsorted(atoms.residue[order], np.arange(len(model.residues) + 1))
    size = np.bincount(atoms.part, minlength=len(names))
    found = []
    for i in modified:
        own = np.sort(order[bounds[i]:bounds[i + 1]])
        if len(own) >= _FEWEST_ATOMS and size[atoms.part[own[0]]] > _MOST_ATOMS_OF_POLYMER:
            r = model.residues[i]
            found.append((f"{r.chain}/{r.name}{r.number}", int(atoms.part[own[0]]), own))
    return found


def _is_modified(name):
    kind = residue_kind(name)
    return kind.known and not kind.standard and kind.name not in _NOT_MODIFIED
