"""Many tasks at once: here, in processes of this machine, or by the workers of a dask cluster.

One loop hands out the tasks, whatever the workers are, and knows one rule for workers that die: their task is tried
once more by another one, and given up if it takes that one, too.
"""

import collections
import itertools
import queue
from dataclasses import dataclass

from occupy_jit.errors import OccupyError

_DEATHS = 2
_LOOK = 1.0  # seconds between two looks at who is still there


@dataclass(frozen=True)
class Lost:
    """What stands for the result of a task that has none: a sentence that says why."""

    reason: str


class Dead(Exception):
    """Stands for the result where a worker died over its task."""


def here(work, tasks):
    """Do the tasks in this process, one after the other.

    Yields
    ------
    index : int
    result : object
    """
    for index, task in enumerate(tasks):
        yield index, work(task)


def distribute(work, tasks, crew, prepare=None, say=None):
    """Hand out tasks to the workers of a crew, and yield results as they come.

    Parameters
    ----------
    work : callable
        ``work(task)``; like the tasks and the results it can be pickled. It returns, whatever happens to a task.
    tasks : sequence
    crew : object
        ``arrivals()``: workers that are new since the last call; ``start(worker, function, *arguments)``;
        ``wait(seconds)``: list of (worker, result, error), where the error is `Dead` if the worker is gone, with its
        task or without one; ``close()``.
    prepare : callable, optional
        ``prepare()``, done by every worker first; returns None, or a sentence that says why this worker cannot be
        used.
    say : callable, optional
        Called with one line about workers that come, go, or cannot be used.

    Yields
    ------
    index : int
        Of the task; in the order in which they are done.
    result : object
        What `work` returned, or `Lost`.

    Raises
    ------
    OccupyError
        No worker can be used, or the crew is lost as a whole.
    """
    say = say or (lambda line: None)
    waiting = collections.deque(range(len(tasks)))
    deaths, idle, busy, preparing = collections.Counter(), [], {}, set()
    refusals = 0
    try:
        while waiting or busy:
            for worker in crew.arrivals():
                preparing.add(worker)
                crew.start(worker, prepare or _nothing)
            while waiting and idle:
                worker = idle.pop()
                busy[worker] = waiting.popleft()
                crew.start(worker, work, tasks[busy[worker]])
            for worker, result, error in crew.wait(_LOOK):
                if worker in preparing:
                    preparing.discard(worker)
                    refused = _refusal(result, error)
                    if refused is None:
                        refusals = 0
                        idle.append(worker)
                        continue
                    refusals += 1
                    say(f"worker {worker}: {refused}")
                    if not (idle or busy or preparing) and (refusals >= _DEATHS or not isinstance(error, Dead)):
                        raise OccupyError(f"no worker can be used; the last one: {refused}")
                elif worker not in busy:  # gone while it had nothing to do
                    idle = [other for other in idle if other != worker]
                else:
                    index = busy.pop(worker)
                    if not isinstance(error, Dead):
                        idle.append(worker)
                        yield index, result if error is None else Lost(f"{type(error).__name__}: {error}")
                        continue
                    deaths[index] += 1
                    if deaths[index] < _DEATHS:
                        say(f"worker {worker}: died over task {index + 1} of {len(tasks)}; it is tried once more")
                        waiting.append(index)
                    else:
                        yield index, Lost(f"{_DEATHS} workers died over it (killed, or out of memory)")
    finally:
        crew.close()


def _nothing():
    """The preparation of workers that need none."""


def _refusal(result, error):
    if error is None:
        return result
    if isinstance(error, Dead):
        return "died while it started"
    return f"cannot start: {type(error).__name__}: {error}"


# Processes of this machine -------------------------------------------------------------------------------------------


class Processes:
    """A crew of processes of this machine: started afresh, not forked, as numba's threads do not survive a fork.

    Each is a pool of one, so that it is known which task a process died of, and the others are not disturbed.

    Parameters
    ----------
    number : int
    one_first : bool
        Start one, and the others when it is prepared: it compiles, the others load what it has compiled.
    environment : dict
        Variables that are set in the processes before anything else happens.
    """

    def __init__(self, number, one_first=False, environment=None):
        import multiprocessing

        self._context = multiprocessing.get_context("spawn")
        _start_resource_tracker()
        self._environment = dict(environment or {})
        self._finished = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._pools = {}
        self._to_come = number
        self._one_first = one_first

    def arrivals(self):
        """Names of the processes that are new."""
        count = 1 if self._one_first and self._to_come and not self._pools else self._to_come
        if self._one_first and self._pools:
            return []
        return [self._begin() for _ in range(count)]

    def _begin(self):
        from concurrent.futures import ProcessPoolExecutor

        name = f"process {next(self._numbers)}"
        self._pools[name] = ProcessPoolExecutor(1, mp_context=self._context, initializer=_begin_process,
                                                initargs=(self._environment,))
        self._to_come -= 1
        return name

    def start(self, worker, function, *arguments):
        """Give a process something to do; the answer comes out of `wait`."""
        from concurrent.futures.process import BrokenProcessPool

        try:
            future = self._pools[worker].submit(function, *arguments)
        except BrokenProcessPool:  # died since its last answer
            self._finished.put((worker, None))
            return
        future.add_done_callback(lambda done: self._finished.put((worker, done)))

    def wait(self, seconds):
        """Answers, or an empty list after some seconds without any."""
        from concurrent.futures.process import BrokenProcessPool

        answers = []
        try:
            answers.append(self._finished.get(timeout=seconds))
            while True:
                answers.append(self._finished.get_nowait())
        except queue.Empty:
            pass
        found = []
        for worker, future in answers:
            self._one_first = False
            error = Dead() if future is None else future.exception()
            if isinstance(error, (Dead, BrokenProcessPool)):
                error = Dead()
                self._pools.pop(worker).shutdown(wait=False)
                self._to_come += 1
            found.append((worker, None if error is not None else future.result(), error))
        return found

    def close(self):
        """End the processes; what they still do is waited for."""
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
        self._pools = {}


def _start_resource_tracker():
    """Start the helper of multiprocessing so that it is silent about semaphores where a signal ends the program."""
    import os
    from multiprocessing import resource_tracker

    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker:UserWarning" + (f",{before}" if before else "")
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _begin_process(environment):
    """What every process does first: take the settings of the environment, and end when its parent ends."""
    import os
    import threading
    from multiprocessing import parent_process

    from occupy_jit.files.signals import install_signal_handlers

    os.environ.update(environment)
    install_signal_handlers()
    threading.Thread(target=_end_with, args=(parent_process().sentinel,), name="parent", daemon=True).start()


def _end_with(sentinel):
    """End this process, in good order, as soon as its parent is gone: nobody else would ever tell it to."""
    import os
    import signal
    from multiprocessing.connection import wait

    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
