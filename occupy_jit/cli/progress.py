"""Progress on a terminal: one line of standard error that is updated."""

import os
import sys
import time
from collections.abc import Callable
from typing import IO, Any

_PAUSE = 0.1  # seconds between two updates
_PATIENCE = 5.0  # seconds without a message before the first update


class ProgressLine:
    """A line at the bottom of the terminal.

    Parameters
    ----------
    stream : text file, optional
        Standard error if not given. Nothing is written unless it is a terminal.
    wanted : bool
        False for no progress (--quiet).
    clock : callable
        Seconds.
    """

    def __init__(self, stream: IO[str] | None = None, wanted: bool = True, clock: Callable[..., Any] = time.monotonic
                ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._start = self._last = None
        self._shown = ""
        try:
            self._on = wanted and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        except (AttributeError, ValueError):
            self._on = False

    def _write(self, text, now):
        width = self._width()
        line = text if len(text) < width else text[:width - 1]
        try:
            self._stream.write("\r" + line + " " * (len(self._shown) - len(line)) + "\r" * (not line))
            self._stream.flush()
        except (OSError, ValueError):
            self._on = False
        self._shown, self._last = line, now

    def _width(self):
        try:
            return max(20, os.get_terminal_size(self._stream.fileno()).columns or 80)
        except (OSError, ValueError, AttributeError):
            return 80

    def _due(self, now, last_one):
        if self._start is None:
            self._start = now
        return self._on and (last_one or self._last is None or now - self._last >= _PAUSE)

    def maps(self, done: Any, failed: Any, total: Any) -> None:
        """Show the numbers of finished and failed maps, and the expected time for the rest."""
        now = self._clock()
        if not self._due(now, done + failed == total):
            return
        text = f"{done} of {total} maps done"
        if failed:
            text += f", {failed} failed"
        tried = done + failed
        if 0 < tried < total and now > self._start:
            text += f", {duration((now - self._start) / tried * (total - tried))} left"
        self._write(text, now)

    def download(self, name: str, arrived: Any, total: Any) -> None:
        """Show the progress of a download."""
        now = self._clock()
        if not self._due(now, arrived == total):
            return
        text = f"{name}: {arrived / 1e6:.1f} MB"
        if total:
            filled = 30 * arrived // total
            text = f"{name}: [{'#' * filled}{'.' * (30 - filled)}] {arrived / 1e6:.1f} of {total / 1e6:.1f} MB"
        self._write(text, now)

    def step(self, text: str) -> None:
        """Show the current step and its duration, once it takes long.

        Parameters
        ----------
        text : str
            Empty at the end of a step: removes the line and restarts the clock.
        """
        if not text:
            self.clear()
            self._start = self._last = None
            return
        now = self._clock()
        if self._due(now, False) and now - self._start >= _PATIENCE:
            self._write(f"{text}, {duration(now - self._start)}", now)

    def clear(self) -> None:
        """Remove the line, so that something else can be printed."""
        if self._on and self._shown:
            self._write("", self._clock())


def duration(seconds: Any) -> Any:
    """Time in words: 45 s, 12 min, 3 h 20 min."""
    seconds = round(seconds)
    if seconds < 100:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
