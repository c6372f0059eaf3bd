"""Where the maps are that a STAR file names."""

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
    """Where the maps of the classes are.

    Attributes
    ----------
    project : str
        The project directory, which the names in the STAR file are relative to.
    why : str
        How it was found, for the user.
    paths : tuple of (str or None)
        Of the maps, None for those that are missing.
    elsewhere : str or None
        Another directory that has maps of these names too, and other ones.
    """

    project: str
    why: str
    paths: tuple
    elsewhere: str | None = None


def locate(model: ClassModel) -> Located:
    """Find the maps of the classes.

    RELION names them relative to the project directory, which the STAR file does not name. Tried are the directories
    above the STAR file (the project that it belongs to), the current one, and the STAR file's own; the one where most
    of the maps are wins, the first of these if several have as many. Last, the maps may lie beside a STAR file that
    was copied away with them.

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
    """Directories to look in: (directory, what it is, whether without the directories in the names)."""
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
