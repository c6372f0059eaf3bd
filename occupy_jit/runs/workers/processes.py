"""Processes of this machine as a crew."""

import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from typing import Any

from occupy_jit.files.output.signals import forget_interrupt, install_signal_handlers, is_interrupted, on_interrupt
from occupy_jit.runs.workers.crew import Answer, Dead


class Processes:
    """A crew of processes of this machine: spawned, not forked, because threads of numba do not survive a fork.

    Each is a pool of one, so that the task of a dead process is known, and the others continue.

    Parameters
    ----------
    number : int
    one_first : bool
        Start one, and the others when it is prepared: it compiles the kernels, and the others load them.
    environment : dict
        Variables to set first in the processes.
    """

    def __init__(self, number: int, one_first: bool = False, environment: Mapping[str, str] | None = None) -> None:
        self._context = multiprocessing.get_context("spawn")
        _start_resource_tracker()
        self._environment = dict(environment or {})
        self._finished: queue.SimpleQueue = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._pools: dict[str, ProcessPoolExecutor] = {}
        self._to_come = number
        self._one_first = one_first
        on_interrupt(_end_children)

    def arrivals(self) -> list[str]:
        """Names of new processes."""
        count = 1 if self._one_first and self._to_come and not self._pools else self._to_come
        if self._one_first and self._pools:
            return []
        return [self._begin() for _ in range(count)]

    def _begin(self) -> str:
        name = f"process {next(self._numbers)}"
        self._pools[name] = ProcessPoolExecutor(1, mp_context=self._context, initializer=_begin_process,
                                                initargs=(self._environment,))
        self._to_come -= 1
        return name

    def ahead(self, worker: str) -> int:
        """Number of tasks that a process may hold."""
        return 2

    def start(self, worker: str, tag: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Give a process something to do; the answer comes out of `wait`."""
        try:
            future = self._pools[worker].submit(function, *arguments)
        except BrokenProcessPool:  # died since its last answer
            self._finished.put((worker, tag, None))
            return
        future.add_done_callback(lambda done: self._finished.put((worker, tag, done)))

    def wait(self, seconds: float) -> list[Answer]:
        """Answers, or an empty list after some seconds without any."""
        answers = []
        try:
            answers.append(self._finished.get(timeout=seconds))
            while True:
                answers.append(self._finished.get_nowait())
        except queue.Empty:
            pass
        found = []
        for worker, tag, future in answers:
            self._one_first = False
            if worker not in self._pools:
                continue  # its death is known already
            error = Dead() if future is None else future.exception()
            if isinstance(error, (Dead, BrokenProcessPool)):
                error = Dead()
                self._pools.pop(worker).shutdown(wait=False)
                self._to_come += 1
            found.append(Answer(worker, tag, None if error is not None else future.result(), error))
        return found

    def close(self) -> None:
        """End the processes, after their current work unless a signal ends the program."""
        forget_interrupt(_end_children)
        if is_interrupted():
            _end_children()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
        self._pools = {}


def _end_children() -> None:
    """End the processes in the ordinary way; a stopped one must be continued first."""
    for child in multiprocessing.active_children():
        for name in ("SIGTERM", "SIGCONT"):
            number = getattr(signal, name, None)
            if number is not None and child.pid is not None:
                with contextlib.suppress(OSError):
                    os.kill(child.pid, number)


def _start_resource_tracker() -> None:
    """Start the helper of multiprocessing without its warnings about semaphores after a signal."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker:UserWarning" + (f",{before}" if before else "")
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _begin_process(environment: Mapping[str, str]) -> None:
    """First steps of every process: set the environment, and end with its parent."""
    os.environ.update(environment)
    install_signal_handlers()
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is called in children only"
    threading.Thread(target=_end_with, args=(parent.sentinel,), name="parent", daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process in the ordinary way as soon as its parent is gone.

    One signal is not enough: during renames it becomes an exception afterwards,
    which the pool keeps as the result of the task; and between the last check for signals and the wait for the
    next task it is lost. The pool would then wait for ever.
    """
    multiprocessing.connection.wait([sentinel])
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
