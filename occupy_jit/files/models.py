"""Atomic models, read from mmCIF or PDB files.

Everything goes through the table of atoms of an mmCIF text, whose rows stay what they are: a PDB file, or an
assembly, is first turned into such a text by gemmi. The extra ``model`` (gemmi, scipy) is needed.
"""

import bz2
import gzip
import os
import re
import zlib
from dataclasses import dataclass, field

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.files.paths import shown

PROTEIN, NUCLEIC, OTHER = 0, 1, 2
"""What an atom belongs to: decides how much ice it displaces."""

_SMALLEST_LIGAND = 6  # atoms; smaller ones (ions, most buffer molecules) cannot be told from noise
_LARGEST_FILE = 2 << 30
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
    text, name = _read_bytes(os.fsdecode(path)), shown(path)
    try:
        is_cif = _looks_like_cif(text)
        if not is_cif or assembly is not None:
            text, copies, assemblies = _through_gemmi(gemmi, text, is_cif, assembly, name)
        else:
            copies, assemblies = 1, None
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not a readable mmCIF or PDB file: {_one_line(error)}; get the file again, or write "
                         "it anew (ChimeraX: save model.cif)") from error
    block = _block_with_atoms(document, name)
    if assemblies is None:
        assemblies = _assemblies(gemmi, block)
    model = _atoms_of(gemmi, block, name)
    model.path, model.text, model.copies, model.assemblies = os.fsdecode(path), text, copies, assemblies
    return model


def _read_bytes(path):
    name = shown(path)
    try:
        with open(path, "rb") as file:
            head = file.read(3)
        opener = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}.get(head[:2], open)
        with opener(path, "rb") as file:
            text = file.read(_LARGEST_FILE)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name}: is a directory; give the model's file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name}: the compressed file is damaged ({_one_line(error)}); get it again") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or _one_line(error)}") from error
    if not text.strip():
        raise InputError(f"{name}: is empty; give an atomic model (mmCIF or PDB)")
    if b"\0" in text[:4096]:
        raise InputError(f"{name}: is no text; give an atomic model (mmCIF or PDB)")
    return text


def _looks_like_cif(text):
    return bool(re.search(rb"^\s*_atom_site\.", text, re.MULTILINE) or re.match(rb"(\s|#[^\n]*\n)*data_", text))


def _one_line(error):
    return " ".join(str(error).split())[:200]


def _through_gemmi(gemmi, text, is_cif, assembly, path):
    """The mmCIF text of a PDB file or of an assembly, the number of copies, and what assemblies there are."""
    if is_cif:
        structure = gemmi.make_structure_from_block(_block_with_atoms(gemmi.cif.read_string(text), path))
    else:
        if not re.search(rb"^(ATOM  |HETATM)", text, re.MULTILINE):
            raise InputError(f"{path}: holds no atoms: neither the ATOM records of a PDB file nor the _atom_site table "
                             "of an mmCIF file; give an atomic model")
        structure = gemmi.read_pdb_string(text)
    structure.setup_entities()
    assemblies = {a.name: max((len(g.operators) for g in a.generators), default=1) for a in structure.assemblies}
    copies = 1
    if assembly is not None:
        named = {a.name: a for a in structure.assemblies}
        if assembly not in named:
            there = "it names " + ", ".join(named) if named else "the file names none"
            raise InputError(f"{path}: has no assembly {assembly}, which --assembly names: {there}")
        copies = max(len(g.operators) for g in named[assembly].generators)
        made = gemmi.make_assembly(named[assembly], structure[0], gemmi.HowToNameCopiedChain.AddNumber)
        while len(structure) > 1:
            del structure[1]
        for chain in [c.name for c in structure[0]]:
            structure[0].remove_chain(chain)
        for chain in made:
            structure[0].add_chain(chain)
    for model in structure:
        for chain in model:
            chain.name = chain.name or "_"
    return structure.make_mmcif_document().as_string().encode(), copies, assemblies


def _block_with_atoms(document, path):
    for block in document:
        if block.find_values("_atom_site.Cartn_x"):
            return block
    raise InputError(f"{path}: holds no atoms (no _atom_site table); give an atomic model, not a map, a dictionary or "
                     "structure factors")


def _assemblies(gemmi, block):
    """Name of every assembly and the largest number of operators that any of its chains gets."""
    try:
        structure = gemmi.make_structure_from_block(block) if block.find_values("_pdbx_struct_assembly.id") else None
    except (ValueError, RuntimeError):
        structure = None
    if structure is None:
        return {}
    return {a.name: max((len(g.operators) for g in a.generators), default=1) for a in structure.assemblies}


def _column(block, name):
    """A column of the table of atoms without quotes, or None if the file has none."""
    values = block.find_values("_atom_site." + name)
    if not values:
        return None
    array = np.array(list(values), dtype=np.str_)
    quoted = np.flatnonzero(np.char.startswith(array, "'") | np.char.startswith(array, '"'))
    for i in quoted:
        array[i] = array[i][1:-1]
    return array


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
    keep &= (element != "H") & (element != "D") & (element != "")
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
    rows = np.flatnonzero(keep)
    ins = table["pdbx_PDB_ins_code"]
    ins = np.full(len(xyz), "") if ins is None else np.where((ins == "?") | (ins == "."), "", ins)
    chain, sequence, name = table["auth_asym_id"], np.char.add(table["auth_seq_id"], ins), table["label_comp_id"]
    keys = list(zip(chain[rows].tolist(), sequence[rows].tolist(), name[rows].tolist(), strict=True))
    numbers = {}
    residue = np.array([numbers.setdefault(k, len(numbers)) for k in keys], np.int32)
    infos = {k: gemmi.find_tabulated_residue(k) for k in {k[2] for k in numbers}}
    water = np.array([infos[k[2]].is_water() for k in numbers], bool)
    kinds = {k: NUCLEIC if i.is_nucleic_acid() else PROTEIN if i.is_amino_acid() else OTHER for k, i in infos.items()}
    kind = np.array([kinds[k[2]] for k in numbers], np.uint8)
    size = np.bincount(residue, minlength=len(numbers))
    polymer = _polymers(block, table, rows, residue, list(numbers), kind, infos, xyz)
    small = ~polymer & ~water & (size < _SMALLEST_LIGAND)
    for which, what in ((water, "waters"), (small, f"ions and molecules of fewer than {_SMALLEST_LIGAND} atoms")):
        if which.any():
            remarks.append(f"{np.count_nonzero(which)} {what} are left out")
    used = ~water & ~small
    if not used.any():
        raise InputError(f"{path}: no atoms left to fit: " + ("; ".join(remarks) or "the table of atoms is empty"))
    _refuse_traces(path, size, polymer, used)
    chosen = used[residue]
    index = np.cumsum(used) - 1
    rows, residue = rows[chosen], residue[chosen]
    residues = [Residue(k[0], k[2], k[1], bool(p)) for k, p, u in zip(numbers, polymer, used, strict=True) if u]
    weight = _shares(table, rows, chain, sequence, occupancy, remarks)
    return AtomicModel(path, xyz[rows], element[rows], table["label_atom_id"][rows], b_factor[rows], weight,
                       kind[residue], index[residue].astype(np.int32), rows, residues, remarks)


def _refuse_traces(path, size, polymer, used):
    """A trace of one atom per residue is no model of the density."""
    chosen = used & polymer
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
