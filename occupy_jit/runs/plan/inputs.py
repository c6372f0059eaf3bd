"""From files, directories and lists of names to a list of maps."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from occupy_jit.errors import InputError
from occupy_jit.files.maps.suffixes import COMPRESSED_SUFFIXES, MAP_SUFFIXES
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import read_text
from occupy_jit.runs.plan.output_kinds import MAP_PREFIXES

_MAX_LIST_BYTES = 50_000_000


@dataclass(frozen=True)
class Inputs:
    """Maps to run on.

    Attributes
    ----------
    maps : tuple of str
        In the given order; maps of a directory are sorted by name.
    ours : tuple of str
        Maps in directories that this program made from others there, which are not used as inputs.
    """

    maps: tuple
    ours: tuple = ()


def expand(names: Sequence[str]) -> Inputs:
    """Replace directories by the maps in them, and ``@FILE`` by the names in the file.

    A list has one name on each line, which may be a directory; empty lines, and those that begin with #, are left
    out. Names are relative to the current directory, as on a command line. A file whose own name begins with @ is
    given as ``./@name``.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    Inputs

    Raises
    ------
    InputError
        A list or a directory that cannot be read, or that names no map.
    """
    maps, ours = [], []
    for name in names:
        for item in _listed(name[1:]) if name.startswith("@") else (name,):
            if os.path.isdir(item):
                found, made = _in_directory(item)
                maps += found
                ours += made
            else:
                maps.append(item)
    return Inputs(tuple(maps), tuple(ours))


def _listed(path):
    """Names in a list."""
    where = shown(path)

    def look(start):
        if b"\0" in start:
            raise InputError(f"{where}: is not a list of names; for a map leave the @ out")

    try:
        raw = read_text(path, "list of names", _MAX_LIST_BYTES, pipe=True, look=look)
    except InputError as error:
        raise InputError(f"@{error}") from error
    lines = [os.fsdecode(line).strip() for line in raw.removeprefix(b"\xef\xbb\xbf").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError(f"@{where}: contains no names; write the name of one map on each line")
    nested = next((line for line in found if line.startswith("@")), None)
    if nested is not None:
        raise InputError(f"@{where}: contains another list, {shown(nested)}; give both after -i")
    return found


def _in_directory(folder):
    """Maps in a directory, and those among them that this program made from others there; both in order of name."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith(".") and stem_of(name) is not None
                       and os.path.isfile(os.path.join(folder, name)))
    except OSError as error:
        raise InputError(f"{shown(folder)}: cannot be read: {error.strerror}; check the permissions of the directory"
                         ) from error
    stems = {stem_of(name) for name in names}
    ours = [name for name in names if _made_from(stem_of(name), stems)]
    maps = [name for name in names if name not in set(ours)]
    if not maps:
        raise InputError(f"{shown(folder)}: no map in this directory; names end in {' '.join(MAP_SUFFIXES)}, and may "
                         "be followed by .gz or .bz2")
    return [os.path.join(folder, name) for name in maps], [os.path.join(folder, name) for name in ours]


def stem_of(name: str) -> Any:
    """Name of a map without suffixes; None if it does not have a suffix of maps."""
    for suffix in COMPRESSED_SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[:-len(suffix)]
            break
    stem, suffix = os.path.splitext(name)
    return stem if stem and suffix.lower() in MAP_SUFFIXES else None


def _made_from(stem, stems):
    """Whether a name is that of an output for another map of the directory: scale_x beside x."""
    for prefix in MAP_PREFIXES:
        if stem.startswith(prefix):
            rest = stem[len(prefix):]
            if rest in stems or (rest != stem and _made_from(rest, stems)):
                return True
    return False
