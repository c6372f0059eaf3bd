"""Many tasks at once in the workers of a crew: processes of this machine, or the workers of a dask cluster.

One loop distributes the tasks for all kinds of workers, with one rule for workers that die: their task is tried
once more by another worker, and given up if that one dies, too.
"""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from occupy_jit.errors import OccupyError
from occupy_jit.runs.workers.crew import Answer, Crew, Dead, Lost

_DEATHS = 2
_LOOK = 1.0  # seconds between two looks at who is still there


def distribute(work: Any, tasks: Sequence[Any], crew: Crew,
               prepare: Callable[[], str | None] | None = None,
               say: Callable[[str], None] | None = None) -> Iterator[tuple[int, Any]]:
    """Distribute tasks to the workers of a crew, and yield results in order of completion.

    Parameters
    ----------
    work : callable
        ``work(task)``; like the tasks and the results it must be picklable. It must not raise.
    tasks : sequence
    crew : Crew
        It is closed at the end.
    prepare : callable, optional
        ``prepare()``, called first in every worker; returns None, or a sentence on why this worker cannot be
        used.
    say : callable, optional
        Called with one line about workers that come, go, or cannot be used.

    Yields
    ------
    index : int
        Of the task, in order of completion.
    result : object
        What `work` returned, or `Lost`.

    Raises
    ------
    OccupyError
        No worker can be used, or the crew is lost as a whole.
    """
    assignments = Assignments(work, tasks, crew, prepare, say)
    try:
        while assignments.unfinished:
            assignments.welcome()
            assignments.hand_out()
            for answer in crew.wait(_LOOK):
                yield from assignments.settle(answer)
    finally:
        crew.close()


class Assignments:
    """State of the distribution: workers in preparation, tasks of each worker, and waiting tasks.

    Parameters
    ----------
    work, tasks, crew, prepare, say
        As of `distribute`.
    """

    def __init__(self, work: Callable[[Any], Any], tasks: Sequence[Any], crew: Crew,
                 prepare: Callable[[], str | None] | None = None, say: Callable[[str], None] | None = None) -> None:
        self._work, self._tasks, self._crew = work, tasks, crew
        self._prepare, self._say = prepare or _nothing, say or (lambda line: None)
        self._waiting = collections.deque(range(len(tasks)))
        self._held: dict[str, collections.deque[int]] = {}  # tasks of usable workers, the current one first
        self._preparing: set[str] = set()
        self._deaths: collections.Counter[int] = collections.Counter()
        self._refusals = 0

    @property
    def unfinished(self) -> bool:
        """bool : Whether any task waits or runs."""
        return bool(self._waiting) or any(self._held.values())

    def welcome(self) -> None:
        """Start the preparation of new workers."""
        for worker in self._crew.arrivals():
            self._preparing.add(worker)
            self._crew.start(worker, None, self._prepare)

    def hand_out(self) -> None:
        """Give every worker a task, and further tasks as long as there are enough for all."""
        for depth in (1, 2):
            for worker, tasks in self._held.items():
                enough = self._waiting if depth == 1 else len(self._waiting) > len(self._held)
                if enough and len(tasks) < min(depth, self._crew.ahead(worker)):
                    tasks.append(self._waiting.popleft())
                    self._crew.start(worker, tasks[-1], self._work, self._tasks[tasks[-1]])

    def settle(self, answer: Answer) -> Any:
        """Process an answer; yields the index and the result of a finished or lost task."""
        if answer.worker in self._preparing:
            self._prepared(answer)
        elif isinstance(answer.error, Dead):
            yield from self._buried(answer.worker)
        else:
            self._held[answer.worker].remove(answer.tag)
            yield answer.tag, (answer.result if answer.error is None
                               else Lost(f"{type(answer.error).__name__}: {answer.error}"))

    def _prepared(self, answer: Answer) -> None:
        """A worker is ready, or cannot be used."""
        self._preparing.discard(answer.worker)
        refused = _refusal(answer)
        if refused is None:
            self._refusals = 0
            self._held[answer.worker] = collections.deque()
            return
        self._refusals += 1
        self._say(f"worker {answer.worker}: {refused}")
        if not (self._held or self._preparing) and (self._refusals >= _DEATHS or not isinstance(answer.error, Dead)):
            raise OccupyError(f"no worker can be used; the last one: {refused}")

    def _buried(self, worker: str) -> Iterator[tuple[int, Lost]]:
        """A worker died: its current task is tried once more or given up; its other tasks wait again."""
        tasks = self._held.pop(worker, None)
        if not tasks:
            return
        index, *others = tasks
        self._waiting.extendleft(reversed(others))
        self._deaths[index] += 1
        if self._deaths[index] < _DEATHS:
            self._say(f"worker {worker}: died during task {index + 1} of {len(self._tasks)}; it is tried once more")
            self._waiting.append(index)
        else:
            yield index, Lost(f"{_DEATHS} workers died during it (killed, or out of memory)")


def _nothing() -> None:
    """The preparation of workers that need none."""


def _refusal(answer: Answer) -> str | None:
    if answer.error is None:
        return answer.result
    if isinstance(answer.error, Dead):
        return "died during its start"
    return f"cannot start: {type(answer.error).__name__}: {answer.error}"
