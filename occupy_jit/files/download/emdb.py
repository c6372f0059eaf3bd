"""Entries of the Electron Microscopy Data Bank, downloaded once and kept in a directory."""

import functools
import gzip
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.files.download import fetch
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import write_error

ARCHIVE = "https://ftp.ebi.ac.uk/pub/databases/emdb"
"""Address of the archive; a mirror has the same files below ``structures/``."""

_MAX_HEADER_BYTES = 20_000_000
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Entry:
    """A downloaded entry.

    Attributes
    ----------
    number : int
    map : str
        Path of the primary map, gzip.
    half_maps : tuple of str
        Paths of both halves, or none.
    title : str or None
    resolution_angstrom : float or None
        As the authors state it.
    contour_level : float or None
        As the authors recommend it.
    """

    number: int
    map: str
    half_maps: tuple = ()
    title: str | None = None
    resolution_angstrom: float | None = None
    contour_level: float | None = None


def number_of(text: str) -> int:
    """Number of an entry from its usual forms: 11007, EMD-11007, emd_11007.

    Raises
    ------
    UsageError
    """
    found = re.fullmatch(r"(?:EMDB?[-_ ]?)?(\d{4,6})", text.strip(), re.IGNORECASE | re.ASCII)
    if not found:
        raise UsageError(f"{shown(text)}: is not the number of an EMDB entry; entries look like 11007 or EMD-11007")
    return int(found[1])


def fetch_entry(number: int, directory: str, half_maps: bool = False, archive: str = ARCHIVE,
                progress: Callable[..., Any] | None = None, say: Callable[..., Any] | None = None, timeout: float = 30
               ) -> Entry:
    """Download the primary map of an entry, and its half maps on request, unless they exist already.

    Parameters
    ----------
    number : int
    directory : str
        Directory of the files; created if missing.
    half_maps : bool
    archive : str
        Address before ``structures/EMD-N/...``.
    progress : callable, optional
        Called with file name, received bytes and total bytes (None if unknown).
    say : callable, optional
        Called with one line if something takes long or is left out.
    timeout : float
        Seconds without an answer after which a connection is given up.

    Returns
    -------
    Entry

    Raises
    ------
    InputError
        There is no such entry, or it has no half maps.
    UsageError
        The address of the archive cannot be used.
    OccupyError
        See `occupy_jit.files.download.fetch.fetch`.
    """
    fetch.require_safe(archive, "address of the EMDB archive")
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise write_error(directory, error) from error
    top = f"{archive.rstrip('/')}/structures/EMD-{number}"

    def get(folder, name, check, begins):
        path = os.path.join(directory, name)
        tell = None if progress is None else functools.partial(progress, name)
        new = fetch.fetch(f"{top}/{folder}/{name}", path, begins=begins, check=check, progress=tell, say=say,
                             timeout=timeout)
        return path, new

    try:
        primary, new = get("map", f"emd_{number}.map.gz", _require_whole_gzip, _GZIP)
    except fetch.NotThere as error:
        raise InputError(f"EMD-{number}: the EMDB has no map of this entry ({error}); check the number, and whether "
                         "the entry is released") from None
    header = os.path.join(directory, f"emd-{number}.xml")
    if new:  # a map that was put here manually must not need a network
        try:
            get("header", os.path.basename(header), _parsed, b"")
        except OccupyError as error:
            if say is not None:
                say(f"EMD-{number}: its description is left out: {error}")
    halves = []
    for half in (1, 2) if half_maps else ():
        try:
            halves.append(get("other", f"emd_{number}_half_map_{half}.map.gz", _require_whole_gzip, _GZIP)[0])
        except fetch.NotThere as error:
            raise InputError(f"EMD-{number}: the entry has no half maps ({error}); run it without them") from None
    return Entry(number, primary, tuple(halves), **_described(header))


def described_beside(path: str) -> dict[str, Any]:
    """Data from the description of an entry beside one of its files.

    Parameters
    ----------
    path : str
        Of a primary map or a half map.

    Returns
    -------
    dict
        The known ones of title, resolution_angstrom and contour_level; empty for any other file.
    """
    found = re.fullmatch(r"emd_(\d+)(_half_map_[12])?\.map\.gz", os.path.basename(path))
    told = _described(os.path.join(os.path.dirname(path), f"emd-{found[1]}.xml")) if found else {}
    return {key: value for key, value in told.items() if value is not None}


def _require_whole_gzip(path):
    """Raise InputError unless a file is complete gzip data with the right checksums."""
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{shown(path)}: damaged: {error}") from None


def _parsed(path):
    """Root of the description of an entry."""
    from xml.etree import ElementTree

    try:
        if os.path.getsize(path) > _MAX_HEADER_BYTES:
            raise InputError(f"{shown(path)}: too large for the description of an entry")
        return ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{shown(path)}: is not a description of an entry: {error}") from None


def _described(path):
    """Fields of `Entry` from its description; empty without a readable description."""
    try:
        root = _parsed(path)
    except (OSError, InputError):
        return {}
    contours = sorted(root.iter("contour"), key=lambda item: item.get("primary") != "true")
    return {"title": next((" ".join(item.text.split()) for item in root.iter("title") if item.text), None),
            "resolution_angstrom": _first_number(root.iter("resolution")),
            "contour_level": _first_number(level for item in contours for level in item.iter("level"))}


def _first_number(items):
    for item in items:
        try:
            return float(item.text)
        except (TypeError, ValueError):
            continue
    return None
