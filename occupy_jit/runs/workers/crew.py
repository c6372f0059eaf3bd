"""What hands out work has to know about workers, whatever they are: processes, or the workers of a cluster."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Dead(Exception):
    """Stands for the result where a worker died over its task."""


@dataclass(frozen=True)
class Lost:
    """What stands for the result of a task that has none: a sentence that says why.

    Attributes
    ----------
    reason : str
    """

    reason: str


class Answer(NamedTuple):
    """What a worker says of something that it was given to do.

    Attributes
    ----------
    worker : str
    tag : hashable
        As given to `Crew.start`.
    result : object
        None where there is an error.
    error : BaseException or None
        `Dead`, told once, if the worker is gone with all that it holds.
    """

    worker: str
    tag: Hashable
    result: Any
    error: BaseException | None


class Crew(Protocol):
    """Workers that come and go; each does what it is given one after the other, in that order."""

    def arrivals(self) -> list[str]:
        """Names of the workers that are new since the last call."""
        ...

    def ahead(self, worker: str) -> int:
        """Number of tasks that a worker may hold, so that it never waits for the next."""
        ...

    def start(self, worker: str, tag: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Give a worker something to do; the answer comes out of `wait`."""
        ...

    def wait(self, seconds: float) -> list[Answer]:
        """Answers, or an empty list after some seconds without any."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...
