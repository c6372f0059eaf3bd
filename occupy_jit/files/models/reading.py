"""Atomic models, read from mmCIF or PDB files.

Everything uses the table of atoms of an mmCIF text, whose rows are not changed: a PDB file, or an
assembly, is first converted into such a text by gemmi. The extra ``model`` (gemmi, scipy) is needed.
"""

import os
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from occupy_jit.errors import InputError, missing_packages
from occupy_jit.files.models import assemblies, pdb, places, residues
from occupy_jit.files.models.elements import elements_of, scatters
from occupy_jit.files.models.residue_names import residue_kind
from occupy_jit.files.models.text import block_with_atoms, looks_like_cif, one_line, read_bytes
from occupy_jit.files.names.paths import shown

_SMALLEST_LIGAND = 6  # atoms; smaller ones (ions, most buffer molecules) cannot be distinguished from noise

_COLUMNS = ("type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id", "label_entity_id",
            "label_seq_id", "auth_atom_id", "auth_comp_id", "auth_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y",
            "Cartn_z", "occupancy", "B_iso_or_equiv", "auth_asym_id", "pdbx_PDB_model_num")
_NOTHING = ("?", ".", "")


@dataclass(frozen=True)
class Residue:
    """One residue, or one ligand, of a model."""

    chain: str
    name: str
    number: str
    """As in the file, followed by the insertion code; empty if the file has none."""
    polymer: bool
    part: str = ""
    """Name of its part; empty: it follows from the other fields."""


@dataclass
class AtomicModel:
    """The atoms of a model that count, without hydrogens, waters and single ions.

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
        1, or the share of an alternate.
    kind : ndarray (atoms,), uint8
        `PROTEIN`, `NUCLEIC` or `OTHER`.
    residue : ndarray (atoms,), int32
        Index into `residues`.
    row : ndarray (atoms,), int64
        Row of the table of atoms in the file.
    residues : list of Residue
        Residues with atoms, in the order of the file.
    remarks : list of str
        Remarks on atoms left out and on oddities.
    text : bytes
        The mmCIF text that the rows refer to.
    copies : int
        Copies of the content of the file: more than 1 for an assembly.
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

    def __len__(self) -> int:
        return len(self.xyz)


def require_extra() -> Any:
    """Import gemmi and scipy, or raise UsageError with the missing extra."""
    try:
        import gemmi
        import scipy.sparse  # noqa: F401
    except ImportError as error:
        raise missing_packages("an atomic model", "gemmi", "scipy") from error
    return gemmi


def read_model(path: str | os.PathLike[str], assembly: str | None = None) -> AtomicModel:
    """Read the atoms of a model.

    Parameters
    ----------
    path : str or path-like
        mmCIF or PDB, plain or compressed (.gz, .bz2); recognised by its content.
    assembly : str, optional
        Name of the biological assembly to build.

    Returns
    -------
    AtomicModel

    Raises
    ------
    InputError
        The file is missing, damaged, not a model, or has no usable atoms, or there is no such assembly.
    UsageError
        The extra is not installed.

    Examples
    --------
    >>> import occupy_jit
    >>> model = occupy_jit.read_model("model.cif")                                       # doctest: +SKIP
    >>> model.xyz.shape, [residue.chain for residue in model.residues]                   # doctest: +SKIP
    """
    gemmi = require_extra()
    text, name = read_bytes(os.fsdecode(path)), shown(path)
    remarks = []
    try:
        text, copies, there = _as_cif(gemmi, text, assembly, name, remarks)
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{name}: not a readable mmCIF or PDB file: {one_line(error)}; get the file again, or write "
                         "it anew (ChimeraX: save model.cif)") from error
    block = block_with_atoms(document, name)
    if there is None:
        there = assemblies.named_in(gemmi, block)
    try:
        model = _atoms_of(block, name, remarks)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: holds text that is not UTF-8: {one_line(error)}; write it anew (ChimeraX: save "
                         "model.cif)") from error
    model.path, model.text, model.copies, model.assemblies = os.fsdecode(path), text, copies, there
    return model


def _as_cif(gemmi, text, assembly, name, remarks):
    """The mmCIF text of any file, the number of copies, and assemblies if already known."""
    if looks_like_cif(text):
        if assembly is None:
            return text, 1, None
        structure = assemblies.structure_of(gemmi, block_with_atoms(gemmi.cif.read_string(text), name))
        structure.setup_entities()
    else:
        if not re.search(rb"^(ATOM  |HETATM)", text, re.MULTILINE):
            raise InputError(f"{name}: holds no atoms: neither the ATOM records of a PDB file nor the _atom_site table "
                             "of an mmCIF file; give an atomic model")
        if not re.search(rb"^END\s*$", text, re.MULTILINE):
            remarks.append("the PDB file has no END: it may have been cut off")
        structure = pdb.read_structure(gemmi, text, remarks)
    there, copies = assemblies.copies_of(structure), 1
    if assembly is not None:
        copies = assemblies.make(gemmi, structure, assembly, name, remarks)
    for model in structure:
        for chain in model:
            chain.name = chain.name or "_"
    return structure.make_mmcif_document().as_string().encode(), copies, there


def _column(block, name):
    """A column of the table of atoms without quotes, or None if the file has none."""
    from gemmi import cif

    values = block.find_values("_atom_site." + name)
    if not values:
        return None
    return np.array([cif.as_string(v) if v[0] in "'\";" else v for v in values], dtype=np.str_)


def _numbers(text, default):
    """Column of numbers; '?' and '.' count as `default`. None if another value is not a number."""
    if text is None:
        return None
    unknown = np.isin(text, _NOTHING)
    try:
        return np.where(unknown, str(default), text).astype(float)
    except ValueError:
        try:  # standard uncertainties in brackets
            return np.array([default if u else float(t.split("(")[0]) for t, u in zip(text, unknown, strict=True)])
        except ValueError:
            return None


def _filled(table, name, instead, path):
    """A column whose missing values are those of another one."""
    first, second = table[name], table[instead]
    if first is None and second is None:
        raise InputError(f"{path}: the table of atoms has no column _atom_site.{name}; write the model anew "
                         "(ChimeraX: save model.cif)")
    if first is None or second is None:
        return second if first is None else first
    return np.where(np.isin(first, _NOTHING), second, first)


def _atoms_of(block, path, remarks):
    """Sort the rows of the table into residues, without atoms that do not count."""
    table = {name: _column(block, name) for name in _COLUMNS}
    xyz = [_numbers(table[name], np.nan) for name in ("Cartn_x", "Cartn_y", "Cartn_z")]
    if any(v is None for v in xyz):
        raise InputError(f"{path}: coordinates of atoms are missing or are not numbers; the file is damaged")
    xyz = np.stack(xyz, 1)  # pyright: ignore[reportCallIssue]
    n = len(xyz)
    for name, instead in (("auth_asym_id", "label_asym_id"), ("auth_seq_id", "label_seq_id"),
                          ("label_atom_id", "auth_atom_id"), ("label_comp_id", "auth_comp_id")):
        table[name] = _filled(table, name, instead, path)
    occupancy, b_factor = _numbers(table["occupancy"], 1.0), _numbers(table["B_iso_or_equiv"], 0.0)
    occupancy = np.ones(n) if occupancy is None else np.nan_to_num(occupancy, nan=1.0)
    b_factor = np.zeros(n) if b_factor is None else np.nan_to_num(b_factor)
    keep = np.isfinite(xyz).all(1) & (np.abs(np.nan_to_num(xyz)) < 1e5).all(1)
    if not keep.all():
        remarks.append(f"{np.count_nonzero(~keep)} atoms without usable coordinates are left out")
    number = table["pdbx_PDB_model_num"]
    if number is not None and len(set(number)) > 1:
        remarks.append(f"{len(set(number))} models in the file: the first ({number[0]}) is used")
        keep &= number == number[0]
    element = _elements(table, keep, remarks)
    occupancy = _leave_out_absent(keep, occupancy, remarks)
    water = keep & _of_kind(table["label_comp_id"], "water")
    if water.any():
        remarks.append(f"{np.count_nonzero(water)} waters are left out")
    used = np.flatnonzero(keep & ~water)
    if not len(used):
        raise InputError(f"{path}: no atoms left to fit: " + ("; ".join(remarks) or "the table of atoms is empty"))
    rows = _rows(table, xyz, used)
    found = residues.group(rows, _entities(block), remarks)
    return _model(path, rows, found, element[used], b_factor[used], occupancy[used], remarks)


def _of_kind(names, what):
    """Rows whose residue has a property of `ResidueKind`."""
    wanted = [name for name in set(names.tolist()) if getattr(residue_kind(name), what)]
    return np.isin(names, wanted)  # there may be a million


def _elements(table, keep, remarks):
    """Element of every row; removes hydrogens, and rows without a scattering element, from `keep`."""
    symbols, names = table["type_symbol"], table["label_comp_id"]
    element, mistaken = elements_of(symbols, table["label_atom_id"], names)
    if mistaken:
        remarks.append(f"{mistaken} atoms of standard residues have a symbol of another element: the residue counts")
    hydrogen = np.isin(element, ("H", "D"))
    if (keep & hydrogen).any():
        remarks.append(f"{np.count_nonzero(keep & hydrogen)} hydrogens are left out")
    unknown = ~np.isin(element, [e for e in set(element.tolist()) if scatters(e)])
    if (keep & unknown).any():
        shown_as = np.where(element == "", table["label_atom_id"] if symbols is None else symbols, element)
        named = ", ".join(sorted(set(shown_as[keep & unknown].tolist()))[:5])
        remarks.append(f"{np.count_nonzero(keep & unknown)} atoms of unknown elements ({named}) are left out: there is "
                       "no scattering factor")
    keep &= ~hydrogen & ~unknown
    return element


def _leave_out_absent(keep, occupancy, remarks):
    """Remove atoms of occupancy 0 from `keep`. Returns the occupancies in use.

    If all are 0 the column was never filled.
    """
    absent = keep & (occupancy <= 0)
    if not absent.any():
        return occupancy
    if absent.sum() == keep.sum():
        remarks.append("all atoms have occupancy 0, which is ignored: they count as full")
        return np.ones_like(occupancy)
    keep &= ~absent
    remarks.append(f"{np.count_nonzero(absent)} atoms of occupancy 0 are left out")
    return occupancy


def _rows(table, xyz, used):
    """The used rows, for `residues.group`."""
    def column(name):
        values = table[name]
        return None if values is None else values[used]

    def blank(values):
        if values is None:
            return np.full(len(used), "", "<U1")
        return np.where(np.isin(values, _NOTHING), "", values)

    chain = blank(column("auth_asym_id"))
    number = blank(column("auth_seq_id"))
    number = np.where(number == "", "", np.char.add(number, blank(column("pdbx_PDB_ins_code"))))
    return residues.Rows(used, xyz[used], np.where(chain == "", "_", chain), number, column("label_comp_id"),
                         blank(column("label_asym_id")), np.char.replace(column("label_atom_id"), "*", "'"),  # pyright: ignore[reportCallIssue]
                         blank(column("label_alt_id")), column("label_entity_id"))


def _entities(block):
    """Type of every entity in the file."""
    entities = dict(zip(_plain(block, "_entity.id"), _plain(block, "_entity.type"), strict=False))
    return entities | {k: "polymer" for k in _plain(block, "_entity_poly.entity_id")}


def _plain(block, name):
    import gemmi

    return [gemmi.cif.as_string(v) for v in block.find_values(name)]


def _model(path, rows, found, element, b_factor, occupancy, remarks):
    """The model from grouped rows: without small molecules, with parts and weights."""
    size = np.bincount(found.residue, minlength=len(found.name))
    small = ~found.polymer & (size < _SMALLEST_LIGAND)
    if small.any():
        remarks.append(f"{np.count_nonzero(small)} ions and molecules of fewer than {_SMALLEST_LIGAND} atoms are left "
                       "out")
    if small.all():
        raise InputError(f"{path}: no atoms left to fit: " + "; ".join(remarks))
    _refuse_traces(path, size, found.polymer & ~small)
    names, part = places.part_names(found)
    names, group = places.merged_parts(names, np.where(small, -1, part)[found.residue], rows.xyz,
                                       places.alternative_ligands(found, part), remarks)
    chosen = ~small[found.residue]
    index = np.cumsum(~small) - 1
    weight = _weights(found, part, group, rows.atom, occupancy, chosen, remarks)
    kept = [_residue(found, i, names[group[part[i]]]) for i in np.flatnonzero(~small)]
    residue = found.residue[chosen]
    kind = np.array([residue_kind(name).kind for name in found.name], np.uint8)
    return AtomicModel(path, rows.xyz[chosen], element[chosen], rows.atom[chosen], b_factor[chosen], weight,
                       kind[residue], index[residue].astype(np.int32), rows.row[chosen], kept, remarks)


def _residue(found, i, part):
    """One `Residue` of a `Grouping`."""
    return Residue(found.chain[i], found.name[i], found.number[i], bool(found.polymer[i]), part)


def _weights(found, part, group, atom, occupancy, chosen, remarks):
    """Weight 1, or the share of alternates and of molecules at the same position."""
    place = places.of_alternates(found)
    residue = found.residue[chosen]
    weight = places.shares(place[residue], atom[chosen], found.alternate[chosen], occupancy[chosen])
    weight = weight * places.shares_of_merged(part[residue], group, occupancy[chosen])[part[residue]]
    alternates = np.count_nonzero(found.alternate[chosen] != "")
    if alternates:
        remarks.append(f"{alternates} atoms are alternates; each counts with its share")
    return weight


def _refuse_traces(path, size, chosen):
    """Refuse a trace of one atom per residue, which does not describe the density."""
    if chosen.any() and size[chosen].mean() < 2.5:
        raise InputError(f"{path}: holds {size[chosen].mean():.1f} atoms per residue: a trace (Cα or P atoms), which "
                         "does not describe the density; give the model with all atoms")
