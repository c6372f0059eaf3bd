"""The other half map of a pair, by name. Standard library only."""

import os
import re

# What a half is called, and where its number stands; of several matches in a name the last one counts.
_HALF = re.compile(r"(?<![a-z0-9])half[_-]?(?:map[_-]?)?(?P<mark>[12ab])(?![a-z0-9])", re.IGNORECASE)
_SHORT = re.compile(r"_(?:h|map)(?P<mark>[12])(?=\.(?:mrc|map|ccp4|rec)(?:\.(?:gz|bz2))?$)", re.IGNORECASE)
_WORD = re.compile(r"(?<![a-z0-9])half[_-]?(?:map[_-]?)?(?P<mark>odd|even)(?![a-z0-9])|"
                   r"(?<![a-z0-9])(?P<word>odd|even)(?=\.(?:mrc|map|ccp4|rec)(?:\.(?:gz|bz2))?$)", re.IGNORECASE)
_OTHER = {"1": "2", "2": "1", "a": "b", "b": "a", "odd": "even", "even": "odd"}


def partner(path):
    """Name of the other half map.

    As RELION (run_half1_class001_unfil.mrc), cryoSPARC (..._half_A.mrc), the EMDB (emd_1234_half_map_1.map.gz)
    and others (_h1, _map1, half_odd) spell it, in either case. Only the name of the file counts, not its directories.

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
