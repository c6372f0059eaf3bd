"""Messages about many maps: shared warnings once, with the number of maps, and the first errors."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from occupy_jit import PROGRAM

if TYPE_CHECKING:
    from occupy_jit.cli.console import Console
    from occupy_jit.cli.progress import ProgressLine

_ERRORS_TOLD = 10
_NAMED = 3


class Gathering(logging.Handler):
    """Listens to the runs on many maps for a console.

    Warnings about maps are kept until `tell`; the first ten errors are passed on, and the others counted.

    Parameters
    ----------
    console : occupy_jit.cli.console.Console
    line : occupy_jit.cli.progress.ProgressLine, optional
        Other lines are printed above it.
    level : int
        Lowest level of lines to pass on.
    """

    def __init__(self, console: Console, line: ProgressLine | None = None, level: int = logging.NOTSET) -> None:
        super().__init__(max(level, console.level))
        self._console, self._line = console, line
        self._warnings, self._errors = {}, 0

    def emit(self, record: Any) -> None:
        """Pass a line on, or keep it."""
        if record.levelno == logging.WARNING and getattr(record, "about", None) is not None:
            # numbers differ from map to map
            key = record.code or re.sub(r"[0-9]+", "0", record.sentence)
            self._warnings.setdefault(key, {}).setdefault(record.about, record)
            return
        if record.levelno >= logging.ERROR and record.printed is not None:
            self._errors += 1
            if self._errors > _ERRORS_TOLD:
                return
        if self._line is not None:
            self._line.clear()
        self._console.handle(record)

    def tell(self) -> None:
        """Print the kept messages."""
        if self._line is not None:
            self._line.clear()
        for found in self._warnings.values():
            first = next(iter(found.values()))
            if len(found) == 1:
                self._console.write(first.printed, aside=True)
                continue
            names = sorted(found)[:_NAMED]  # they come in any order
            more = f" and {len(found) - len(names)} more" if len(found) > len(names) else ""
            self._console.write(f"{PROGRAM}: warning: {len(found)} maps ({', '.join(names)}{more}): {first.sentence}",
                                aside=True)
        if self._errors > _ERRORS_TOLD:
            self._console.write(f"{PROGRAM}: error: and {self._errors - _ERRORS_TOLD} more maps that cannot be used",
                                aside=True)
        self._warnings, self._errors = {}, 0


@contextlib.contextmanager
def gathered(listener: logging.Handler | None) -> Iterator[Any]:
    """Print the kept messages of a listener at the end of the block, even after an exception."""
    try:
        yield
    finally:
        if isinstance(listener, Gathering):
            listener.tell()
