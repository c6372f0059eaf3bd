"""PDB files of various programs: empty columns, and chains without unique names.

The columns are repaired in the text before gemmi reads it: gemmi takes an empty occupancy for 0, a missing element
from the alignment of the name of the atom, and everything with one chain and number for one residue.
"""

import itertools
import math
import re
import string
from dataclasses import dataclass, field
from typing import Any

from occupy_jit.files.models.elements import guessed, known, of_standard_residue
from occupy_jit.files.models.residue_names import residue_kind

LONGEST_BOND = 2.2
"""Å, between residues of one chain: 1.33 for a peptide, 1.6 for a phosphate, and room for errors."""
SAME_PLACE = 1.2
"""Å. Atoms of two molecules are never this close: bonds between non-hydrogen atoms are longer."""
_BACKBONE = ("N", "CA", "C", "O", "P")
_BONDS = (("C", "N"), ("O3'", "P"))
_BLANK = "blank"  # for a chain without a name, until gemmi has assigned names, which must not begin with _


def read_structure(gemmi: Any, text: bytes, remarks: list[str]) -> Any:
    """The structure of a PDB file, with corrected occupancies, elements and names of chains.

    Parameters
    ----------
    gemmi : module
    text : bytes
    remarks : list of str
        Remarks are added.

    Returns
    -------
    gemmi.Structure
        With its entities set up.

    Raises
    ------
    RuntimeError, ValueError
        gemmi cannot read it.
    """
    lines = text.splitlines()
    _mend(lines, remarks)
    chains, long_names = _name_chains(lines, remarks)
    structure = gemmi.read_pdb_string(b"\n".join(lines) + b"\n")
    for model in structure:
        for chain in model:
            chain.name = chains.get(chain.name, chain.name) or _BLANK
            for residue in chain:
                residue.name = long_names.get(residue.name, residue.name)
    structure.merge_chain_parts()
    structure.setup_entities()
    for model in structure:
        for chain in model:
            if chain.name.startswith(_BLANK):
                chain.name = "_" + chain.name[len(_BLANK):]
    return structure


def _mend(lines, remarks):
    """Add missing occupancies and elements to the lines of atoms."""
    of_atoms = [i for i, line in enumerate(lines) if _is_atom(line)]
    left = _left_justified([lines[i] for i in of_atoms])
    empty = without_element = 0
    for i in of_atoms:
        line = lines[i].ljust(80)
        if not line[54:60].strip():
            line = line[:54] + b"  1.00" + line[60:]
            empty += 1
        if not known(_text(line, 76, 78)):
            line = line[:76] + _element(line, left).rjust(2).encode() + b"  " + line[80:]
            without_element += 1
        lines[i] = line
    if empty:
        remarks.append(f"{empty} atoms without an occupancy count as full")
    if without_element:
        remarks.append(f"{without_element} atoms without an element: taken from residues and names of atoms")


def _is_atom(line):
    return line[:6] in (b"ATOM  ", b"HETATM") and len(line) >= 54


def _text(line, first, end):
    return line[first:end].decode("latin-1").strip()


def _fields(line):
    """Names of the atom, unchanged, and of the residue."""
    return line[12:16].decode("latin-1"), _text(line, 17, 20)


def _left_justified(lines):
    """Whether names of atoms begin in the first of their four columns, so that the alignment is not informative."""
    counts = [0, 0]
    for line in lines:
        name, residue = _fields(line)
        if name.strip() in _BACKBONE and residue_kind(residue).standard:
            counts[name[:1] != " "] += 1
    return counts[1] > counts[0]


def _element(line, left):
    name, residue = _fields(line)
    found = of_standard_residue(residue, name)
    if found:
        return found
    aligned_one = not left and (name[:1] == " " or name[:1].isdigit())
    letters = re.sub(r"[^A-Za-z]", "", name[:2])
    if not left and not aligned_one and len(name.strip()) < 4 and len(letters) == 2 and known(letters):
        return known(letters).upper()
    return guessed(name.strip(), residue, aligned_one).upper()


# Chains ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Stretch:
    """Consecutive lines of one residue.

    Attributes
    ----------
    key : tuple of bytes
        Common fields of its lines.
    chain : str
        Its letter, else its segment, else a placeholder.
    number, name : str
    after_ter : bool
        Whether a TER stands between it and the residue before it.
    lines : list of int
    atoms : dict
        Position of every (name, label of an alternate).
    polymer : bool
        Whether it is an amino acid or nucleotide that is bonded to another.
    """

    key: tuple
    chain: str
    number: str
    name: str
    after_ter: bool
    lines: list = field(default_factory=list)
    atoms: dict = field(default_factory=dict)
    polymer: bool = False

    @property
    def place(self) -> Any:
        """Position of the first atom."""
        return next(iter(self.atoms.values()))

    @property
    def split(self) -> bool:
        """bool : Whether it has alternates."""
        return any(label for _, label in self.atoms)

    def bonded_to(self, other: Any) -> bool:
        """Whether a bond along the chain connects it to another residue."""
        for out, into in _BONDS:
            ends = [[xyz for (name, _), xyz in one.atoms.items() if name.replace("*", "'") == atom]
                    for one, atom in ((self, out), (other, into))]
            if any(math.dist(a, b) < LONGEST_BOND for a in ends[0] for b in ends[1]):
                return True
        return False


def _name_chains(lines, remarks):
    """Give every molecule its own chain: by its letter, else by its segment, after a TER, or if numbers repeat.

    If this differs from the file, the chain receives two letters that the file does not use.

    Returns
    -------
    chains : dict
        From such letters to the name of the chain.
    long_names : dict
        From the first three letters of names of residues to all four.
    """
    used = {_text(line, 20, 22) for line in lines if _is_atom(line)}
    letters = string.ascii_letters + string.digits
    free = (code for code in map("".join, itertools.product(letters, letters)) if code not in used)
    codes, long_names, renamed = {}, {}, {}
    for stretches in _models(lines, long_names):
        for stretch, name, copy in _named(stretches, used, renamed):
            if not copy and _text(lines[stretch.lines[0]], 20, 22) == name:
                continue
            code = codes.get((name, copy)) or next(free, None)
            if code is None:  # more molecules than letters: not changed
                continue
            codes[name, copy] = code
            for i in stretch.lines:
                lines[i] = lines[i][:20] + code.encode() + lines[i][22:]
    if renamed:
        told = [name.replace(_BLANK, "_") for name in renamed]
        remarks.append("several chains in the file have the same name; TER or residue numbers separate them, and the "
                       f"second and later ones are called {', '.join(told[:10])}"
                       + (f" and {len(told) - 10} more" if len(told) > 10 else ""))
    return {code: name for (name, _), code in codes.items()}, long_names


def _models(lines, long_names):
    """Residues of every model, as `_Stretch`es: lists."""
    found, after_ter = [], False
    for i, line in enumerate(lines):
        if line.startswith(b"MODEL ") and found:
            yield found
            found = []
        after_ter |= line.startswith(b"TER")
        if not _is_atom(line):
            continue
        key = line[17:27], line[72:76]
        if not found or found[-1].key != key or after_ter:
            found.append(_stretch(line, key, after_ter, long_names))
            after_ter = False
        found[-1].lines.append(i)
        try:
            place = tuple(float(line[k:k + 8]) for k in (30, 38, 46))
        except ValueError:  # reported when the table is read
            place = (math.inf,) * 3
        found[-1].atoms.setdefault((_text(line, 12, 16), _text(line, 16, 17)), place)
    for one, other in itertools.pairwise(found):
        if one.chain == other.chain and all(residue_kind(s.name).standard for s in (one, other)) \
                and one.bonded_to(other):
            one.polymer = other.polymer = True
    yield found


def _stretch(line, key, after_ter, long_names):
    name, letter = _text(line, 17, 20), _text(line, 20, 22)
    if len(letter) == 2 and not residue_kind(name).known:  # CHARMM: names of four letters extend further
        long_names[name] = name + letter[0]
        name, letter = long_names[name], letter[1]
    return _Stretch(key, letter or _text(line, 72, 76) or _BLANK, _text(line, 22, 27), name, after_ter)


def _named(stretches, used, renamed):
    """Every residue, the name of its chain, and the number of earlier residues of the same number and name
    elsewhere."""
    taken, current, numbers, ended, last, seen = {*used}, {}, {}, {}, {}, {}
    before = None
    for stretch in stretches:
        base = stretch.chain
        if stretch.after_ter and before is not None:
            ended[before.chain] = True
        before = stretch
        if stretch.polymer:
            own = numbers.setdefault(base, {})
            if own and (_recurs(stretch, own) or (ended.get(base) and not last[base].bonded_to(stretch))):
                current[base] = free_name(current.get(base, base), base, taken)
                renamed[current[base]] = True
                own = numbers[base] = {}
            own.setdefault(stretch.number, stretch)
            ended[base], last[base] = False, stretch
        name = current.get(base, base)
        copies = seen.setdefault((name, stretch.number, stretch.name), [])
        copy = next((k for k, atoms in enumerate(copies) if not atoms & stretch.atoms.keys()), len(copies))
        copies += [set()] * (copy == len(copies))
        copies[copy] = copies[copy] | stretch.atoms.keys()
        yield stretch, name, copy


def _recurs(stretch, numbers):
    """Whether a residue of a polymer repeats a number of its chain at another position."""
    earlier = numbers.get(stretch.number)
    return (earlier is not None and math.dist(stretch.place, earlier.place) > SAME_PLACE
            and not (stretch.split and earlier.split))


def free_name(previous: Any, base: Any, taken: Any) -> str:
    """The next name after `previous` for a further chain of the name `base`: base2, base3 and so on."""
    number = int(previous[len(base):] or 1) + 1 if previous != base else 2
    while f"{base}{number}" in taken:
        number += 1
    taken.add(f"{base}{number}")
    return f"{base}{number}"
