"""The other half map of a pair, by name. Standard library only."""

import os
import re
from typing import Any

from occupy_jit.files.maps.suffixes import COMPRESSED_SUFFIXES, MAP_SUFFIXES

# Marks of half maps and the place of their number; the last match in a name counts.
_HALF = re.compile(r"(?<![a-z0-9])half[_-]?(?:map[_-]?)?(?P<mark>[12ab])(?![a-z0-9])", re.IGNORECASE)
_SHORT = re.compile(r"_(?:h|map)(?P<mark>[12])(?=\.(?:mrc|map|ccp4|rec)(?:\.(?:gz|bz2))?$)", re.IGNORECASE)
_WORD = re.compile(r"(?<![a-z0-9])half[_-]?(?:map[_-]?)?(?P<mark>odd|even)(?![a-z0-9])|"
                   r"(?<![a-z0-9])(?P<word>odd|even)(?=\.(?:mrc|map|ccp4|rec)(?:\.(?:gz|bz2))?$)", re.IGNORECASE)
_ENDINGS = tuple(suffix + packed for suffix in MAP_SUFFIXES for packed in ("", *COMPRESSED_SUFFIXES))
_OTHER = {"1": "2", "2": "1", "a": "b", "b": "a", "odd": "even", "even": "odd"}


def partner(path: str) -> str | None:
    """Name of the other half map.

    As RELION (run_half1_class001_unfil.mrc), cryoSPARC (..._half_A.mrc), the EMDB (emd_1234_half_map_1.map.gz)
    and others (_h1, _map1, half_odd) write it, in upper or lower case. Only the file name counts, not its directories.

    Parameters
    ----------
    path : str

    Returns
    -------
    str or None
        None if the name is not that of a half map.
    """
    directory, name = os.path.split(path)
    for pattern in (_HALF, _WORD, _SHORT):
        found = list(pattern.finditer(name))
        if found:
            last = found[-1]
            group = "mark" if last.group("mark") else "word"
            mark = last.group(group)
            other = _OTHER[mark.lower()]
            other = other.upper() if mark.isupper() else other.title() if mark.istitle() else other
            start, stop = last.span(group)
            return os.path.join(directory, name[:start] + other + name[stop:])
    return None


def pairs_beside(path: str, named_alike: bool = False) -> list[tuple[Any, ...]]:
    """Pairs of half maps in the directory of a map, by name.

    If the name of a pair without its marks is that of the map (run_it025_half1_class001.mrc for run_it025_class001.mrc,
    with or without _unfil), only this pair is returned; else, if some names begin with that of the map, up to its first
    dot, only those.

    Parameters
    ----------
    path : str
    named_alike : bool
        Whether to return only pairs with the name of the map.

    Returns
    -------
    list of (str, str)
        In order of name; each pair once.
    """
    directory = os.path.dirname(path)
    try:
        names = sorted(os.listdir(directory or "."))
    except OSError:
        return []
    there = set(names)
    pairs = []
    for name in names:
        other = partner(name) if name.lower().endswith(_ENDINGS) else None
        if other in there and name < other:
            pairs.append((name, other))
    stem = os.path.basename(path).split(".")[0]
    chosen = [pair for pair in pairs if _without_mark(pair[0]) == stem]
    # class1 must not match class10_half1
    chosen = chosen or [pair for pair in pairs if pair[0].startswith(stem) and not pair[0][len(stem):][:1].isalnum()]
    if not named_alike:
        chosen = chosen or pairs
    return [tuple(os.path.join(directory, name) for name in pair) for pair in chosen]


def _without_mark(name):
    """Name of a half map up to its first dot, without its mark."""
    found = list(_HALF.finditer(name))
    if found:
        start, stop = found[-1].span()
        before, after = name[:start].rstrip("_-"), name[stop:]
        name = before + (after if before else after.lstrip("_-"))
    return name.split(".")[0].removesuffix("_unfil")
