"""Expected positions of side-chain atoms that a model lacks.

Model builders truncate side chains with poor density; most of this density is in the map nevertheless. The mean
position of an atom relative to the backbone, and its scatter, are tabulated. Blurred mass at these positions would
overlap with neighbours; instead, density at a possible position is accepted as a side chain at a lower level than
elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.files.models.residue_names import residue_kind

if TYPE_CHECKING:
    from occupy_jit.files.models.reading import AtomicModel

_MEAN = {
    "ALA": "CB 0.9 0.0 1.2 0",
    "ARG": ("CB 0.9 0.0 1.2 0, CG 1.8 0.2 1.4 40, CD 2.6 0.1 2.0 75, "
            "NE 3.1 0.3 2.3 153, CZ 3.6 0.4 2.7 268, NH1 3.7 0.3 2.9 355, NH2 4.0 0.5 2.9 420"),
    "ASN": "CB 0.9 0.0 1.2 0, CG 1.8 0.2 1.3 40, OD1 2.0 0.3 0.9 115, ND2 2.3 0.3 1.8 96",
    "ASP": "CB 0.9 0.0 1.2 0, CG 1.7 0.2 1.4 44, OD1 1.8 0.3 1.0 124, OD2 2.2 0.1 2.0 94",
    "CYS": "CB 1.0 0.0 1.2 0, SG 1.6 0.2 1.7 68",
    "GLN": "CB 0.9 0.0 1.2 0, CG 1.9 0.2 1.3 38, CD 2.6 0.3 1.7 88, OE1 2.8 0.2 1.9 141, NE2 3.1 0.4 1.8 190",
    "GLU": "CB 1.0 0.0 1.2 0, CG 1.8 0.2 1.4 41, CD 2.5 0.2 1.9 95, OE1 2.7 0.1 2.1 156, OE2 2.8 0.2 2.0 187",
    "HIS": ("CB 0.9 0.0 1.2 0, CG 1.7 0.1 1.4 41, ND1 2.2 0.1 1.4 126, "
            "CD2 2.1 0.3 1.6 132, CE1 2.8 0.3 1.5 247, NE2 2.8 0.4 1.7 250"),
    "ILE": "CB 1.0 0.0 1.2 0, CG1 1.6 0.7 1.4 36, CG2 1.7 -0.7 1.3 36, CD1 2.3 0.9 2.1 84",
    "LEU": "CB 0.9 0.0 1.2 0, CG 1.9 0.3 1.4 32, CD1 2.6 0.3 1.8 81, CD2 2.6 0.3 1.2 91",
    "LYS": "CB 0.9 0.0 1.2 0, CG 1.9 0.2 1.3 37, CD 2.7 0.2 1.9 71, CE 3.4 0.4 2.1 165, NZ 4.0 0.4 2.4 276",
    "MET": "CB 0.9 0.0 1.2 0, CG 1.8 0.1 1.4 41, SD 2.7 0.0 1.9 105, CE 3.1 -0.1 2.2 185",
    "PHE": ("CB 0.9 0.0 1.2 0, CG 1.7 0.3 1.4 38, CD1 2.2 0.5 1.1 119, "
            "CD2 2.1 0.4 1.7 118, CE1 2.9 0.8 1.3 258, CE2 2.8 0.7 1.9 256, CZ 3.2 0.9 1.7 315"),
    "PRO": "CB 0.8 0.1 1.3 0, CG 0.4 1.3 1.9 10, CD -0.6 2.0 1.2 3",
    "SER": "CB 0.9 0.0 1.2 0, OG 1.2 0.0 1.7 45",
    "THR": "CB 1.0 0.0 1.2 0, OG1 1.1 0.4 1.7 42, CG2 1.7 -0.1 1.3 45",
    "TRP": ("CB 1.0 0.0 1.2 0, CG 1.6 0.2 1.5 44, CD1 1.8 0.4 1.6 140, CD2 2.0 0.3 1.7 140, NE1 2.4 0.6 1.9 278, "
            "CE2 2.5 0.5 2.0 277, CE3 2.0 0.1 1.8 248, CZ2 3.0 0.6 2.3 505, CZ3 2.5 0.2 2.0 487, CH2 3.0 0.5 2.3 604"),
    "TYR": ("CB 0.9 0.0 1.2 0, CG 1.7 0.2 1.4 42, CD1 2.1 0.5 1.2 126, CD2 2.0 0.2 1.7 127, "
            "CE1 2.8 0.7 1.4 275, CE2 2.8 0.4 1.9 277, CZ 3.1 0.6 1.7 341, OH 3.8 0.9 1.9 594"),
    "VAL": "CB 1.0 0.0 1.2 0, CG1 1.6 -0.7 1.4 37, CG2 1.6 0.6 1.4 38",
}
"""Mean place (Å) and B factor of the scatter about it (Å^2), with the alpha carbon at the origin, x away from nitrogen
and carbonyl carbon, z normal to their plane: over the 7562 amino acids of the different chains of PDB entries 1bxn,
3j9i, 5a1a, 4v4r (30S), 5ni1, 3ajo and a model of a 50S subunit."""


def missing_side_chains(model: AtomicModel) -> tuple[np.ndarray, np.ndarray]:
    """Atoms that amino acids of the model lack.

    Parameters
    ----------
    model : AtomicModel

    Returns
    -------
    xyz : ndarray (n, 3), float64
        Mean positions.
    scatter : ndarray (n,), float64
        Root mean square distance from these in Å.
    """
    means = {name: _tabulated(text) for name, text in _MEAN.items()}
    wanted = np.array([r.polymer and residue_kind(r.name).name in means for r in model.residues], bool)
    order = np.argsort(model.residue, kind="stable")
    bounds = np.searchsorted(model.residue[order], np.arange(len(model.residues) + 1))
    xyz, scatter = [], []
    for index in np.flatnonzero(wanted):
        atoms = order[bounds[index]:bounds[index + 1]]
        names = model.atom_name[atoms].tolist()
        mean = means[residue_kind(model.residues[index].name).name]
        absent = [name for name in mean if name not in names]
        if absent and {"N", "CA", "C"} <= set(names):
            place = dict(zip(names, model.xyz[atoms], strict=True))
            axes = _backbone_axes(place)
            xyz += [place["CA"] + mean[name][0] @ axes for name in absent]
            scatter += [mean[name][1] for name in absent]
    return np.array(xyz).reshape(-1, 3), np.array(scatter, float)


def _tabulated(text):
    """Mean position and scatter of every atom of one kind of residue; B is 8 pi^2 times the mean square along one
    axis."""
    rows = [row.split() for row in text.split(", ")]
    return {name: (np.array([float(v) for v in numbers[:3]]), np.sqrt(3 * float(numbers[3]) / (8 * np.pi**2)))
            for name, *numbers in rows}


def _backbone_axes(place):
    """Rows: away from nitrogen and carbonyl carbon, in their plane, normal to it."""
    towards = [(place[name] - place["CA"]) / max(np.linalg.norm(place[name] - place["CA"]), 1e-3) for name in "NC"]
    outwards, normal = -(towards[0] + towards[1]), np.cross(*towards)
    outwards, normal = (v / max(np.linalg.norm(v), 1e-3) for v in (outwards, normal))
    return np.stack([outwards, np.cross(normal, outwards), normal])
