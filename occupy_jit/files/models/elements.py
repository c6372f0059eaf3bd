"""Elements of atoms: from the residue for standard residues, else from their column, or from the name of the atom.

Files without a column of elements, or with one that holds something else, are common. In PDB files the alignment of a
name tells calcium from C alpha, but some programs write all names to the left.
"""

import re

import numpy as np

from occupy_jit.files.models.residue_names import OTHER, residue_kind

_MISTAKEN = 0.05
"""Share of the atoms of standard residues whose column contradicts the residue, above which the column is ignored."""
_ONE_LETTER = "CNOSPHDFIBKVWUY"
_UNMISTAKABLE = {"AG", "AL", "AU", "BR", "CL", "CU", "EU", "FE", "GD", "IR", "LA", "LI", "LU", "MG", "MN", "MO", "NI",
                 "PT", "RE", "RH", "RU", "SE", "SI", "TB", "TI", "YB", "ZN", "ZR"}
"""Two-letter names that are not an organic element with a locant."""


def of_standard_residue(residue_name: str, atom_name: str) -> str:
    """Element of an atom of a standard amino acid or nucleotide; '' for other residues or atoms.

    Parameters
    ----------
    residue_name, atom_name : str

    Returns
    -------
    str
    """
    info = residue_kind(residue_name)
    if info.name in ("MSE", "SEC") and re.match(r"SE", atom_name.upper()):
        return "Se"
    if not info.standard and info.name not in ("MSE", "SEC"):
        return ""
    letters = re.sub(r"[^A-Za-z]", "", atom_name).upper()
    return letters[:1] if letters[:1] in "CNOSPHD" else ""


def known(symbol: str) -> str:
    """The element of a symbol in a file (also with a charge, 'O1-'); '' if there is none."""
    import gemmi

    letters = re.match(r"[A-Za-z]{0,2}", symbol)[0]
    for text in dict.fromkeys((letters, letters[:1] if len(letters) < len(symbol) else letters)):
        name = gemmi.Element(text).name
        if text and name != "X":
            return name
    return ""


def guessed(atom_name: str, residue_name: str, first_letter_alone: bool = False) -> str:
    """Element from the name of an atom.

    Parameters
    ----------
    atom_name, residue_name : str
    first_letter_alone : bool
        The alignment in a PDB file says that the symbol has one letter.

    Returns
    -------
    str
        '' if nothing fits.
    """
    letters = re.sub(r"[^A-Za-z]", "", atom_name).upper()
    two, one = letters[:2], letters[:1]
    if not first_letter_alone and len(two) == 2 and known(two):
        alone = letters == re.sub(r"[^A-Za-z]", "", residue_name).upper()  # an ion
        if (alone and residue_kind(residue_name).kind == OTHER) or two in _UNMISTAKABLE or one not in _ONE_LETTER:
            return known(two)
    return known(one) if one else ""


def elements_of(symbols: np.ndarray, atom_names: np.ndarray, residue_names: np.ndarray) -> tuple[np.ndarray, int]:
    """Elements of the rows of a table.

    Parameters
    ----------
    symbols : ndarray (atoms,), str, or None
        The column of the table.
    atom_names, residue_names : ndarray (atoms,), str

    Returns
    -------
    element : ndarray (atoms,), str
        '' if unknown.
    mistaken : int
        Number of atoms of standard residues with another element in the column.
    """
    pairs, index = _pairs(residue_names, atom_names)
    standard = np.array([of_standard_residue(r, a) for r, a in pairs], dtype="<U2")[index]
    by_name = np.array([guessed(a, r) for r, a in pairs], dtype="<U2")[index]
    stated = np.full(len(standard), "", "<U2")
    if symbols is not None:
        kinds, which = np.unique(symbols, return_inverse=True)
        stated = np.array([known(s) for s in kinds.tolist()], dtype="<U2")[which.ravel()]
    said = (standard != "") & (stated != "")
    same = (stated == standard) | (np.isin(stated, ("H", "D")) & np.isin(standard, ("H", "D")))
    mistaken = int(np.count_nonzero(said & ~same))
    if symbols is None or mistaken > _MISTAKEN * max(np.count_nonzero(said), 1):
        stated[:] = ""
    unstated = stated == ""
    if symbols is not None:  # unknown symbols stay unknown, missing ones are found from the name
        unstated &= np.isin(symbols, ("", ".", "?", "X", "x")) | (mistaken > _MISTAKEN * max(np.count_nonzero(said), 1))
    element = np.where(unstated, by_name, stated)
    return np.where(standard != "", standard, element), mistaken


def _pairs(first, second):
    """Distinct pairs of texts, and the pair of every row."""
    codes = [np.unique(column, return_inverse=True) for column in (first, second)]
    (a, i), (b, j) = codes
    used, index = np.unique(i.ravel().astype(np.int64) * len(b) + j.ravel(), return_inverse=True)
    return [(str(a[u // len(b)]), str(b[u % len(b)])) for u in used], index.ravel()


def scatters(element: str) -> bool:
    """Whether an element has an electron form factor in the tables."""
    import gemmi

    return bool(element) and gemmi.Element(element).c4322 is not None
