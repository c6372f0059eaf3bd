"""SHA-256 of a file, computed in the background (hashing releases the GIL)."""

import hashlib
import os
import threading
from typing import Any

from occupy_jit.errors import OccupyError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import open_input

_PIECE = 1 << 20


class Checksum:
    """SHA-256 of an open file, computed in a thread from its own descriptor.

    The descriptor keeps pointing at the same file through renames and replacements of its name.

    Parameters
    ----------
    descriptor : int
        Readable file descriptor; it is duplicated, and its position neither used nor moved.
    path : str
        Name for messages.
    growing : bool
        The file is still being written, from start to end: read only as far as `grown` allows, until
        `complete`.
    """

    def __init__(self, descriptor: int, path: str, growing: bool = False) -> None:
        self._path = path
        self._error = None
        self._digest = hashlib.sha256()
        self._there = 0 if growing else None  # so many bytes can be read; None: all
        self._more = threading.Condition()
        self._descriptor = os.dup(descriptor)
        self._thread = threading.Thread(target=self._run, name="checksum", daemon=True)
        self._thread.start()

    def _run(self):
        try:
            position = 0
            piece = memoryview(bytearray(_PIECE))  # fresh memory for every piece would cost more than hashing it
            while count := os.preadv(self._descriptor, [piece[:self._readable(position)]], position):
                self._digest.update(piece[:count])
                position += count
        except OSError as error:
            self._error = error
        finally:
            os.close(self._descriptor)

    def _readable(self, position):
        """Wait until there is something to read after `position`; returns the readable length, None for all."""
        with self._more:
            self._more.wait_for(lambda: self._there is None or self._there > position)
            return None if self._there is None else self._there - position

    def grown(self, there: int | None) -> None:
        """Report that so many bytes from the start are final."""
        with self._more:
            self._there = there
            self._more.notify()

    def complete(self) -> None:
        """Report that the file is complete."""
        self.grown(None)

    def hexdigest(self) -> str:
        """Wait for the end and return 64 hexadecimal digits; `OccupyError` if the file could not be read."""
        self._thread.join()
        if self._error is not None:
            raise OccupyError(f"{shown(self._path)}: cannot be read back for its checksum: {self._error.strerror}; "
                              "check the disk") from self._error
        return self._digest.hexdigest()


def checksum_of(path: str, error_class: Any = OccupyError) -> Any:
    """SHA-256 of a file, as hexadecimal digits.

    Parameters
    ----------
    path : str
    error_class : type, optional
        Type of the exception if it cannot be opened.

    Raises
    ------
    OccupyError
        It cannot be read.
    """
    try:
        file = open_input(path, "file")
    except OccupyError as error:
        raise error_class(str(error)) from error
    with file:
        return Checksum(file.fileno(), path).hexdigest()


def stamp(path: str) -> dict[str, Any]:
    """Properties of a file that show changes without reading it.

    Returns
    -------
    dict
        ``bytes``; ``modified_ns``, the time of its last change, which users can set; ``changed_ns``, when the file
        system last changed anything about it, and ``inode``. None if there is no such file.
    """
    try:
        status = os.stat(path)
    except OSError:
        return {"bytes": None, "modified_ns": None, "changed_ns": None, "inode": None}
    return {"bytes": status.st_size, "modified_ns": status.st_mtime_ns, "changed_ns": status.st_ctime_ns,
            "inode": status.st_ino}


class FileRead:
    """An input file of a run, with its state before reading.

    Parameters
    ----------
    path : str
    checksum : bool
        Whether to take its checksum, in the background.

    Attributes
    ----------
    stamp : dict
        See `stamp`.
    """

    def __init__(self, path: str, checksum: bool = False) -> None:
        self._path = path
        self.stamp = stamp(path)
        self._checksum = None
        if checksum:
            try:
                file = open_input(path)
            except OccupyError:
                return  # the reader reports the problem
            with file:
                self._checksum = Checksum(file.fileno(), path)

    def entry(self) -> dict[str, Any]:
        """dict : Entry in the record of the run."""
        digest = None if self._checksum is None else self._checksum.hexdigest()
        return {"path": os.path.abspath(self._path), "sha256": digest, **self.stamp}
