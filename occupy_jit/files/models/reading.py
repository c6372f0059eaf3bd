"""Atomic models, read from mmCIF or PDB files.

Everything goes through the table of atoms of an mmCIF text, whose rows stay what they are: a PDB file, or an
assembly, is first turned into such a text by gemmi. The extra ``model`` (gemmi, scipy) is needed.
"""

import os
import re
from dataclasses import dataclass, field

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.files.models.text import (
    assemblies_of,
    block_with_atoms,
    looks_like_cif,
    one_line,
    read_bytes,
    through_gemmi,
)
from occupy_jit.files.names.paths import shown

PROTEIN, NUCLEIC, OTHER = 0, 1, 2
"""What an atom belongs to: decides how much ice it displaces."""

_SMALLEST_LIGAND = 6  # atoms; smaller ones (ions, most buffer molecules) cannot be told from noise
_LONGEST_BOND = 2.2  # Å, between residues of one chain: 1.33 for a peptide, 1.6 for a phosphate, and room for errors

_COLUMNS = ("type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id", "label_entity_id",
            "label_seq_id", "auth_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
            "B_iso_or_equiv", "auth_asym_id", "pdbx_PDB_model_num")


@dataclass(frozen=True)
class Residue:
    """One residue, or one ligand, of a model."""

    chain: str
    name: str
    number: str
    """As in the file, with the insertion code behind it."""
    polymer: bool


@dataclass
class AtomicModel:
    """The atoms of a model that count: no hydrogens, no waters, no single ions.

    Attributes
    ----------
    path : str or None
    xyz : ndarray (atoms, 3), float64
        In Å, [x, y, z], in the frame of the file.
    element : ndarray (atoms,), str
    atom_name : ndarray (atoms,), str
    b_factor : ndarray (atoms,), float64
        In Å^2.
    weight : ndarray (atoms,), float64
        1; of alternates their share.
    kind : ndarray (atoms,), uint8
        `PROTEIN`, `NUCLEIC` or `OTHER`.
    residue : ndarray (atoms,), int32
        Index into `residues`.
    row : ndarray (atoms,), int64
        Row of the file's table of atoms.
    residues : list of Residue
        Those with atoms, in the order of the file.
    remarks : list of str
        What was left out or found odd, in words.
    text : bytes
        The mmCIF text that the rows refer to.
    copies : int
        Of what the file holds: more than 1 if an assembly was made.
    assemblies : dict
        Name of every assembly of the file and the number of operators that make it.
    """

    path: str | None
    xyz: np.ndarray
    element: np.ndarray
    atom_name: np.ndarray
    b_factor: np.ndarray
    weight: np.ndarray
    kind: np.ndarray
    residue: np.ndarray
    row: np.ndarray
    residues: list
    remarks: list = field(default_factory=list)
    text: bytes = b""
    copies: int = 1
    assemblies: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.xyz)


def require_extra():
    """Import what models need, or say which extra is missing."""
    try:
        import gemmi
        import scipy.sparse  # noqa: F401
    except ImportError as error:
        raise UsageError(f"atomic models need gemmi and scipy ({error}); install them with: "
                         "pip install 'occupy_jit[model]'") from error
    return gemmi


def read_model(path, assembly=None):
    """Read the atoms of a model.

    Parameters
    ----------
    path : str or path-like
        mmCIF or PDB, plain or compressed (.gz, .bz2); what it is is seen from its content.
    assembly : str, optional
        Name of the biological assembly to make of it.

    Returns
    -------
    AtomicModel

    Raises
    ------
    InputError
        The file is missing, damaged, no model, or holds no atoms that count, or there is no such assembly.
    UsageError
        The extra is not installed.
    """
    gemmi = require_extra()
    text, name = read_bytes(os.fsdecode(path)), shown(path)
    try:
        is_cif = looks_like_cif(text)
        cut = not is_cif and not re.search(rb"^END\s*$", text, re.MULTILINE)
        if not is_cif or assembly is not None:
            text, copies, assemblies = through_gemmi(gemmi, text, is_cif, assembly, name)
        else:
            copies, assemblies = 1, None
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{name}: not a readable mmCIF or PDB file: {one_line(error)}; get the file again, or write "
                         "it anew (ChimeraX: save model.cif)") from error
    block = block_with_atoms(document, name)
    if assemblies is None:
        assemblies = assemblies_of(gemmi, block)
    try:
        model = _atoms_of(gemmi, block, name)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: holds text that is not UTF-8: {one_line(error)}; write it anew (ChimeraX: save "
                         "model.cif)") from error
    if cut:
        model.remarks.append("the PDB file has no END: it may have been cut off")
    model.path, model.text, model.copies, model.assemblies = os.fsdecode(path), text, copies, assemblies
    return model


def _column(block, name):
    """A column of the table of atoms without quotes, or None if the file has none."""
    from gemmi import cif

    values = block.find_values("_atom_site." + name)
    if not values:
        return None
    return np.array([cif.as_string(v) if v[0] in "'\";" else v for v in values], dtype=np.str_)


def _numbers(text, default):
    """Column of numbers; '?' and '.' count as `default`. None if something else is no number."""
    if text is None:
        return None
    unknown = (text == "?") | (text == ".")
    try:
        return np.where(unknown, str(default), text).astype(float)
    except ValueError:
        try:  # standard uncertainties in brackets
            return np.array([default if u else float(t.split("(")[0]) for t, u in zip(text, unknown, strict=True)])
        except ValueError:
            return None


def _atoms_of(gemmi, block, path):
    """Sort the rows of the table into residues; leave out what does not count."""
    table = {name: _column(block, name) for name in _COLUMNS}
    n = len(table["Cartn_x"])
    xyz = [_numbers(table[name], np.nan) for name in ("Cartn_x", "Cartn_y", "Cartn_z")]
    if any(v is None for v in xyz):
        raise InputError(f"{path}: coordinates of atoms are absent or are no numbers; the file is damaged")
    xyz = np.stack(xyz, 1)
    for name, instead in (("auth_asym_id", "label_asym_id"), ("auth_seq_id", "label_seq_id"),
                          ("label_atom_id", None), ("label_comp_id", None)):
        if table[name] is None:
            table[name] = table[instead] if instead else None
        if table[name] is None:
            raise InputError(f"{path}: the table of atoms has no column _atom_site.{name}; write the model anew "
                             "(ChimeraX: save model.cif)")
    occupancy, b_factor = _numbers(table["occupancy"], 1.0), _numbers(table["B_iso_or_equiv"], 0.0)
    occupancy = np.ones(n) if occupancy is None else np.nan_to_num(occupancy, nan=1.0)
    b_factor = np.zeros(n) if b_factor is None else np.nan_to_num(b_factor)
    remarks = []
    keep = np.isfinite(xyz).all(1) & (np.abs(np.nan_to_num(xyz)) < 1e5).all(1)
    if not keep.all():
        remarks.append(f"{np.count_nonzero(~keep)} atoms without usable coordinates are left out")
    number = table["pdbx_PDB_model_num"]
    if number is not None and len(set(number)) > 1:
        remarks.append(f"{len(set(number))} models in the file: the first ({number[0]}) is used")
        keep &= number == number[0]
    element = _elements(gemmi, table, keep, remarks)
    hydrogen = np.isin(element, ("H", "D"))
    if (keep & hydrogen).any():
        remarks.append(f"{np.count_nonzero(keep & hydrogen)} hydrogens are left out")
    keep &= ~hydrogen & (element != "")
    return _group(gemmi, block, path, table, xyz, element, occupancy, b_factor, keep, remarks)


def _elements(gemmi, table, keep, remarks):
    """Element of every row: from its column, else from the atom's name; '' if it is unknown."""
    symbol = table["type_symbol"]
    if symbol is None:
        symbol = np.char.upper(np.array([re.sub(r"[^A-Za-z]", "", name)[:1] for name in table["label_atom_id"]]))
    known = {s: gemmi.Element(s[:2]).name for s in set(symbol.tolist())}
    known = {s: "" if e == "X" else e for s, e in known.items()}
    element = np.array([known[s] for s in symbol.tolist()], dtype=np.str_)
    unknown = np.count_nonzero(keep & (element == ""))
    if unknown:
        names = sorted({s for s, e in known.items() if not e})
        remarks.append(f"{unknown} atoms of unknown elements ({', '.join(names[:5])}) are left out")
    return element


def _group(gemmi, block, path, table, xyz, element, occupancy, b_factor, keep, remarks):
    """Residues, polymers, ligands and weights of the rows kept."""
    infos = {name: gemmi.find_tabulated_residue(name) for name in set(table["label_comp_id"].tolist())}
    # there may be a million of them
    water = keep & np.isin(table["label_comp_id"], [name for name, info in infos.items() if info.is_water()])
    if water.any():
        remarks.append(f"{np.count_nonzero(water)} waters are left out")
    rows = np.flatnonzero(keep & ~water)
    ins = table["pdbx_PDB_ins_code"]
    ins = np.full(len(xyz), "") if ins is None else np.where((ins == "?") | (ins == "."), "", ins)
    chain, sequence, name = table["auth_asym_id"], np.char.add(table["auth_seq_id"], ins), table["label_comp_id"]
    keys = list(zip(chain[rows].tolist(), sequence[rows].tolist(), name[rows].tolist(), strict=True))
    numbers = {}
    residue = np.array([numbers.setdefault(k, len(numbers)) for k in keys], np.int32)
    kind = np.array([_kind(infos[k[2]]) for k in numbers], np.uint8)
    size = np.bincount(residue, minlength=len(numbers))
    polymer = _polymers(block, table, rows, residue, list(numbers), kind, infos, xyz)
    small = ~polymer & (size < _SMALLEST_LIGAND)
    if small.any():
        remarks.append(f"{np.count_nonzero(small)} ions and molecules of fewer than {_SMALLEST_LIGAND} atoms are left "
                       "out")
    used = ~small
    if not used.any():
        raise InputError(f"{path}: no atoms left to fit: " + ("; ".join(remarks) or "the table of atoms is empty"))
    _refuse_traces(path, size, used & polymer)
    chosen = used[residue]
    index = np.cumsum(used) - 1
    rows, residue = rows[chosen], residue[chosen]
    residues = [Residue(k[0], k[2], k[1], bool(p)) for k, p, u in zip(numbers, polymer, used, strict=True) if u]
    weight = _shares(table, rows, chain, sequence, occupancy, remarks)
    return AtomicModel(path, xyz[rows], element[rows], table["label_atom_id"][rows], b_factor[rows], weight,
                       kind[residue], index[residue].astype(np.int32), rows, residues, remarks)


def _kind(info):
    return NUCLEIC if info.is_nucleic_acid() else PROTEIN if info.is_amino_acid() else OTHER


def _refuse_traces(path, size, chosen):
    """A trace of one atom per residue is no model of the density."""
    if chosen.any() and size[chosen].mean() < 2.5:
        raise InputError(f"{path}: holds {size[chosen].mean():.1f} atoms per residue: a trace (Cα or P atoms), which "
                         "does not describe the density; give the model with all atoms")


def _polymers(block, table, rows, residue, keys, kind, infos, xyz):
    """Which residues belong to polymers: by their name, by the file's entities, or by a bond to a neighbour."""
    polymer = np.array([infos[k[2]].is_standard() for k in keys], bool) & (kind != OTHER)
    entities = dict(zip(_plain(block, "_entity.id"), _plain(block, "_entity.type"), strict=False))
    entities |= {k: "polymer" for k in _plain(block, "_entity_poly.entity_id")}
    first = np.full(len(keys), -1)
    first[residue[::-1]] = rows[::-1]
    entity = table["label_entity_id"]
    stated = [entities.get(str(entity[r])) if entity is not None else None for r in first]
    polymer |= np.array([s == "polymer" for s in stated], bool)
    candidates = np.array([s is None for s in stated], bool) & ~polymer
    if candidates.any():
        polymer |= candidates & _bonded(table, rows, residue, keys, xyz)
    return polymer


def _plain(block, name):
    import gemmi

    return [gemmi.cif.as_string(v) for v in block.find_values(name)]


def _bonded(table, rows, residue, keys, xyz):
    """Residues with a peptide or phosphate bond to the one before or after them in the chain."""
    names = table["label_atom_id"][rows]
    ends = {}
    for atom in ("N", "C", "P", "O3'"):
        where = np.full((len(keys), 3), np.nan)
        of = np.flatnonzero(names == atom)[::-1]
        where[residue[of]] = xyz[rows[of]]
        ends[atom] = where
    chain = np.array([k[0] for k in keys])
    linked = np.zeros(len(keys), bool)
    for out, into in (("C", "N"), ("O3'", "P")):
        with np.errstate(invalid="ignore"):
            near = np.linalg.norm(ends[out][:-1] - ends[into][1:], axis=1) < _LONGEST_BOND
        near &= chain[:-1] == chain[1:]
        linked[:-1] |= near
        linked[1:] |= near
    return linked


def _shares(table, rows, chain, sequence, occupancy, remarks):
    """1, and of alternates their share of the atom's sum."""
    alternate = table["label_alt_id"]
    weight = np.ones(len(rows))
    if alternate is None:
        return weight
    is_alternate = ~np.isin(alternate[rows], (".", "?", ""))
    if not is_alternate.any():
        return weight
    some = np.flatnonzero(is_alternate)
    of = rows[some]
    keys = list(zip(chain[of].tolist(), sequence[of].tolist(), table["label_atom_id"][of].tolist(), strict=True))
    share = np.maximum(occupancy[of], 1e-3)
    total = {}
    for key, value in zip(keys, share, strict=True):
        total[key] = total.get(key, 0.0) + value
    weight[some] = share / np.array([total[k] for k in keys])
    remarks.append(f"{len(some)} atoms are alternates; each counts with its share")
    return weight
