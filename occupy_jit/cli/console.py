"""Printing of log lines according to the verbosity. The only place below `main` that prints."""

import logging
import sys
from typing import IO, Any

from occupy_jit.cli.progress import ProgressLine

_ASCII = str.maketrans({"Å": "A", "°": " deg", "×": "x", "µ": "u", "σ": "sigma", "ρ": "rho", "±": "+-", "–": "-",
                        "…": "..."})
_LEVELS = {-1: logging.WARNING, 0: logging.INFO, 1: logging.DEBUG}


def showable(text: str, encoding: str) -> str:
    """`text` with replacements for characters that `encoding` lacks: ASCII for units and signs, escapes for the
    rest."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


class Console(logging.Handler):
    """Prints lines of a `RunLog`: results to standard output, errors and warnings to standard error.

    Parameters
    ----------
    verbosity : {-1, 0, 1}
        Warnings and errors only; normal; everything.
    stream, error_stream : text file, optional
        By default standard output and standard error. A stream that breaks (a closed pipe, a full disk) ends the
        printing, not the run.
    """

    def __init__(self, verbosity: int = 0, stream: IO[str] | None = None, error_stream: IO[str] | None = None) -> None:
        super().__init__(_LEVELS[verbosity])
        self._streams = {False: stream, True: error_stream}
        self._broken = set()
        self._progress = ProgressLine(error_stream)

    def emit(self, record: Any) -> None:
        """Print a line, unless it is for the log alone, or show the current step on a terminal."""
        if hasattr(record, "step"):
            self._progress.step(record.step)
        elif record.printed is not None:
            self.write(record.printed, record.aside)

    def say(self, *lines: Any) -> None:
        """Print lines that belong to no run, for every user."""
        if self.level <= logging.INFO:
            for line in lines:
                self.write(line)

    def detail(self, *lines: Any) -> None:
        """Print lines that belong to no run, for --verbose."""
        if self.level <= logging.DEBUG:
            for line in lines:
                self.write(line)

    def write(self, text: str, aside: bool = False) -> None:
        """Print a text whatever the verbosity."""
        stream = self._streams[aside] or (sys.stderr if aside else sys.stdout)
        if stream is None or aside in self._broken:  # None: a process without terminal (pythonw)
            return
        self._progress.clear()
        try:
            stream.write(showable(text, getattr(stream, "encoding", None)) + "\n")
            stream.flush()
        except (OSError, ValueError):  # ValueError: closed
            self._broken.add(aside)
