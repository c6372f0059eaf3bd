"""First task of every worker of a cluster: a check, and preparation."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Sequence

from occupy_jit import __version__
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import write_error
from occupy_jit.machine.heap import keep_freed_memory
from occupy_jit.runs import warmup

_PROBE_SECONDS = 10  # network file systems show a new file late


class Probe:
    """A small hidden file for the duration of a ``with`` block, by which workers check that they share files.

    Parameters
    ----------
    directory : str
        Existing output directory.
    inputs : sequence of str
        Directories of the inputs.
    """

    def __init__(self, directory: str, inputs: Sequence[str]) -> None:
        self._token = os.urandom(16).hex()
        self._path = os.path.join(os.path.abspath(directory), f".occupy_probe-{self._token[:12]}")
        self._inputs = tuple(inputs)

    def __enter__(self) -> "Probe":
        try:
            with open(self._path, "x") as file:
                file.write(self._token)
        except OSError as error:
            raise write_error(os.path.dirname(self._path), error) from error
        return self

    def __exit__(self, *exc: object) -> bool:
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        return False

    @property
    def arguments(self) -> tuple[str, str, tuple[str, ...], str]:
        """Of `check_worker`."""
        return self._path, self._token, self._inputs, __version__


def check_worker(path: str, token: str, inputs: Sequence[str], version: str) -> str | None:
    """In a worker: check its version and its access to files, then load the kernels.

    Returns
    -------
    str or None
        The problem, if any.
    """
    host = socket.gethostname()
    if version != __version__:
        return (f"({host}) has occupy_jit {__version__}, this program is {version}; start the workers from one "
                "installation")
    folder = os.path.dirname(path)
    if _waited_for(path) != token:
        return (f"({host}) does not see what is written to {shown(folder)} here; outputs must go to a file system that "
                "the workers share")
    for directory in inputs:
        if not os.path.isdir(directory):
            return f"({host}) does not see {shown(directory)}; inputs must be on a file system that the workers share"
    answer = f"{path}.{os.urandom(6).hex()}"
    try:
        with open(answer, "x"):
            pass
        os.unlink(answer)
    except OSError as error:
        return f"({host}) cannot write to {shown(folder)}: {error.strerror}"
    keep_freed_memory()
    _take_threads(worker_threads() or 1)
    warmup.ready()
    return None


def _take_threads(number: int) -> None:
    """Use all threads of this worker: dask sets every library to one, because it expects a task on each thread."""
    os.environ["OMP_NUM_THREADS"] = str(number)
    if "numba" not in sys.modules:  # it would start one for every processor, and idle threads take time, too
        os.environ["NUMBA_NUM_THREADS"] = str(number)


def _waited_for(path: str) -> str:
    """Content of a small file; "" if it does not appear for a while."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while True:
        try:
            with open(path) as file:
                return file.read()
        except OSError:
            if time.monotonic() > deadline or not os.path.isdir(os.path.dirname(path)):
                return ""
            time.sleep(0.5)


def worker_threads() -> int | None:
    """Number of threads of the calling dask worker; None outside a worker."""
    try:
        from distributed import get_worker

        return max(1, get_worker().state.nthreads)
    except (ImportError, ValueError, AttributeError):
        return None
