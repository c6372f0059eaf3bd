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
        ``arrivals()``: workers that are new since the last call; ``ahead(worker)``: how many tasks it may hold, which
        it does one after the other in this order, so that it never waits for the next; ``start(worker, tag, function,
        *arguments)``; ``wait(seconds)``: list of (worker, tag, result, error), where the error is `Dead`, told once,
        if the worker is gone with all that it holds; ``close()``.
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
    hall = _Hall(work, tasks, crew, say or (lambda line: None))
    try:
        while hall.unfinished:
            for worker in crew.arrivals():
                hall.preparing.add(worker)
                crew.start(worker, None, prepare or _nothing)
            hall.hand_out()
            for worker, tag, result, error in crew.wait(_LOOK):
                if worker in hall.preparing:
                    hall.prepared(worker, result, error)
                elif isinstance(error, Dead):
                    yield from hall.buried(worker)
                else:
                    hall.held[worker].remove(tag)
                    yield tag, result if error is None else Lost(f"{type(error).__name__}: {error}")
    finally:
        crew.close()


class _Hall:
    """Who holds which tasks."""

    def __init__(self, work, tasks, crew, say):
        self._work, self._tasks, self._crew, self._say = work, tasks, crew, say
        self._waiting = collections.deque(range(len(tasks)))
        self._deaths = collections.Counter()
        self._refusals = 0
        self.held = {}  # worker that can be used -> its tasks, the one that it works on first
        self.preparing = set()

    @property
    def unfinished(self):
        """bool : Whether any task waits or is worked on."""
        return bool(self._waiting) or any(self.held.values())

    def hand_out(self):
        """Give every worker a task, and some to go on with as long as there are enough for all."""
        for depth in (1, 2):
            for worker, tasks in self.held.items():
                enough = self._waiting if depth == 1 else len(self._waiting) > len(self.held)
                if enough and len(tasks) < min(depth, self._crew.ahead(worker)):
                    tasks.append(self._waiting.popleft())
                    self._crew.start(worker, tasks[-1], self._work, self._tasks[tasks[-1]])

    def prepared(self, worker, result, error):
        """A worker is ready, or cannot be used."""
        self.preparing.discard(worker)
        refused = _refusal(result, error)
        if refused is None:
            self._refusals = 0
            self.held[worker] = collections.deque()
            return
        self._refusals += 1
        self._say(f"worker {worker}: {refused}")
        if not (self.held or self.preparing) and (self._refusals >= _DEATHS or not isinstance(error, Dead)):
            raise OccupyError(f"no worker can be used; the last one: {refused}")

    def buried(self, worker):
        """A worker died: over its first task, which is tried once more or given up; the others are nobody's fault."""
        tasks = self.held.pop(worker, ())
        if not tasks:
            return
        index, *others = tasks
        self._waiting.extendleft(reversed(others))
        self._deaths[index] += 1
        if self._deaths[index] < _DEATHS:
            self._say(f"worker {worker}: died over task {index + 1} of {len(self._tasks)}; it is tried once more")
            self._waiting.append(index)
        else:
            yield index, Lost(f"{_DEATHS} workers died over it (killed, or out of memory)")


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

    def ahead(self, worker):
        """Number of tasks that a process may hold."""
        return 2

    def start(self, worker, tag, function, *arguments):
        """Give a process something to do; the answer comes out of `wait`."""
        from concurrent.futures.process import BrokenProcessPool

        try:
            future = self._pools[worker].submit(function, *arguments)
        except BrokenProcessPool:  # died since its last answer
            self._finished.put((worker, tag, None))
            return
        future.add_done_callback(lambda done: self._finished.put((worker, tag, done)))

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
        for worker, tag, future in answers:
            self._one_first = False
            if worker not in self._pools:
                continue  # it is known already that it died
            error = Dead() if future is None else future.exception()
            if isinstance(error, (Dead, BrokenProcessPool)):
                error = Dead()
                self._pools.pop(worker).shutdown(wait=False)
                self._to_come += 1
            found.append((worker, tag, None if error is not None else future.result(), error))
        return found

    def close(self):
        """End the processes; what they still do is waited for, unless a signal ends the program."""
        import multiprocessing

        from occupy_jit.files.output.signals import is_interrupted

        if is_interrupted():
            for child in multiprocessing.active_children():
                child.terminate()
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

    from occupy_jit.files.output.signals import install_signal_handlers

    os.environ.update(environment)
    install_signal_handlers()
    threading.Thread(target=_end_with, args=(parent_process().sentinel,), name="parent", daemon=True).start()


def _end_with(sentinel):
    """End this process, in good order, as soon as its parent is gone: nobody else would ever tell it to.

    One signal is not enough: where it comes while files get their names it becomes an exception at the end of that,
    which the pool keeps as the result of the task; and between the last look at signals and a read that waits for the
    next task it goes unseen. The pool would then wait for ever for a task of a parent that is gone.
    """
    import os
    import signal
    import time
    from multiprocessing.connection import wait

    wait([sentinel])
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
