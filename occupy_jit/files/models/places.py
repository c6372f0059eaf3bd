"""Atoms at the same position: alternates of a residue, and different molecules that overlap in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.files.models.pdb import SAME_PLACE

if TYPE_CHECKING:
    from occupy_jit.files.models.residues import Grouping

_MOST_OF_IT = 0.5
"""Share of the atoms of the smaller of two parts on the other, above which both are at the same position."""
_LEAST_SHARE = 1e-3


def part_names(grouping: Grouping) -> tuple[list[str], np.ndarray]:
    """Part of every residue: its chain, or a separate ligand.

    Returns
    -------
    names : list of str
        In the order of the file; unique.
    part : ndarray (residues,), int
    """
    names, part, ids, taken = [], [], {}, {}
    for i, (chain, number, name, polymer) in enumerate(zip(grouping.chain, grouping.number, grouping.name,
                                                           grouping.polymer, strict=True)):
        key = chain if polymer else (i,)
        if key not in ids:
            ids[key] = len(names)
            text = chain if polymer else f"{chain}/{name}{number}"
            taken[text] = taken.get(text, 0) + 1
            names.append(text if taken[text] == 1 else f"{text}.{taken[text]}")
        part.append(ids[key])
    return names, np.array(part, int)


def of_alternates(grouping: Grouping) -> np.ndarray:
    """Number of the position of every residue: alternates of a polymer share one number, whatever their names.

    Returns
    -------
    ndarray (residues,), int
    """
    ids = {}
    return np.array([ids.setdefault((chain, number) if polymer and number else (i,), len(ids))
                     for i, (chain, number, polymer) in enumerate(zip(grouping.chain, grouping.number,
                                                                      grouping.polymer, strict=True))], int)


def alternative_ligands(grouping: Grouping, part: np.ndarray) -> list[tuple[Any, ...]]:
    """Pairs of parts that are ligands with the same number, and alternates by their labels.

    Parameters
    ----------
    grouping : occupy_jit.files.models.residues.Grouping
    part : ndarray (residues,), int

    Returns
    -------
    list of (int, int)
    """
    labelled = np.bincount(grouping.residue, grouping.alternate != "", len(grouping.name)) > 0
    first, pairs = {}, []
    for i in np.flatnonzero(labelled & ~grouping.polymer).tolist():
        key = grouping.chain[i], grouping.number[i]
        if key[1]:
            pairs.append((int(part[first.setdefault(key, i)]), int(part[i])))
    return [(a, b) for a, b in pairs if a != b]


def merged_parts(names: list[str], part: np.ndarray, xyz: np.ndarray, pairs: list[tuple[Any, ...]], remarks: list[str]
                ) -> tuple[list[str], np.ndarray]:
    """Merge parts at the same position, which the map cannot distinguish.

    Parameters
    ----------
    names : list of str
    part : ndarray (atoms,), int
        -1 for atoms that do not count.
    xyz : ndarray (atoms, 3), float64
    pairs : list of (int, int)
        Parts that are known to be at the same position.
    remarks : list of str
        Merged parts are added to the remarks.

    Returns
    -------
    names : list of str
        Of the merged parts, those of their members with a + between them.
    group : ndarray (parts,), int
        Merged part of each part.
    """
    n = len(names)
    parent = np.arange(n)

    def root(k):
        while parent[k] != k:
            k = parent[k]
        return k

    for a, b in [*pairs, *_overlapping(part, xyz, n)]:
        ends = sorted((root(a), root(b)))
        parent[ends[1]] = ends[0]
    roots = np.array([root(k) for k in range(n)], int)
    kept, group = np.unique(roots, return_inverse=True)
    group = group.ravel()
    together = [[names[k] for k in np.flatnonzero(roots == r)] if (roots == r).sum() > 1 else [names[r]] for r in kept]
    merged = [_one_name(members) for members in together]
    said = [name for name, members in zip(merged, together, strict=True) if len(members) > 1]
    if said:
        remarks.append(f"at the same position, and fitted as one part, weighted by occupancy: {', '.join(said[:10])}"
                       + (f" and {len(said) - 10} more" if len(said) > 10 else ""))
    return merged, group


def _overlapping(part, xyz, n):
    """Pairs of parts of which one overlaps the other with most of its atoms."""
    from scipy.spatial import cKDTree

    size = np.bincount(part[part >= 0], minlength=n)
    used = np.flatnonzero(part >= 0)
    near = used[cKDTree(xyz[used]).query_pairs(SAME_PLACE, output_type="ndarray")]
    near = near[part[near[:, 0]] != part[near[:, 1]]]
    if not len(near):
        return []
    both = np.concatenate([near, near[:, ::-1]])
    once = np.unique(np.stack([both[:, 0], part[both[:, 0]], part[both[:, 1]]], 1), axis=0)
    meeting, count = np.unique(once[:, 1:], axis=0, return_counts=True)
    return [(a, b) for (a, b), atoms in zip(meeting.tolist(), count.tolist(), strict=True)
            if atoms >= _MOST_OF_IT * size[a]]


def _one_name(members):
    """A/HEM201 and A/HEC201 are A/HEM201+HEC201."""
    chain = members[0].partition("/")[0] + "/"
    rest = [name[len(chain):] if "/" in name and name.startswith(chain) else name for name in members[1:]]
    return "+".join([members[0], *rest])


def shares(place: np.ndarray, atom: np.ndarray, alternate: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
    """Weight 1, and for alternates their share at their position.

    Parameters
    ----------
    place : ndarray (atoms,), int
        Residues that are alternates of each other have the same.
    atom, alternate : ndarray (atoms,), str
        Name of the atom; label of the alternate, '' for others.
    occupancy : ndarray (atoms,), float64

    Returns
    -------
    weight : ndarray (atoms,), float64
        An atom that one alternate lacks counts in the other with its share of both.
    """
    weight = np.ones(len(place))
    some = np.flatnonzero(alternate != "")
    if not len(some):
        return weight
    share = np.maximum(occupancy[some], _LEAST_SHARE)
    of_label, of_atom = {}, {}
    keys = list(zip(place[some].tolist(), atom[some].tolist(), alternate[some].tolist(), strict=True))
    for (here, name, label), value in zip(keys, share.tolist(), strict=True):
        of_label.setdefault(here, {}).setdefault(label, []).append(value)
        labels = of_atom.setdefault((here, name), {})
        labels[label] = labels.get(label, 0.0) + value
    mean = {here: {label: sum(values) / len(values) for label, values in labels.items()}
            for here, labels in of_label.items()}
    total = [sum(of_atom[here, name].get(label, other) for label, other in mean[here].items())
             for here, name, _ in keys]
    weight[some] = share / np.array(total)
    return weight


def shares_of_merged(part: np.ndarray, group: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
    """Share of every part at its position: its mean occupancy relative to the sum of those of all parts there.

    Parameters
    ----------
    part : ndarray (atoms,), int
    group : ndarray (parts,), int
        From `merged_parts`.
    occupancy : ndarray (atoms,), float64

    Returns
    -------
    ndarray (parts,), float64
        1 for separate parts.
    """
    mean = np.bincount(part, occupancy, len(group)) / np.maximum(np.bincount(part, minlength=len(group)), 1)
    mean = np.maximum(mean, _LEAST_SHARE)
    alone = np.bincount(group)[group] == 1
    return np.where(alone, 1.0, mean / np.bincount(group, mean)[group])
