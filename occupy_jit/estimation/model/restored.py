"""Side-chain atoms that a model leaves out, put back as blurred mass.

Builders cut side chains whose density they do not see well; most of it is in the map all the same, and without it the
part reads too low. Where an atom would be is known up to the rotations about the bonds that lead to it: a
chain of bonds of 1.53 Å at 113 degrees that rotates freely (Flory 1969, Statistical Mechanics of Chain Molecules,
chapter I) ends on average sum(1.53 c^k) along the first bond, c = cos 67 degrees, and its mean square distance
gives the width of the Gaussian.
"""

import numpy as np

_BOND = 1.53
_COSINE = np.cos(np.deg2rad(67))
_DEEPEST = 7

_SIDE_CHAINS = {
    "ALA": "CB-CA",
    "ARG": "CB-CA CG-CB CD-CG NE-CD CZ-NE NH1-CZ NH2-CZ",
    "ASN": "CB-CA CG-CB OD1-CG ND2-CG",
    "ASP": "CB-CA CG-CB OD1-CG OD2-CG",
    "CYS": "CB-CA SG-CB",
    "GLN": "CB-CA CG-CB CD-CG OE1-CD NE2-CD",
    "GLU": "CB-CA CG-CB CD-CG OE1-CD OE2-CD",
    "HIS": "CB-CA CG-CB ND1-CG CD2-CG CE1-ND1 NE2-CD2",
    "ILE": "CB-CA CG1-CB CG2-CB CD1-CG1",
    "LEU": "CB-CA CG-CB CD1-CG CD2-CG",
    "LYS": "CB-CA CG-CB CD-CG CE-CD NZ-CE",
    "MET": "CB-CA CG-CB SD-CG CE-SD",
    "PHE": "CB-CA CG-CB CD1-CG CD2-CG CE1-CD1 CE2-CD2 CZ-CE1",
    "PRO": "CB-CA CG-CB CD-CG",
    "SER": "CB-CA OG-CB",
    "THR": "CB-CA OG1-CB CG2-CB",
    "TRP": "CB-CA CG-CB CD1-CG CD2-CG NE1-CD1 CE2-CD2 CE3-CD2 CZ2-CE2 CZ3-CE3 CH2-CZ2",
    "TYR": "CB-CA CG-CB CD1-CG CD2-CG CE1-CD1 CE2-CD2 CZ-CE1 OH-CZ",
    "VAL": "CB-CA CG1-CB CG2-CB",
}
"""Atoms beyond the backbone, each with the one that it is bound to."""


def free_chain(bonds):
    """Mean distance along the first bond, and the B factor of the spread about it, after a number of free bonds.

    ``<R^2> = l^2 [n + 2 sum_k (n - k) c^k]``; of the part of it that is not the mean each axis has a third, and
    a mean square displacement u^2 along an axis is a B factor of 8 pi^2 u^2. The first bond of a chain that begins at
    an atom in place makes the known angle with the bond before it.
    """
    powers = _COSINE ** np.arange(1, bonds + 1)
    mean = _BOND * powers.sum()
    square = _BOND**2 * (bonds + 2 * sum((bonds - k) * _COSINE**k for k in range(1, bonds)))
    return mean, 8 * np.pi**2 * (square - mean**2) / 3


def missing_side_chains(model):
    """Atoms that amino acids of the model should have and lack.

    Parameters
    ----------
    model : AtomicModel

    Returns
    -------
    xyz : ndarray (n, 3), float64
    element : ndarray (n,), str
    b_factor : ndarray (n,), float64
        What the unknown rotations add.
    residue : ndarray (n,), int32
    """
    chains = [free_chain(n) for n in range(1, _DEEPEST + 1)]
    wanted = np.array([r.polymer and r.name in _SIDE_CHAINS for r in model.residues], bool)
    order = np.argsort(model.residue, kind="stable")
    bounds = np.searchsorted(model.residue[order], np.arange(len(model.residues) + 1))
    found = []
    for index in np.flatnonzero(wanted):
        atoms = order[bounds[index]:bounds[index + 1]]
        side_chain = [pair.split("-") for pair in _SIDE_CHAINS[model.residues[index].name].split()]
        names = model.atom_name[atoms].tolist()
        if all(name in names for name, _ in side_chain) or not {"CA", "C", "N"} <= set(names):
            continue
        place = dict(zip(names, model.xyz[atoms], strict=True))
        found += [(p, name[0], b, index) for p, name, b in _placed(place, side_chain, chains)]
    xyz = np.array([f[0] for f in found]).reshape(-1, 3)
    return (xyz, np.array([f[1] for f in found], dtype=np.str_), np.array([f[2] for f in found], float),
            np.array([f[3] for f in found], np.int32))


def _placed(place, side_chain, chains):
    """Where the absent atoms of one residue are on average; `place` holds those that are there."""
    parent = dict(side_chain)
    outwards = 2 * place["CA"] - place["N"] - place["C"]
    for name, _ in side_chain:
        if name in place:
            continue
        bonds, root = 1, parent[name]
        while root not in place:
            bonds, root = bonds + 1, parent[root]
        before = parent.get(root)
        direction = place[root] - place[before] if before in place else outwards
        length = np.linalg.norm(direction)
        mean, b = chains[min(bonds, _DEEPEST) - 1]
        if root == "CA":  # the first bond is known: only those after it rotate
            mean, b = (_BOND, 0.0) if bonds == 1 else (_BOND + chains[bonds - 2][0], chains[bonds - 2][1])
        yield place[root] + direction * (mean / max(length, 1e-3)), name, b
