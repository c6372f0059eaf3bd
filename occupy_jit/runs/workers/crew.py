"""Common interface of workers: processes, or the workers of a cluster."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Dead(Exception):
    """In place of the result if a worker died during its task."""


@dataclass(frozen=True)
class Lost:
    """In place of the result of a lost task: a sentence with the reason.

    Attributes
    ----------
    reason : str
    """

    reason: str


class Answer(NamedTuple):
    """Answer of a worker to a task.

    Attributes
    ----------
    worker : str
    tag : hashable
        As passed to `Crew.start`.
    result : object
        None after an error.
    error : BaseException or None
        `Dead`, once, if the worker is lost with all its tasks.
    """

    worker: str
    tag: Hashable
    result: Any
    error: BaseException | None


class Crew(Protocol):
    """Workers that join and leave; each runs its tasks one after the other, in order."""

    def arrivals(self) -> list[str]:
        """Names of workers that joined since the last call."""
        ...

    def ahead(self, worker: str) -> int:
        """Number of tasks that a worker may hold, so that it never has to wait."""
        ...

    def start(self, worker: str, tag: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Give a worker a task; `wait` returns the answer."""
        ...

    def wait(self, seconds: float) -> list[Answer]:
        """Answers, or an empty list after some seconds without any."""
        ...

    def close(self) -> None:
        """Release the workers."""
        ...
