"""Grouping of rows of a table of atoms into residues, and of residues into chains.

A residue has a chain, a number and a name. If files leave these out, or use them twice, order, repeated names of
atoms, and restarting numbers separate molecules.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from occupy_jit.files.models.pdb import LONGEST_BOND, SAME_PLACE, free_name
from occupy_jit.files.models.residue_names import residue_kind


@dataclass
class Rows:
    """The used rows of a table of atoms, in the order of the file.

    Attributes
    ----------
    row : ndarray (atoms,), int64
        Row of the table in the file.
    xyz : ndarray (atoms, 3), float64
    chain, number, name, label : ndarray (atoms,), str
        Chain, number with insertion code ('' if there is none), name of the residue, and the chain's second name
        (label_asym_id; '' if there is none).
    atom, alternate : ndarray (atoms,), str
        Names of atoms, with ' for *, and the label of an alternate ('' of others).
    entity : ndarray (atoms,), str, or None
    """

    row: np.ndarray
    xyz: np.ndarray
    chain: np.ndarray
    number: np.ndarray
    name: np.ndarray
    label: np.ndarray
    atom: np.ndarray
    alternate: np.ndarray
    entity: np.ndarray | None

    def __len__(self) -> int:
        return len(self.row)


@dataclass
class Grouping:
    """Residues of rows.

    Attributes
    ----------
    residue : ndarray (atoms,), int
        In the order of the first atom of each.
    chain, number, name : list of str
        Of every residue; the chain may have a new name.
    polymer : ndarray (residues,), bool
    alternate : ndarray (atoms,), str
        As in the rows; repeated atoms at the same position without a label receive one.
    """

    residue: np.ndarray
    chain: list
    number: list
    name: list
    polymer: np.ndarray
    alternate: np.ndarray


def group(rows: Rows, entities: dict[str, Any], remarks: list[str]) -> Grouping:
    """Sort rows into residues and chains.

    Parameters
    ----------
    rows : Rows
    entities : dict
        Type of every entity in the file.
    remarks : list of str
        Remarks are added.

    Returns
    -------
    Grouping
    """
    run, alternate, again, odd = _runs(rows)
    first = np.flatnonzero(np.diff(run, prepend=-1))
    keys = list(zip(*(column[first].tolist() for column in (rows.chain, rows.number, rows.name, rows.label)),
                    strict=True))
    of_run, labelled = _joined(rows, run, first, keys, alternate, remarks)
    if again + labelled:
        remarks.append(f"{again + labelled} residues are repeated at the same position without a label: they count as "
                       "alternates")
    if odd:
        remarks.append(f"some names of atoms are repeated without alternates in {_named([keys[run[i]] for i in odd])}:"
                       " each counts")
    order, residue = np.unique(of_run[run], return_inverse=True)
    residue = residue.ravel()
    keys, start = [keys[i] for i in order], first[order]
    polymer = _polymers(rows, residue, keys, start, entities)
    split = np.bincount(residue, alternate != "", len(keys)) > 0
    chain = _chains(keys, polymer, rows.xyz[start], split, remarks)
    return Grouping(residue, chain, [k[1] for k in keys], [k[2] for k in keys], polymer, alternate)


def _codes(*columns):
    """A number for every combination of texts."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        used, index = np.unique(column, return_inverse=True)
        code = code * len(used) + index.ravel()
        code = np.unique(code, return_inverse=True)[1].ravel()
    return code


def _runs(rows):
    """For every row the number of its stretch of consecutive rows of one residue, and labels of alternates.

    A stretch also ends between molecules of the same name, at an atom that it contains
    already. Repeated atoms at the same position are alternates without a label.

    Returns
    -------
    run : ndarray (atoms,), int
    alternate : ndarray (atoms,), str
    again : int
        Number of residues with repeated atoms at the same position.
    odd : list of int
        First rows of stretches with other repeated atom names.
    """
    key = _codes(rows.chain, rows.number, rows.name, rows.label)
    run = np.cumsum(np.diff(key, prepend=-1) != 0) - 1
    first = np.flatnonzero(np.diff(run, prepend=-1))
    end = np.append(first[1:], len(rows))
    cuts = np.zeros(len(rows), np.int64)
    alternate, again, odd = rows.alternate.astype("<U12"), 0, []
    for i in _with_repeats(rows, run):
        turn, begins = _turns(rows, first[i], end[i])
        if _at_one_place(rows, first[i], end[i], turn):
            own, atom = alternate[first[i]:end[i]], rows.atom[first[i]:end[i]]
            alternate[first[i]:end[i]] = np.where(
                turn > 0, np.char.add("again ", turn.astype("<U4")),
                np.where((own == "") & np.isin(atom, atom[turn > 0]), "first", own))
            again += 1
        elif begins is not None:
            cuts[first[i] + begins] = 1
        else:
            odd.append(first[i])
    return run + np.cumsum(cuts), alternate, again, odd


def _with_repeats(rows, run):
    """Stretches with repeated atoms."""
    atom = _codes(rows.atom, rows.alternate)
    pair = run * (atom.max(initial=0) + 1) + atom
    used, count = np.unique(pair, return_counts=True)
    return np.unique(used[count > 1] // (atom.max(initial=0) + 1)).tolist()


def _turns(rows, first, end):
    """For every row of a stretch the number of earlier atoms of its name; and the starts of molecules, None if not
    plausible."""
    names = list(zip(rows.atom[first:end].tolist(), rows.alternate[first:end].tolist(), strict=True))
    seen, turn, begins, here = {}, [], [], set()
    sizes = []
    for i, name in enumerate(names):
        turn.append(seen.get(name, 0))
        seen[name] = turn[-1] + 1
        if name in here:
            sizes.append(len(here))
            begins.append(i)
            here = set()
        here.add(name)
    sizes.append(len(here))
    whole = rows.number[first] == "" and residue_kind(str(rows.name[first])).standard
    sensible = whole or (min(sizes) > 2 and min(sizes) >= len(seen) / 2)
    return np.array(turn), np.array(begins) if sensible else None


def _at_one_place(rows, first, end, turn):
    """Whether repeated atoms are at the same position."""
    place = {}
    apart = []
    for i, name in enumerate(zip(rows.atom[first:end].tolist(), rows.alternate[first:end].tolist(), strict=True)):
        here = rows.xyz[first + i]
        if turn[i]:
            apart.append(np.linalg.norm(here - place[name]))
        else:
            place[name] = here
    return np.median(apart) < SAME_PLACE


def _joined(rows, run, first, keys, alternate, remarks):
    """For every stretch the first stretch of its residue, and labels of alternates.

    A stretch with the key of an earlier one continues that residue, unless it repeats its atoms: then it is a
    separate molecule, or, at the same position, an alternate without a label.
    """
    of_run = np.arange(len(first))
    earlier, labelled, repeated = {}, 0, []
    end = np.append(first[1:], len(rows))

    def atoms(i):
        rows_of = range(first[i], end[i])
        return dict(zip(zip(rows.atom[first[i]:end[i]].tolist(), alternate[first[i]:end[i]].tolist(), strict=True),
                        rows_of, strict=True))

    for i, key in enumerate(keys):
        if key[1] == "" and residue_kind(key[2]).standard:
            continue  # a residue of a chain without numbers
        before = earlier.setdefault(key, [])
        for k, one in enumerate(reversed(before)):
            there, mine = atoms(one[-1]), atoms(i)
            for part in one[:-1]:
                there |= atoms(part)
            both = [(there[name], mine[name]) for name in mine if name in there]
            if both:
                a, b = np.array(both).T
                if np.median(np.linalg.norm(rows.xyz[a] - rows.xyz[b], axis=1)) >= SAME_PLACE:
                    continue
                alternate[a] = np.where(alternate[a] == "", "first", alternate[a])
                alternate[first[i]:end[i]] = f"again {k} {len(one)}"
                labelled += 1
            of_run[i] = one[0]
            one.append(i)
            break
        else:
            if before:
                repeated.append(key)
            before.append([i])
    if repeated:
        remarks.append(f"names of atoms are repeated without alternates in {_named(repeated)}: each repetition is a "
                       "separate molecule")
    return of_run, labelled


def _named(keys):
    keys = list(dict.fromkeys(keys))
    texts = [f"{chain}/{name}{number}" for chain, number, name, _ in keys[:5]]
    return ", ".join(texts) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")


# Polymers and chains -------------------------------------------------------------------------------------------------


def _polymers(rows, residue, keys, start, entities):
    """Residues of polymers: by their name, by the entities of the file, or by a bond to a neighbour."""
    polymer = np.array([residue_kind(k[2]).standard for k in keys], bool)
    stated = [entities.get(str(rows.entity[r])) if rows.entity is not None else None for r in start]
    polymer |= np.array([s == "polymer" for s in stated], bool)
    candidates = np.array([s is None for s in stated], bool) & ~polymer
    if candidates.any():
        polymer |= candidates & _bonded(rows, residue, keys)
    return polymer


def _bonded(rows, residue, keys):
    """Residues with a peptide or phosphate bond to the one before or after them in the chain."""
    ends = {}
    for atom in ("N", "C", "P", "O3'"):
        where = np.full((len(keys), 3), np.nan)
        of = np.flatnonzero(rows.atom == atom)[::-1]
        where[residue[of]] = rows.xyz[of]
        ends[atom] = where
    chain = np.array([k[0] for k in keys])
    linked = np.zeros(len(keys), bool)
    for out, into in (("C", "N"), ("O3'", "P")):
        with np.errstate(invalid="ignore"):
            near = np.linalg.norm(ends[out][:-1] - ends[into][1:], axis=1) < LONGEST_BOND
        near &= chain[:-1] == chain[1:]
        linked[:-1] |= near
        linked[1:] |= near
    return linked


def _chains(keys, polymer, place, is_alternate, remarks):
    """Chain of every residue: a new one if the numbers of a polymer repeat at another position.

    Parameters
    ----------
    keys : list of (chain, number, name, label)
    polymer, is_alternate : ndarray (residues,), bool
    place : ndarray (residues, 3)
        Of the first atom.
    remarks : list of str

    Returns
    -------
    list of str
    """
    taken = {k[0] for k in keys}
    numbers, current, chains, renamed = {}, {}, [], []
    for i, (chain, number, _, _) in enumerate(keys):
        if polymer[i] and number:
            own = numbers.setdefault(chain, {})
            at = own.get(number)
            if at is not None and np.linalg.norm(place[i] - place[at]) > SAME_PLACE and not (
                    is_alternate[i] and is_alternate[at]):
                current[chain] = free_name(current.get(chain, chain), chain, taken)
                renamed.append(current[chain])
                own = numbers[chain] = {}
            own[number] = i
        chains.append(current.get(chain, chain))
    if renamed:
        more = "" if len(renamed) <= 10 else f" and {len(renamed) - 10} more"
        remarks.append("several chains in the file have the same name; residue numbers separate them, and the second "
                       f"and later ones are called {', '.join(renamed[:10])}{more}")
    return chains
