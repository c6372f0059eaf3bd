"""``python -m bench.voxels MODEL...``: error of the local scale at each voxel size, without a model.

Maps are simulated from atomic models, with a known occupancy of every chain. The largest chain is complete; the others
have between 0.1 and 1. Prints the root mean square error over chains of the median scale at the atoms of a chain.
Needs gemmi (extra ``model``) and scipy (extra ``bench``).
"""

import argparse
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occupy_jit.estimation.scale.estimate import estimate
from occupy_jit.estimation.scale.inputs import Masks, Wanted

NOISE = {"good": 6.0, "mid": 3.0, "poor": 1.5}
"""Root mean square of the density of complete chains, within 3 Å of their atoms, over the noise."""

VOXELS = (0.8, 1.2, 1.7, 2.2, 3.0, 4.0, 6.5)
"""Å."""

OCCUPANCIES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.1)
MASK_ANGSTROM = 5.0
LEAST_ATOMS = 100
"""Least number of atoms of a chain."""

MARGIN_ANGSTROM = 20.0
"""Of solvent on each side; at least six voxels."""

BEST_RESOLUTION = 3.0  # Å; the finest resolution of coarser voxels is their limit
_B_FACTOR = 40.0  # Å^2
_ICE = 0.077  # scattering density of ice, 1/Å^3 in the unit of the tables of atoms
_ATOM_VOLUME = {False: 17.0, True: 14.5}  # Å^3 of ice displaced by an atom of protein, of nucleic acid


@dataclass(frozen=True)
class Atoms:
    """Atoms of a model.

    Attributes
    ----------
    places : (n, 3) float64 array
        x, y, z in Å, from the centre of the model.
    elements, chains : (n,) arrays of str
    nucleic : (n,) array of bool
        Whether the atom belongs to nucleic acid.
    """

    places: np.ndarray
    elements: np.ndarray
    chains: np.ndarray
    nucleic: np.ndarray


@dataclass(frozen=True)
class Simulated:
    """A simulated map.

    Attributes
    ----------
    map : (n, n, n) float32 array
    voxel_size : float
        Å.
    places : (atoms, 3) float64 array
        z, y, x in voxels.
    chains : (atoms,) array of str
    occupancies : dict of str to float
        Of each chain.
    nucleic : (atoms,) array of bool
    """

    map: np.ndarray
    voxel_size: float
    places: np.ndarray
    chains: np.ndarray
    occupancies: dict
    nucleic: np.ndarray


def read_atoms(path):
    """Atoms of the chains of a model, without waters, hydrogens and alternative positions."""
    import gemmi

    structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    structure.remove_waters()
    structure.remove_hydrogens()
    structure.remove_alternative_conformations()
    rows = []
    for chain in structure[0]:
        atoms = [(atom.pos.tolist(), atom.element.name, chain.name, residue.name)
                 for residue in chain for atom in residue]
        rows += atoms if len(atoms) >= LEAST_ATOMS else []
    places, elements, chains, residues = (np.array(column) for column in zip(*rows, strict=True))
    known = {name: gemmi.find_tabulated_residue(name).is_nucleic_acid() for name in set(residues)}
    return Atoms(places - (places.min(axis=0) + places.max(axis=0)) / 2, elements, chains,
                 np.array([known[name] for name in residues]))


def drawn_occupancies(chains, seed):
    """Occupancy of every chain: 1 for the largest, random levels for the others."""
    names, counts = np.unique(chains, return_counts=True)
    levels = np.resize(OCCUPANCIES[1:] + OCCUPANCIES[:1], len(names) - 1)
    others = np.delete(names, np.argmax(counts))
    drawn = np.random.default_rng(seed).permutation(levels)
    return {str(names[np.argmax(counts)]): 1.0} | dict(zip(map(str, others), map(float, drawn), strict=True))


def simulate(atoms, voxel_size, occupancies, signal_to_noise, seed):
    """A map of a model with known occupancies, in solvent and noise.

    Atoms scatter as tabulated for electrons, and displace Gaussians of ice (Fraser, MacRae & Suzuki 1978). The noise is
    stronger at low resolution, as in reconstructions.

    Parameters
    ----------
    atoms : Atoms
    voxel_size : float
        Å.
    occupancies : dict of str to float
        Of each chain.
    signal_to_noise : float
    seed : int

    Returns
    -------
    Simulated
    """
    from scipy import fft, ndimage

    margin = max(MARGIN_ANGSTROM, 6 * voxel_size)
    reach = (np.ptp(atoms.places, axis=0).max() / 2 + margin) / voxel_size
    edge = 2 * fft.next_fast_len(int(np.ceil(reach)), real=True)
    places = atoms.places[:, ::-1] / voxel_size + edge / 2
    occupancy = np.array([occupancies[name] for name in atoms.chains])
    along, half = fft.fftfreq(edge, voxel_size).astype(np.float32), fft.rfftfreq(edge, voxel_size).astype(np.float32)
    squared = np.square(along)[:, None, None] + np.square(along)[:, None] + np.square(half)
    edge_of_map = 0.5 + 0.5 * np.cos(np.pi * np.clip(
        (np.sqrt(squared) - 1 / max(BEST_RESOLUTION, 2.1 * voxel_size)) / 0.03 + 0.5, 0, 1))
    blur = 20 + 40 * voxel_size ** 2  # Å^2: wide enough for the grid; divided out again
    spectrum = fft.rfftn(_scattering(atoms, places * voxel_size, occupancy, (edge, voxel_size, blur)))
    spectrum *= np.exp(blur * squared / 4)
    for nucleic, volume in _ATOM_VOLUME.items():
        kind = atoms.nucleic == nucleic
        if kind.any():
            ice = _binned(places[kind], occupancy[kind] * volume * _ICE, edge) / voxel_size ** 3
            spectrum -= fft.rfftn(ice) * np.exp(
                -(np.pi * volume ** (2 / 3) + _B_FACTOR / 4) * squared)
    signal = fft.irfftn(spectrum * edge_of_map, (edge,) * 3)
    white = np.random.default_rng(seed).standard_normal((edge,) * 3, dtype=np.float32)
    noise = fft.irfftn(fft.rfftn(white) * (edge_of_map * np.sqrt(1 / (1 + squared * 30 ** 2) + 0.3)),
                       (edge,) * 3)
    near = np.ones((edge,) * 3, bool)
    near[tuple(np.round(places[occupancy == 1]).astype(int).T)] = False
    near = ndimage.distance_transform_edt(near, voxel_size) <= 3
    noise *= np.sqrt(np.square(signal[near]).mean()) / signal_to_noise / noise.std()
    return Simulated((signal + noise).astype(np.float32), voxel_size, places, atoms.chains, occupancies,
                     atoms.nucleic)


def _scattering(atoms, places, occupancy, grid):
    """Electron scattering of the atoms on a grid of (edge, voxel size), blurred: (z, y, x) float32 array."""
    import gemmi

    edge, voxel_size, blur = grid
    residue = gemmi.Residue()
    residue.name, residue.seqid = "UNL", gemmi.SeqId("1")
    for place, element, share in zip(places[:, ::-1], atoms.elements, occupancy, strict=True):
        atom = gemmi.Atom()
        atom.element, atom.pos = gemmi.Element(str(element)), gemmi.Position(*place)
        atom.occ, atom.b_iso = float(share), _B_FACTOR
        residue.add_atom(atom)
    chain, model = gemmi.Chain("A"), gemmi.Model(1)
    chain.add_residue(residue)
    model.add_chain(chain)
    calculator = gemmi.DensityCalculatorE()
    calculator.d_min, calculator.blur, calculator.cutoff = 2 * voxel_size, blur, 1e-5
    calculator.grid.set_unit_cell(gemmi.UnitCell(*[edge * voxel_size] * 3, 90, 90, 90))
    calculator.grid.spacegroup = gemmi.SpaceGroup("P 1")
    calculator.grid.set_size(edge, edge, edge)
    calculator.add_model_density_to_grid(model)
    return np.array(calculator.grid, dtype=np.float32).transpose(2, 1, 0)


def _binned(places, weights, edge):
    """Points on a grid, each distributed over the eight voxels around it."""
    out = np.zeros((edge,) * 3, np.float32)
    first = np.floor(places).astype(int)
    for corner in np.ndindex(2, 2, 2):
        shares = np.abs(1 - np.array(corner) - (places - first)).prod(axis=1)
        np.add.at(out, tuple((first + corner).T), (weights * shares).astype(np.float32))
    return out


def nucleic_mask(made):
    """Rough mask of nucleic acid: within 5 Å of its atoms, if no atom of protein is closer; None without any."""
    from scipy import ndimage

    if not made.nucleic.any() or made.nucleic.all():
        return None
    distances = []
    for kind in (made.nucleic, ~made.nucleic):
        away = np.ones(made.map.shape, bool)
        away[tuple(np.round(made.places[kind]).astype(int).T)] = False
        distances.append(ndimage.distance_transform_edt(away, made.voxel_size))
    return ((distances[0] <= MASK_ANGSTROM) & (distances[0] <= distances[1])).astype(np.float32)


def chain_error(made, mask=None):
    """Root mean square error of the median scale over each chain, and the values."""
    from scipy import ndimage

    scale = estimate(made.map, voxel_size=made.voxel_size, masks=Masks(nucleic=mask),
                     wanted=Wanted(confidence=False, lowpass=False)).scale
    found = ndimage.map_coordinates(scale, made.places.T, order=1, mode="nearest")
    values = {name: float(np.median(found[made.chains == name])) for name in made.occupancies}
    return float(np.sqrt(np.mean([(values[name] - true) ** 2 for name, true in made.occupancies.items()]))), values


def errors(atoms, name, voxel_size, levels, draws, masked=False):
    """Mean error over draws of the occupancies, at each level of noise: list of float.

    With `masked` the estimate is given a mask of the nucleic acid.
    """
    found = []
    for level in levels:
        each = []
        for draw in range(draws):
            seed = zlib.crc32(f"{name} {draw}".encode())
            occupancies = drawn_occupancies(atoms.chains, seed)
            made = simulate(atoms, voxel_size, occupancies, NOISE[level], seed + 1)
            each.append(chain_error(made, nucleic_mask(made) if masked else None)[0])
        found.append(float(np.mean(each)))
    return found


def main(argv=None):
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.voxels", description=__doc__.split("\n\n")[1])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="mmCIF or PDB files")
    parser.add_argument("--voxels", nargs="+", type=float, default=VOXELS, metavar="Å", help="default: %(default)s")
    parser.add_argument("--noise", nargs="+", choices=NOISE, default=["mid", "poor"], metavar="LEVEL",
                        help=f"{', '.join(NOISE)} (default: mid poor)")
    parser.add_argument("--draws", type=int, default=2, metavar="N", help="draws of the occupancies (default: 2)")
    parser.add_argument("--nucleic-mask", action="store_true", help="give the estimate a mask of the nucleic acid")
    options = parser.parse_args(argv)
    names = [path.name.partition(".")[0] for path in options.models]
    print(f"Root mean square error of the scale per chain, {' / '.join(options.noise)} noise\n")
    print("| voxel, Å | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    models = [read_atoms(path) for path in options.models]
    for voxel_size in options.voxels:
        cells = [" / ".join(f"{error:.3f}" for error in errors(atoms, name, voxel_size, options.noise, options.draws,
                                                                       options.nucleic_mask))
                 for atoms, name in zip(models, names, strict=True)]
        print(f"| {voxel_size:g} | " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
