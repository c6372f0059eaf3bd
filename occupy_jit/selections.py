"""Parsing of ``--parts``, before any file is read.

Standard library only.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from occupy_jit.errors import UsageError

_RANGE = re.compile(r"(-?\d+)([A-Za-z]?)(?:-(-?\d+)([A-Za-z]?))?")


class Range(NamedTuple):
    """Residues of a chain.

    Attributes
    ----------
    chain : str
    first, last : (int, str) or None
        Number and insertion code; None for the whole chain. As the last, ``~`` stands for all insertion codes.
    """

    chain: str
    first: tuple | None = None
    last: tuple | None = None


class Selection(NamedTuple):
    """A part named by the user.

    Attributes
    ----------
    name, text : str
        Name of the part, and the whole text.
    ranges : tuple of Range
    """

    name: str
    text: str
    ranges: tuple


def selections(texts: Sequence[str]) -> list[Selection]:
    """Parse selections.

    Parameters
    ----------
    texts : sequence of str
        NAME=CHAIN:FIRST-LAST[,CHAIN:FIRST-LAST ...]; a chain alone is all of it.

    Returns
    -------
    list of Selection

    Raises
    ------
    UsageError
        A text cannot be parsed, or two have the same name.
    """
    found = {}
    for text in texts:
        name, _, what = (piece.strip() for piece in text.partition("="))
        if not name or not what:
            raise UsageError(f"--parts {text}: write NAME=CHAIN:FIRST-LAST, several ranges with commas "
                             "(core=A:10-120,B:1-9)")
        if name in found:
            raise UsageError(f"--parts {text}: there are two parts {name}; give one of them another name, or all "
                             "ranges at once, with commas")
        found[name] = Selection(name, text, tuple(_range(piece.strip(), text) for piece in what.split(",")))
    return list(found.values())


def _range(piece, text):
    chain, colon, numbers = piece.rpartition(":") if ":" in piece else (piece, "", "")
    if not chain:
        raise UsageError(f"--parts {text}: a range names no chain; write CHAIN:FIRST-LAST")
    if not colon:
        return Range(chain)
    found = _RANGE.fullmatch(numbers.strip())
    if found is None:
        raise UsageError(f"--parts {text}: {numbers or 'nothing'} is not a range of residues; write FIRST-LAST "
                         "(10-120)")
    first = (int(found[1]), found[2])
    last = first if found[3] is None else (int(found[3]), found[4])
    if last < first:
        raise UsageError(f"--parts {text}: {numbers} ends before it begins")
    # without an insertion code the last number includes all residues that share it
    return Range(chain, first, (last[0], last[1] or "~"))
