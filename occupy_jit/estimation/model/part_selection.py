"""Which atoms make up a part: chains and ligands, or what the user cuts out of them."""

import re

import numpy as np

from occupy_jit.errors import UsageError

_RANGE = re.compile(r"(-?\d+)([A-Za-z]?)(?:-(-?\d+)([A-Za-z]?))?")


def chains_and_ligands(model):
    """One part per polymer chain and per ligand.

    Returns
    -------
    names : list of str
        The chain's name, or chain/NAMEnumber of a ligand.
    part : ndarray (atoms,), int
    """
    numbers = {}
    of_residue = [numbers.setdefault(r.chain if r.polymer else f"{r.chain}/{r.name}{r.number}", len(numbers))
                  for r in model.residues]
    return list(numbers), np.array(of_residue, int)[model.residue]


def cut_out(model, names, part, selections):
    """Parts that the user names, cut out of the chains; what is left of a chain stays a part.

    Parameters
    ----------
    model : AtomicModel
    names, part
        From `chains_and_ligands`.
    selections : sequence of str
        NAME=CHAIN:FIRST-LAST[,CHAIN:FIRST-LAST ...]; a chain alone is all of it. A residue goes to the last part that
        names it.

    Raises
    ------
    UsageError
        A selection cannot be read, or no atom is in it.
    """
    names, of_residue = list(names), np.zeros(len(model.residues), int)
    of_residue[model.residue] = part
    for text in selections:
        name, equals, what = text.partition("=")
        if not equals or not name.strip() or not what.strip():
            raise UsageError(f"--parts {text}: write NAME=CHAIN:FIRST-LAST, several ranges with commas "
                             "(core=A:10-120,B:1-9)")
        chosen = np.zeros(len(model.residues), bool)
        for piece in what.split(","):
            chosen |= _chosen(model, piece.strip(), text)
        if name in names and not chosen[of_residue == names.index(name)].all():
            raise UsageError(f"--parts {text}: there is a chain or part of that name; give another name")
        if name not in names:
            names.append(name)
        of_residue[chosen] = names.index(name)
    used, index = np.unique(of_residue[model.residue], return_inverse=True)
    for text in selections:
        if names.index(text.partition("=")[0]) not in used:
            raise UsageError(f"--parts {text}: later parts take all of its residues")
    return [names[i] for i in used], index.ravel()


def _chosen(model, piece, text):
    chain, colon, numbers = piece.partition(":")
    own = np.array([r.chain == chain for r in model.residues], bool)
    if not own.any():
        chains = list(dict.fromkeys(r.chain for r in model.residues))
        raise UsageError(f"--parts {text}: the model has no chain {chain}; it has {', '.join(chains[:20])}"
                         + (" ..." if len(chains) > 20 else ""))
    if not colon:
        return own & np.array([r.polymer for r in model.residues], bool)
    found = _RANGE.fullmatch(numbers.strip())
    if found is None:
        raise UsageError(f"--parts {text}: {numbers} is no range of residues; write FIRST-LAST (10-120)")
    first = (int(found[1]), found[2])
    last = first if found[3] is None else (int(found[3]), found[4])
    if last < first:
        raise UsageError(f"--parts {text}: {numbers} ends before it begins")
    # without an insertion code the last residue stands for all that share its number
    last = (last[0], last[1] or "~")
    inside = np.array([first <= _number(r.number) <= last for r in model.residues], bool)
    if not (own & inside).any():
        raise UsageError(f"--parts {text}: chain {chain} has no residue in {numbers}")
    return own & inside


def _number(text):
    digits = re.match(r"-?\d+", text)
    return (int(digits[0]), text[digits.end():]) if digits else (0, text)


def reference_parts(names, reference):
    """Indices of the parts that the user calls fully occupied; None if they are to be found."""
    if not reference:
        return None
    unknown = [name for name in reference if name not in names]
    if unknown:
        raise UsageError(f"--reference-part {unknown[0]}: no part of that name; there are {', '.join(names[:20])}"
                         + (" ..." if len(names) > 20 else ""))
    return [names.index(name) for name in reference]
