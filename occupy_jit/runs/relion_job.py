"""The protocol of External jobs of RELION: exit status, output nodes, and abortion on request.

RELION starts the program with ``--o External/jobNNN/``, looks for a file ``RELION_JOB_EXIT_SUCCESS``, ``_FAILURE`` or
``_ABORTED`` in that directory for the exit status, reads the outputs from ``RELION_OUTPUT_NODES.star``, and creates a
file ``RELION_JOB_ABORT_NOW`` there to stop the program.
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
_GRACE = 1.0  # seconds for an ordinary end, before the process is terminated

#: Kind of map -> type of node in RELION 4 and later, and its number in RELION 3.
NODE_TYPES = {"map": ("DensityMap.mrc", 6), "mask": ("Mask3D.mrc", 7),
              "local": ("Image3D.mrc.localresmap", 12)}


class ExternalJob:
    """One External job, from its beginning to its end.

    Parameters
    ----------
    directory : str
        The value of --o.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._ended = threading.Lock()

    def begin(self) -> None:
        """Remove files of an earlier run, and watch for a request to abort.

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
        # First end in the ordinary way, which finishes renames; it may wait for a kernel, this thread does not.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        self.interrupted()
        remove_temporaries()
        os._exit(128 + signal.SIGTERM)

    def interrupted(self) -> None:
        """Record that the job was aborted. Safe in a signal handler; later calls do not change it."""
        if self._ended.acquire(blocking=False):
            self._touch(ABORTED)
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.directory, ABORT_NOW))

    def end(self, status: int, nodes: Sequence[tuple[Any, ...]] = ()) -> None:
        """Record the end of the job.

        Parameters
        ----------
        status : int
            Exit status of the program.
        nodes : sequence of (str, str)
            Path and kind (a key of `NODE_TYPES`) of the outputs; written if the job succeeded.

        Raises
        ------
        OccupyError
            The list of nodes cannot be written; the job then fails.
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
        with contextlib.suppress(OSError):  # a full disk still has room for an empty file
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
            loop.add_row([name, label, str(number)])  # without quotation marks, which RELION would include in the name
        with Outputs() as outputs, outputs.open(os.path.join(self.directory, NODES), "w") as file:
            file.write(document.as_string())


def nodes_of(directory: str, begun_ns: int) -> list[Any]:
    """Outputs in the records written to a directory since a time: (path, kind) pairs.

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
    """Name of a file in RELION: relative to the project directory, which is the current directory."""
    name = os.path.relpath(path)
    return os.path.abspath(path) if name.startswith(os.pardir + os.sep) else name
