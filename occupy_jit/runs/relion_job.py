"""What RELION expects of an External job: how it ended, what it made, and that it stops when told to.

RELION starts the program with ``--o External/jobNNN/``, looks for a file ``RELION_JOB_EXIT_SUCCESS``, ``_FAILURE`` or
``_ABORTED`` in that directory to know how it ended, reads what it made from ``RELION_OUTPUT_NODES.star``, and makes a
file ``RELION_JOB_ABORT_NOW`` there to have it stopped.
"""

import contextlib
import glob
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

from occupy_jit.errors import OccupyError, UsageError, missing_packages
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.signals import on_interrupt
from occupy_jit.files.output.temporaries import remove_temporaries
from occupy_jit.files.output.transaction import Outputs, write_error
from occupy_jit.reports.record import read_record
from occupy_jit.runs.plan import output_kinds

ABORT_NOW = "RELION_JOB_ABORT_NOW"
SUCCESS, FAILURE, ABORTED = "RELION_JOB_EXIT_SUCCESS", "RELION_JOB_EXIT_FAILURE", "RELION_JOB_EXIT_ABORTED"
NODES = "RELION_OUTPUT_NODES.star"

_LOOK = 0.25  # seconds between two looks for ABORT_NOW
_GRACE = 1.0  # seconds for an ordinary end, before a computation is cut off

#: Kind of map -> type of node, as RELION 4 and later name it, and the number that RELION 3 has for it.
NODE_TYPES = {"map": ("DensityMap.mrc", 6), "mask": ("Mask3D.mrc", 7),
              "local": ("Image3D.mrc.localresmap", 12)}


class ExternalJob:
    """One External job, from its beginning to its end.

    Parameters
    ----------
    directory : str
        What RELION gave as --o.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._ended = threading.Lock()

    def begin(self) -> None:
        """Remove what an earlier run left, and watch for the order to stop.

        Raises
        ------
        OccupyError
            The directory cannot be written to.
        """
        if os.path.lexists(self.directory) and not os.path.isdir(self.directory):
            raise UsageError(f"{shown(self.directory)}: is not a directory; RELION gives the directory of the job")
        try:
            os.makedirs(self.directory, exist_ok=True)
            for name in (ABORT_NOW, SUCCESS, FAILURE, ABORTED, NODES):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.directory, name))
        except OSError as error:
            raise write_error(self.directory, error) from error
        on_interrupt(self.interrupted)
        threading.Thread(target=self._watch, name="RELION", daemon=True).start()

    def _watch(self):
        order = os.path.join(self.directory, ABORT_NOW)
        while not os.path.exists(order):
            if self._ended.locked():
                return
            time.sleep(_LOOK)
        # The ordinary way first: it finishes renames that have begun. It waits for a kernel to return, we do not.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        self.interrupted()
        remove_temporaries()
        os._exit(128 + signal.SIGTERM)

    def interrupted(self) -> None:
        """Say that the job was stopped. Safe in a signal handler; nothing that comes later changes it."""
        if self._ended.acquire(blocking=False):
            self._touch(ABORTED)
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.directory, ABORT_NOW))

    def end(self, status: int, nodes: Sequence[tuple[Any, ...]] = ()) -> None:
        """Say how the job ended.

        Parameters
        ----------
        status : int
            Exit status of the program.
        nodes : sequence of (str, str)
            Path and kind (a key of `NODE_TYPES`) of what was made; written where the job was a success.

        Raises
        ------
        OccupyError
            The list of nodes cannot be written; the job is a failure then.
        """
        if not self._ended.acquire(blocking=False):
            return
        try:
            if status == 0 and nodes:
                self._write_nodes(nodes)
        except BaseException:
            self._touch(FAILURE)
            raise
        self._touch(FAILURE if status else SUCCESS)

    def _touch(self, name):
        with contextlib.suppress(OSError):  # a full disk has room for an empty file, or nothing helps
            os.close(os.open(os.path.join(self.directory, name), os.O_WRONLY | os.O_CREAT, 0o666))

    def _write_nodes(self, nodes):
        try:
            from gemmi import cif
        except ImportError:
            raise missing_packages("a STAR file", "gemmi") from None
        document = cif.Document()
        loop = document.add_new_block("output_nodes").init_loop(
            "_rlnPipeLine", ["NodeName", "NodeTypeLabel", "NodeType"])
        for path, kind in nodes:
            name = _in_project(path)
            if not name.isprintable() or any(letter.isspace() for letter in name):
                raise OccupyError(f"{shown(name)}: RELION cannot read names with blanks; rename the input")
            label, number = NODE_TYPES[kind]
            loop.add_row([name, label, str(number)])  # without quotation marks, which RELION takes for a part of it
        with Outputs() as outputs, outputs.open(os.path.join(self.directory, NODES), "w") as file:
            file.write(document.as_string())


def nodes_of(directory: str, begun_ns: int) -> list[Any]:
    """What the records that were written to a directory, since a time, say that was made: (path, kind) pairs.

    Parameters
    ----------
    directory : str
    begun_ns : int
        Nanoseconds since 1970.
    """
    found = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "occupy_*.json"))):
        if os.stat(path).st_mtime_ns < begun_ns:
            continue
        record = read_record(path)
        for part in (record, *record.get("runs", ())):
            for entry in part.get("outputs", ()):
                kind = output_kinds.NODES.get(entry["role"])
                if kind is not None:
                    found[entry["path"]] = kind
    return list(found.items())


def _in_project(path):
    """Name of a file as RELION has it: relative to the project directory, which is the current one."""
    name = os.path.relpath(path)
    return os.path.abspath(path) if name.startswith(os.pardir + os.sep) else name
