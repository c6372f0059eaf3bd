"""Names of residues from various programs, and their kind: protein, nucleic acid, water, or other.

gemmi has the dictionary of the PDB. Simulation packages (AMBER, CHARMM, GROMACS) and files from before 2007 have other
names for the same residues.
"""

import functools
import re
from typing import NamedTuple

PROTEIN, NUCLEIC, OTHER = 0, 1, 2
"""Kind of molecule of an atom, which determines the ice that it displaces."""

_PROTEIN_NAMES = {
    "ASPP": "ASP", "ASH": "ASP", "ASPH": "ASP", "GLH": "GLU", "GLUP": "GLU", "GLUH": "GLU", "LYN": "LYS", "LSN": "LYS",
    "LYSN": "LYS", "LYP": "LYS", "ARN": "ARG", "ARGN": "ARG", "CYX": "CYS", "CYM": "CYS", "CYN": "CYS", "CYS2": "CYS",
    "CYSH": "CYS", "HSD": "HIS", "HSE": "HIS", "HSP": "HIS", "HID": "HIS", "HIE": "HIS", "HIP": "HIS", "HISA": "HIS",
    "HISB": "HIS", "HISD": "HIS", "HISE": "HIS", "HISH": "HIS", "HISP": "HIS", "TYM": "TYR"}
_NUCLEIC_NAMES = {"ADE": "A", "GUA": "G", "CYT": "C", "URA": "U", "URI": "U", "THY": "DT", "T": "DT", "INO": "I"}
_NUCLEIC_NAMES |= {f"{sugar}{base}{end}": ("D" if sugar == "D" or base == "T" else "") + base
                   for sugar in ("R", "D", "") for base in "ACGTU" for end in ("", "3", "5", "N") if sugar + end}
_WATERS = {"TIP", "TIP2", "TIP3", "TIP4", "TIP5", "TP3", "TP4", "TP5", "T3P", "T4P", "SOL", "SPC", "SPCE", "OPC",
           "OH2", "TIPS", "W"}


class ResidueKind(NamedTuple):
    """Properties of a residue by its name.

    Attributes
    ----------
    name : str
        As in the dictionary of the PDB.
    kind : int
        `PROTEIN`, `NUCLEIC` or `OTHER`.
    standard : bool
        Whether it is a standard residue of polymers.
    water : bool
    known : bool
        Whether the dictionary has it.
    """

    name: str
    kind: int
    standard: bool
    water: bool
    known: bool


@functools.lru_cache(maxsize=4096)
def residue_kind(name: str) -> ResidueKind:
    """`ResidueKind` of a name."""
    import gemmi

    upper = name.upper()
    info = gemmi.find_tabulated_residue(upper)
    found = info.kind != gemmi.ResidueKind.UNKNOWN
    if not found:
        upper = _standard_name(upper)
        info = gemmi.find_tabulated_residue(upper)
    kind = NUCLEIC if info.is_nucleic_acid() else PROTEIN if info.is_amino_acid() else OTHER
    return ResidueKind(upper, kind, info.is_standard() and kind != OTHER, info.is_water() or (
        not found and upper in _WATERS), info.kind != gemmi.ResidueKind.UNKNOWN)


def _standard_name(name):
    """Name in the dictionary for a residue of a simulation package or an old file."""
    if name in _PROTEIN_NAMES:
        return _PROTEIN_NAMES[name]
    if name in _NUCLEIC_NAMES:
        return _NUCLEIC_NAMES[name]
    end = re.fullmatch(r"[NC]([A-Z]{3})", name)  # residues of AMBER at the ends of a chain
    if end:
        import gemmi

        inner = _PROTEIN_NAMES.get(end[1], end[1])
        if gemmi.find_tabulated_residue(inner).is_standard():
            return inner
    return name
