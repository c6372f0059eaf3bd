"""The atoms of each part: chains, ligands, and ranges of residues chosen by the user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.selections import selections

if TYPE_CHECKING:
    from occupy_jit.files.models.reading import AtomicModel


def chains_and_ligands(model: AtomicModel) -> tuple[list[str], np.ndarray]:
    """One part per polymer chain and per ligand; molecules at the same position form one part.

    Returns
    -------
    names : list of str
        The chain's name, or chain/NAMEnumber of a ligand.
    part : ndarray (atoms,), int
    """
    numbers = {}
    of_residue = [numbers.setdefault(r.part or (r.chain if r.polymer else f"{r.chain}/{r.name}{r.number}"),
                                     len(numbers)) for r in model.residues]
    return list(numbers), np.array(of_residue, int)[model.residue]


def cut_out(model: AtomicModel, names: Any, part: Any, wanted: Sequence[str]) -> tuple[Any, Any]:
    """Parts chosen by the user; the rest of each chain remains a part.

    Parameters
    ----------
    model : AtomicModel
    names, part
        From `chains_and_ligands`.
    wanted : sequence of str
        As `occupy_jit.selections.selections` reads them.

    Raises
    ------
    UsageError
        A selection cannot be read, or two name the same residue.
    InputError
        The model lacks a selected chain or residue.
    """
    names, of_residue = list(names), np.zeros(len(model.residues), int)
    of_residue[model.residue] = part
    owner = np.full(len(model.residues), -1)
    for selection in selections(wanted):
        chosen = np.zeros(len(model.residues), bool)
        for piece in selection.ranges:
            chosen |= _chosen(model, piece, selection.text)
        taken = np.flatnonzero(chosen & (owner >= 0))
        if len(taken):
            one = model.residues[taken[0]]
            raise UsageError(f"--parts {selection.text}: {names[owner[taken[0]]]} has residue {one.number} of chain "
                             f"{one.chain} already; a residue can be in one part only")
        if selection.name in names and not chosen[of_residue == names.index(selection.name)].all():
            raise UsageError(f"--parts {selection.text}: there is a chain or ligand of that name; give another name")
        if selection.name not in names:
            names.append(selection.name)
        owner[chosen] = of_residue[chosen] = names.index(selection.name)
    used, index = np.unique(of_residue[model.residue], return_inverse=True)
    return [names[i] for i in used], index.ravel()


def _chosen(model, piece, text):
    own = np.array([r.chain == piece.chain for r in model.residues], bool)
    if not own.any():
        chains = list(dict.fromkeys(r.chain for r in model.residues))
        raise InputError(f"{model_name(model)}: has no chain {piece.chain}, which --parts {text} names; it has "
                         + _some(chains))
    if piece.first is None:
        polymer = own & np.array([r.polymer for r in model.residues], bool)
        return polymer if polymer.any() else own
    inside = np.array([piece.first <= _number(r.number) <= piece.last for r in model.residues], bool)
    if not (own & inside).any():
        numbers = [_number(r.number)[0] for r, o in zip(model.residues, own, strict=True) if o]
        raise InputError(f"{model_name(model)}: no residue is in a range of --parts {text}: chain {piece.chain} has "
                         f"residues {min(numbers)} to {max(numbers)}, possibly with gaps")
    return own & inside


def _some(names):
    return ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")


def model_name(model: Any) -> Any:
    """Name of a model in messages."""
    return "the model" if model.path is None else shown(model.path)


def _number(text):
    digits = re.match(r"-?\d+", text)
    return (int(digits[0]), text[digits.end():]) if digits else (0, text)


def reference_parts(names: list[str], reference: Any, model: AtomicModel) -> list[Any] | None:
    """Indices of the fully occupied parts named by the user; None without names."""
    if not reference:
        return None
    unknown = [name for name in reference if name not in names]
    if unknown:
        raise InputError(f"{model_name(model)}: has no part {unknown[0]}, which --reference-part names; there are "
                         + _some(names))
    return [names.index(name) for name in reference]


def select_parts(model: AtomicModel, parts: Sequence[str], reference: Sequence[str]
                ) -> Any:
    """All parts of a model, by the choices of the user.

    Parameters
    ----------
    model : AtomicModel
    parts, reference : sequence of str
        Selected ranges, and names of fully occupied parts; both may be empty.

    Returns
    -------
    names : list of str
    part : ndarray (atoms,), int
    reference : list of int, or None
    """
    names, part = chains_and_ligands(model)
    if parts:
        names, part = cut_out(model, names, part, parts)
    return names, part, reference_parts(names, reference, model)
