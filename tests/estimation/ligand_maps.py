"""Small maps of molecules with ligands of known occupancy, B factor and place."""

import gemmi
import numpy as np

from occupy_jit.files.models.reading import AtomicModel, Residue
from occupy_jit.files.models.residue_names import PROTEIN
from tests.estimation.test_model_occupancy import SHAPE, VOXEL, structure

SIZE = 16
"""Atoms of a ligand."""
_LOW_PASS = 3.3  # Å


def with_ligands(seed=0, per_chain=1):
    """Balls of carbons, chains A to D, with ligands inside of each: `AtomicModel`.

    Atoms nearest to a place near the surface of a ball are its ligand; what is bonded to them is left out.
    """
    base = structure(seed, 240)
    rng = np.random.default_rng(seed)
    ligand = np.full(len(base), -1)
    chain = np.array([base.residues[r].chain for r in base.residue])
    for number, name in enumerate("ABCD"):
        own = np.flatnonzero(chain == name)
        centre = base.xyz[own].mean(0)
        for copy in range(per_chain):
            direction = rng.normal(size=3)
            place = centre + 5.5 * direction / np.linalg.norm(direction)
            free = own[ligand[own] < 0]
            near = free[np.argsort(np.linalg.norm(base.xyz[free] - place, axis=1))]
            ligand[near[:SIZE]] = number * per_chain + copy
    taken = base.xyz[ligand >= 0]
    nearest = np.linalg.norm(base.xyz[:, None] - taken[None], axis=2)
    nearest[:, :] += np.where(ligand[:, None] == ligand[ligand >= 0][None], np.inf, 0)
    keep = (ligand >= 0) | (nearest.min(1) > 2.6)
    residues = list(base.residues) + [Residue("ABCD"[i // per_chain], "LIG", str(900 + i), False)
                                      for i in range(4 * per_chain)]
    residue = np.where(ligand >= 0, len(base.residues) + ligand, base.residue)[keep]
    used, index = np.unique(residue, return_inverse=True)
    n = int(keep.sum())
    return AtomicModel(None, base.xyz[keep], np.full(n, "C"), np.full(n, "CX"), np.full(n, 20.0), np.ones(n),
                       np.full(n, PROTEIN, np.uint8), index.ravel().astype(np.int32), np.arange(n),
                       [residues[i] for i in used])


def is_ligand(model):
    """Name of the ligand of every atom, '' of others."""
    return np.array(["" if model.residues[r].polymer else f"{model.residues[r].chain}/LIG{model.residues[r].number}"
                     for r in model.residue])


def ligand_map(model, occupancy, b_extra=None, noise=0.0, seed=0):
    """The map of a model whose ligands have these occupancies and B factors beyond 30 Å^2 (dict); white noise.

    `noise` is in units of the standard deviation of the density of the full molecule over the box.
    """
    axes = [np.fft.fftfreq(n, VOXEL) for n in SHAPE[:2]] + [np.fft.rfftfreq(SHAPE[2], VOXEL)]
    s2 = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2] ** 2
    name = is_ligand(model)
    weight = np.array([occupancy.get(one, 1.0) for one in name])
    extra = np.array([(b_extra or {}).get(one, 0.0) for one in name])
    waves = [np.exp(-2j * np.pi * np.outer(model.xyz[:, 2 - k], axes[k])) for k in range(3)]
    table = gemmi.Element("C").c4322
    carbon = sum(a * np.exp(-b * s2 / 4) for a, b in zip(table.a, table.b, strict=True))
    carbon = carbon - 0.07 * 17.0 * np.exp(-np.pi * 17.0 ** (2 / 3) * s2)
    low = 0.5 - 0.5 * np.tanh((np.sqrt(s2) - 1 / _LOW_PASS) / 0.02)
    total, scale = 0, None
    for b in np.unique(extra):
        own = extra == b
        phases = np.einsum("az,ay,ax->zyx", waves[0][own] * weight[own, None], waves[1][own], waves[2][own],
                           optimize=True)
        total = total + phases * np.exp(-(30.0 + b) * s2 / 4)
    volume = np.fft.irfftn(total * carbon * low, SHAPE, (0, 1, 2))
    scale = volume.std()
    white = np.random.default_rng(seed).standard_normal(SHAPE)
    white = np.fft.irfftn(np.fft.rfftn(white) * low, SHAPE, (0, 1, 2))
    return (volume + noise * scale * white / white.std()).astype(np.float32)


def moved(model, shift):
    """The model with its ligands moved: dict of name and shift in Å."""
    name = is_ligand(model)
    xyz = model.xyz + np.array([shift.get(one, np.zeros(3)) for one in name])
    return AtomicModel(**{**model.__dict__, "xyz": xyz})
