"""Check of the output directory before any work."""

import errno
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from occupy_jit.errors import InputError, OccupyError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import no_more_files

_ANOTHER = "choose another --output-dir"
_LONGEST_NAME = 255
"""Bytes, of a file's name without its directory, on all usual file systems."""


def check_directory(directory: str) -> None:
    """Check that the output directory exists or can be created, and is writable; it is not created yet.

    Permissions are not sufficient: for quotas, special file systems and file servers, only
    a test shows the result. An empty directory is created in, or at the place of, the output directory, and removed. It
    has a unique name, because other processes may be creating the output directory.

    Parameters
    ----------
    directory : str

    Raises
    ------
    OccupyError
        With the reason.
    """
    name = shown(directory)
    try:
        whole = os.path.abspath(directory)
    except OSError as error:
        raise OccupyError(f"{name}: the current directory no longer exists; change to another") from error
    place = whole
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        inside = "" if place == whole else f" in {shown(place)}, which is not a directory"
        raise OccupyError(f"{name}: {'the output directory cannot be made' if inside else 'is not a directory'}{inside}"
                          f"; {_ANOTHER}")
    if not os.access(place, os.W_OK | os.X_OK):
        reason = "the file system is read-only" if os.statvfs(place).f_flag & os.ST_RDONLY else "no permission"
        raise OccupyError(f"{name}: cannot be written to: {reason}; {_ANOTHER}")
    parts = os.path.relpath(whole, place).split(os.sep)
    if (max(len(os.fsencode(part)) for part in parts) > os.pathconf(place, "PC_NAME_MAX")
            or len(os.fsencode(whole)) >= os.pathconf(place, "PC_PATH_MAX")):
        raise OccupyError(f"{name}: the output directory cannot be made: its name is too long; {_ANOTHER}")
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".occupy_", dir=place))
    except OSError as error:
        what = "cannot be written to" if place == whole else "the output directory cannot be made"
        full = error.errno == errno.ENOSPC and no_more_files(os.path.join(place, "x"))
        why = "no more files fit on the disk: its inodes are used up" if full else error.strerror
        raise OccupyError(f"{name}: {what}: {why}; {_ANOTHER}") from error


def check_lengths(path: str, outputs: Sequence[Any]) -> None:
    """Raise InputError if the name of an input is too long for the names of its outputs.

    Parameters
    ----------
    path : str
        The input.
    outputs : sequence of occupy_jit.runs.plan.plan.Output
    """
    for output in outputs:
        name = os.path.basename(output.path)
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise InputError(f"{shown(path)}: the name is too long: the {output.what} would have a name of more than "
                             f"{_LONGEST_NAME} bytes; choose a shorter one")
