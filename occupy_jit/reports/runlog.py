"""The log of a run: everything is kept, and what fits the verbosity is printed while it happens.

`RunLog.text` is the whole log, to be written to log_<name>.txt with the other outputs.
"""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
import time

from occupy_jit import __version__
from occupy_jit.files.paths import shown

QUIET, NORMAL, VERBOSE = -1, 0, 1

#: Where a setting came from.
SOURCES = ("given", "default", "derived")

_PROGRAM = "OccuPy"
_INDENT = " " * 11
_ASCII = str.maketrans({"Å": "A", "°": " deg", "×": "x", "µ": "u", "σ": "sigma", "ρ": "rho", "±": "+-", "–": "-",
                        "…": "..."})


def value_text(value):
    """A value as a person reads it: six digits, yes and no, lists with commas, "-" for none."""
    if hasattr(value, "tolist"):  # numpy
        value = value.tolist()
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, os.PathLike):
        return shown(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(value_text, value))
    return _one_line(str(value))


def _one_line(text):
    """Escapes for what would break the line or the terminal (control characters of a file name)."""
    text = " ".join(line.strip() for line in str(text).splitlines())
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def showable(text, encoding):
    """`text` with replacements for what `encoding` lacks: ASCII for units and signs, escapes for the rest."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def _version(distribution):
    """Of an installed distribution, without importing it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _columns(rows):
    """Rows of text in aligned columns; the last one as long as it is."""
    rows = [tuple(map(str, row)) for row in rows]
    widths = [max((len(row[i]) for row in rows if len(row) > i + 1), default=0)
              for i in range(max(map(len, rows), default=0))]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
            for row in rows]


class RunLog:
    """Collects the lines of a run and prints some of them.

    Parameters
    ----------
    level : {QUIET, NORMAL, VERBOSE}
        Of what is printed: only warnings, a few lines, all. The log itself is always complete.
    stream, error_stream : text file, optional
        For lines and for warnings; by default standard output and standard error. A stream that breaks (a closed
        pipe, a full disk) ends the printing, not the run.
    clock : callable
        Seconds, for the time stamps.

    Attributes
    ----------
    warnings : list of str
        In the order they came, each once.
    verdicts : list of (str, str)
        Code and sentence.
    files : list of str
        Written, as `wrote` was told.
    timings : dict
        Seconds by name, as `timed` measured.

    Examples
    --------
    >>> log = RunLog(QUIET)
    >>> with log.timed("low-pass"):
    ...     log.say("low-pass at 5.0 Å")
    >>> "low-pass at 5.0 Å" in log.text()
    True
    """

    def __init__(self, level=NORMAL, stream=None, error_stream=None, clock=time.perf_counter):
        self.level = level
        self.warnings, self.verdicts, self.files, self.timings = [], [], [], {}
        self._stream, self._error_stream = stream, error_stream
        self._broken = set()
        self._clock = clock
        self._start = clock()
        self._lines = []

    # what is kept, what is printed ---------------------------------------------------------------------------------

    def _stamped(self, text):
        self._lines.append(f"{self._clock() - self._start:9.2f}  {text}".rstrip())

    def _rows(self, rows, level):
        for row in rows:
            self._lines.append(_INDENT + "  " + row)
            self._print("  " + row, level)

    def _print(self, text, level, error=False):
        if self.level < level or error in self._broken:
            return
        stream = (self._error_stream or sys.stderr) if error else (self._stream or sys.stdout)
        if stream is None:  # a process without terminal (pythonw)
            return
        try:
            stream.write(showable(text, getattr(stream, "encoding", None)) + "\n")
            stream.flush()
        except (OSError, ValueError) as problem:  # ValueError: closed
            self._broken.add(error)
            self._stamped(f"nothing more is printed: {_one_line(getattr(problem, 'strerror', None) or problem)}")

    def say(self, text):
        """A line for every user."""
        text = _one_line(text)
        self._stamped(text)
        self._print(text, NORMAL)

    def detail(self, text):
        """A line for those who ask for more."""
        text = _one_line(text)
        self._stamped(text)
        self._print(text, VERBOSE)

    def warning(self, text):
        """A warning, on standard error whatever the level; the same one again is not repeated."""
        text = _one_line(text)
        if text in self.warnings:
            return
        self.warnings.append(text)
        self._stamped(f"warning: {text}")
        self._print(f"{_PROGRAM}: warning: {text}", QUIET, error=True)

    def error(self, text, kind="error"):
        """Why a map could not be done, on standard error; the lines of the message stay lines."""
        for line in text.splitlines():
            self._stamped(f"{kind}: {_one_line(line)}")
        self._print(f"{_PROGRAM}: {kind}: {text}", QUIET, error=True)

    def section(self, title, level=VERBOSE):
        """A heading."""
        self._lines.append("")
        self._stamped(_one_line(title).upper())
        self._print("\n" + _one_line(title), level)

    # sections --------------------------------------------------------------------------------------------------------

    def header(self, argv, inputs=()):
        """Version, command line, date, machine and versions, at the start of the log.

        Parameters
        ----------
        argv : sequence of str
            The command line, program first.
        inputs : sequence of str, optional
            Names of what is worked on, for the one line that is always printed.
        """
        title = f"{_PROGRAM} {__version__}" + (": " + ", ".join(map(shown, inputs)) if inputs else "")
        self._stamped(title)
        self._print(title, NORMAL)
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        try:
            folder = os.getcwd()
        except OSError:
            folder = "(removed)"
        packages = ", ".join(f"{name} {_version(name)}" for name in ("numpy", "numba", "mrcfile"))
        self._rows(_columns([("command line", _one_line(shlex.join(map(os.fsdecode, argv)))), ("started", now),
                             ("directory", shown(folder)),
                             ("machine", f"{platform.node()}, {platform.system()} {platform.release()} "
                                         f"{platform.machine()}"),
                             ("python", f"{platform.python_version()}, {packages}")]), VERBOSE)

    def settings(self, rows, title="settings"):
        """Every setting with where it came from.

        Parameters
        ----------
        rows : sequence of (name, value, source)
            `source` is one of `SOURCES`, and may say more after it: "derived from the low-pass".
        """
        rows = [tuple(row) for row in rows]
        for name, _, source in rows:
            if not source.startswith(SOURCES):
                raise ValueError(f"{name}: source {source!r} is none of {', '.join(SOURCES)}")
        self.section(title)
        self._rows(_columns((_one_line(name), value_text(value), _one_line(source)) for name, value, source in rows),
                   VERBOSE)

    def results(self, rows, title="results"):
        """What was found: rows of (name, value) or (name, value, unit)."""
        self.section(title)
        self._rows(_columns((_one_line(name), " ".join([value_text(value), *map(_one_line, unit)]))
                            for name, value, *unit in rows), NORMAL)

    def table(self, title, rows):
        """Rows of equal length, the first of them the heading, for every user; numbers as `value_text` has them."""
        self.section(title, NORMAL)
        self._rows(_columns([value_text(cell) for cell in row] for row in rows), NORMAL)

    def verdict(self, code, sentence):
        """What the program thinks of the map: a short code for programs and a sentence for people."""
        self.verdicts.append((code, sentence))
        sentence = _one_line(sentence)
        self._stamped(f"verdict {code}: {sentence}")
        self._print(sentence, NORMAL)

    def wrote(self, path, what=""):
        """A file was (or at the end of the run will be) written."""
        self.files.append(os.fsdecode(path))
        text = f"{shown(path)}" + (f"  {_one_line(what)}" if what else "")
        self._stamped(f"wrote {text}")
        self._print(f"wrote {text}", NORMAL)

    @contextlib.contextmanager
    def timed(self, name):
        """Measure what happens inside; the times of one name add up, also of parts that fail."""
        start = self._clock()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + self._clock() - start

    def show_timings(self, title="timings"):
        """The seconds that `timed` measured, and all since the log began."""
        rows = [*self.timings.items(), ("since the start", self._clock() - self._start)]
        self.section(title)
        width = max(len(f"{seconds:.2f}") for _, seconds in rows)
        self._rows(_columns((_one_line(name), f"{seconds:{width}.2f} s") for name, seconds in rows), VERBOSE)

    def text(self):
        """The whole log, ending in a newline, to be written as UTF-8."""
        return "\n".join(self._lines).lstrip("\n") + "\n"
