"""Parallel kernels called from Python: one at a time, with a bounded number of threads, and after a fork.

numba has three threading layers. This package works with each of them and leaves the choice to
numba and the user (``NUMBA_THREADING_LAYER``), because a choice holds for the whole process and
all other packages. Precautions for each layer:

* workqueue, which is always there, aborts the process when two host threads are in parallel
  kernels at once: calls of this package's kernels wait for each other;
* omp (the default where libgomp is found) kills a forked child that enters a parallel kernel:
  such a child runs the serial form of the same kernel;
* tbb is safe in both respects, and used if numba finds it.

A caller's own compiled code that calls kernels of this package bypasses all this: there numba's rules hold.
"""

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding.ffi
import numba
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import NumbaWarning


class _Region:
    """Holder of the lock of parallel calls, with the same interface as locks of numba and llvmlite."""

    _lock = threading.RLock()


# Objects whose `_lock` must not be held by another thread when the process forks, in the order in which
# they are taken elsewhere: parallel kernels, numba's compiler, LLVM.
_lock_owners = [owner for owner in (_Region, global_compiler_lock, getattr(llvmlite.binding.ffi.lib, "_lock", None))
                if hasattr(getattr(owner, "_lock", None), "acquire")]
# Whether this process was forked after these kernels were loaded, and whether it lost its threads.
_is_forked = False
_threads_lost = False
# Seconds a fork waits for kernels and compilations of other threads. After this time the child uses no threads.
_FORK_PATIENCE = 30.0
_before_fork = []


def _layer():
    """Name of the threading layer in use; None before the first parallel kernel."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


def _prepare_fork():
    # With all locks held, no thread is inside a parallel kernel or the compiler, and the child
    # does not inherit a lock that is never released.
    _before_fork.append([(owner, owner._lock.acquire(timeout=_FORK_PATIENCE)) for owner in _lock_owners])


def _after_fork_in_parent():
    for owner, held in reversed(_before_fork.pop()):
        if held:
            owner._lock.release()


def _after_fork_in_child():
    global _is_forked, _threads_lost
    for owner, held in reversed(_before_fork.pop()):
        if held:
            owner._lock.release()
        else:
            owner._lock = threading.RLock()
            _threads_lost = True
    _is_forked = True
    _threads_lost = _threads_lost or _layer() == "omp"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_prepare_fork, after_in_parent=_after_fork_in_parent,
                        after_in_child=_after_fork_in_child)


def forked() -> Any:
    """Whether this process is a fork of one that had imported the kernels."""
    return _is_forked


def _threads_work():
    """Whether parallel kernels may be launched here; loads the threading layer."""
    global _threads_lost
    if not _threads_lost and _layer() is None:
        try:
            with warnings.catch_warnings():
                # Warnings about an old TBB or missing /dev/shm: numba works without them.
                warnings.simplefilter("ignore", NumbaWarning)
                numba.get_num_threads()
        except ValueError as error:
            # A layer was asked for that is not installed.
            logging.getLogger("occupy_jit").info("kernels run on one thread: %s", str(error).splitlines()[0])
            _threads_lost = True
    return not _threads_lost


@contextlib.contextmanager
def parallel_region() -> Iterator[bool]:
    """Hold back other host threads while this one calls parallel kernels; may be nested.

    Yields
    ------
    bool
        Whether parallel kernels can be called. If not, serial forms must be used (as in `launch`):
        the process is a fork without threads, and a parallel kernel would end it.
    """
    with _Region._lock:
        yield _threads_work()


def launch(kernel: Callable[..., Any], *args: Any) -> Any:
    """Call a kernel made with ``@kernel(parallel=True)`` from Python, as safely as the threading layer allows."""
    if numba.config.DISABLE_JIT:
        return kernel(*args)
    with parallel_region() as parallel:
        return (kernel if parallel else kernel.serial())(*args)


def threads_in_force() -> int | None:
    """Number of threads of kernels; None if they are not compiled."""
    if numba.config.DISABLE_JIT:
        return None
    return numba.get_num_threads() if _threads_work() else 1


@contextlib.contextmanager
def threads(number: int | None) -> Iterator[int]:
    """Run the parallel kernels called in this block, from this host thread, on `number` threads.

    Parameters
    ----------
    number : int or None
        Limited to between 1 and what numba can start (``NUMBA_NUM_THREADS``, by default the CPUs
        this process may run on). None leaves everything as it is.

    Yields
    ------
    int
        The number in force.
    """
    if numba.config.DISABLE_JIT or not _threads_work():
        yield 1
        return
    before = numba.get_num_threads()
    now = before if number is None else max(1, min(int(number), numba.config.NUMBA_NUM_THREADS))
    try:
        numba.set_num_threads(now)
    except ValueError:
        now = before  # the limit was changed after numba was imported, which keeps the old limit
    try:
        yield now
    finally:
        numba.set_num_threads(before)
