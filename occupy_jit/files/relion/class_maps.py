"""Search of the maps of a STAR file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import same_file, shown

if TYPE_CHECKING:
    from occupy_jit.files.relion.star import ClassModel


@dataclass(frozen=True)
class Located:
    """Location of the maps of classes.

    Attributes
    ----------
    project : str
        The project directory, to which the names in the STAR file are relative.
    why : str
        Way of finding it, for the user.
    paths : tuple of (str or None)
        Of the maps; None for missing ones.
    elsewhere : str or None
        Another directory with other maps of these names.
    """

    project: str
    why: str
    paths: tuple
    elsewhere: str | None = None


def locate(model: ClassModel) -> Located:
    """Find the maps of the classes.

    RELION names them relative to the project directory, which is not in the STAR file. The search includes the
    directories above the STAR file (its project), the current one, and that of the STAR file; the one with most of the
    maps is used, the first among equals. Finally, the maps may be beside a STAR file that was copied with them.

    Parameters
    ----------
    model : occupy_jit.files.relion.star.ClassModel

    Returns
    -------
    Located

    Raises
    ------
    InputError
        None of the maps is found.
    """
    best, others = None, []
    for base, why, beside in _bases(model.path):
        paths = []
        for entry in model.classes:
            name = os.path.basename(entry.reference) if beside else entry.reference
            path = name if base == os.curdir else os.path.join(base, name)
            paths.append(path if os.path.isfile(path) else None)
        count = sum(path is not None for path in paths)
        if count and (best is None or count > best[0]):
            best = (count, base, why, beside, tuple(paths))
        if count:
            others.append((base, paths))
    if best is None:
        names = [entry.reference for entry in model.classes]
        raise InputError(f"{shown(model.path)}: none of its {len(names)} class maps is there (the first: "
                         f"{shown(names[0])}); looked in the current directory, the STAR file's and those above it: "
                         "run it in the RELION project directory")
    _, base, why, beside, paths = best
    elsewhere = None
    for other, found in others:
        if any(a and b and not same_file(a, b) for a, b in zip(paths, found, strict=True)):
            elsewhere = other
            break
    return Located(os.curdir if beside else base, why, paths, elsewhere)


def _bases(path):
    """Directories of the search: (directory, description, whether to ignore the directories in the names)."""
    folder = os.path.dirname(os.path.abspath(path))
    above = []
    for start in dict.fromkeys((folder, os.path.realpath(folder))):
        while start not in above:
            above.append(start)
            start = os.path.dirname(start)
    here = [base for base in above if same_file(base, os.curdir)]
    for base in above[1:]:
        if base in here:
            yield os.curdir, "the current directory, above the STAR file", False
        else:
            yield base, "above the STAR file", False
    if not here:
        yield os.curdir, "the current directory", False
    folder = os.curdir if folder in here else folder
    yield folder, "the STAR file's directory", False
    yield folder, "beside the STAR file", True
