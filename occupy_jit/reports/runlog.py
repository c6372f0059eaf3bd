"""The log of a run: all lines are kept, and passed to a listener at once.

`RunLog.text` is the whole log, for log_<name>.txt.
"""

import contextlib
import datetime
import importlib.metadata
import logging
import os
import platform
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from occupy_jit import PROGRAM, __version__
from occupy_jit.files.names.paths import shown

# Levels: for every user; with --verbose; always.
NORMAL, VERBOSE, WARNING, ERROR = logging.INFO, logging.DEBUG, logging.WARNING, logging.ERROR

#: Origin of a setting.
SOURCES = ("given", "default", "derived")

_INDENT = " " * 11


def value_text(value: bool | float | str | None) -> str:
    """A value for people: six digits, yes and no, lists with commas, "-" for None."""
    if hasattr(value, "tolist"):  # numpy
        value = value.tolist()  # pyright: ignore[reportAttributeAccessIssue]
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
    """Text with escapes for characters that would break the line or the terminal (control characters of a file
    name)."""
    text = " ".join(line.strip() for line in str(text).splitlines())
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _version(distribution):
    """Version of an installed distribution, without an import."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _local_time():
    """Date and time in the zone of the user; in UTC if $TZ is impossible (AAA25)."""
    try:
        now = datetime.datetime.now().astimezone()
    except (ValueError, OverflowError, OSError):
        now = datetime.datetime.now(datetime.timezone.utc)
    return now.isoformat(timespec="seconds")


def _columns(rows):
    """Rows of text in aligned columns; the last one is not padded."""
    rows = [tuple(map(str, row)) for row in rows]
    widths = [max((len(row[i]) for row in rows if len(row) > i + 1), default=0)
              for i in range(max(map(len, rows), default=0))]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
            for row in rows]


class _Collector(logging.Handler):
    """Collects lines in a list."""

    def __init__(self, lines: list[Any]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: Any) -> None:
        if not hasattr(record, "step"):
            self._lines.append(record)


class RunLog:
    """Collects the lines of a run, and passes each on to a listener.

    A line is a `logging.LogRecord`; ``logged`` is its text in the log (None: it is not there), ``printed`` the
    text for a terminal (None: nothing is printed), ``aside`` whether it belongs to standard error, ``at`` its time
    (None: it has no time stamp). For a warning or verdict, ``sentence`` is its text, ``about`` the map (None: it
    is not about one map) and ``code`` that of the verdict. The current step (`step`) is not a line: only listeners
    receive it, as ``step``.

    Parameters
    ----------
    listener : logging.Handler, optional
        Receives every line at once: `occupy_jit.cli.console.Console` prints those for the user.
    clock : callable, optional
        Seconds, for the time stamps.
    about : str, optional
        Subject of the run, which printed warnings name.

    Attributes
    ----------
    lines : list of logging.LogRecord
    warnings : list of str
        In order, each once.
    verdicts : list of (str, str)
        Code and sentence.
    timings : dict
        Seconds by name, as `timed` measured.

    Examples
    --------
    >>> log = RunLog()
    >>> with log.timed("low-pass"):
    ...     log.say("low-pass at 5.0 Å")
    >>> "low-pass at 5.0 Å" in log.text()
    True
    """

    def __init__(self, listener: logging.Handler | None = None, clock: Callable[..., Any] | None = None,
                 about: str | None = None) -> None:
        self._about = about
        self.lines, self.warnings, self.verdicts, self.timings = [], [], [], {}
        self._clock = clock or time.perf_counter
        self._results = None  # title of the results of the last line
        # so that times of logs from different processes agree
        self._epoch = 0.0 if clock else time.time() - time.perf_counter()
        self._start = self._clock()
        # a separate logger, unknown to the rest of the process and its handlers
        self._logger = logging.Logger("occupy_jit.run", logging.DEBUG)
        self._logger.addHandler(_Collector(self.lines))
        if listener is not None:
            self._logger.addHandler(listener)

    # what is kept, what is printed ---------------------------------------------------------------------------------

    def _tell(self, level, logged, printed=None, aside=False, stamped=True, **more):
        self._results = None
        now = self._clock() + self._epoch if stamped else None
        self._logger.log(level, "%s", logged if printed is None else printed,
                         extra={"logged": logged, "printed": printed, "aside": aside, "at": now, **more})

    def _warn(self, logged, sentence, code=None):
        """A warning, which names the map when printed."""
        about = self._about
        if about is not None and sentence.startswith(f"{about}: "):
            sentence = sentence.removeprefix(f"{about}: ")
        printed = f"{PROGRAM}: warning: {'' if about is None else f'{about}: '}{sentence}"
        self._tell(WARNING, logged, printed, aside=True, about=about, sentence=sentence, code=code)

    def _rows(self, rows, level):
        for row in rows:
            self._tell(level, f"{_INDENT}  {row}", f"  {row}", stamped=False)

    def say(self, text: str) -> None:
        """A line for every user."""
        text = _one_line(text)
        self._tell(NORMAL, text, text)

    def detail(self, text: str) -> None:
        """A line for those who ask for more."""
        text = _one_line(text)
        self._tell(VERBOSE, text, text)

    def step(self, text: str = "") -> None:
        """The current step, for users who wait at a terminal; not in the log. Without a text: no step."""
        self._logger.log(NORMAL, "%s", text, extra={"logged": None, "printed": None, "aside": True, "at": None,
                                                    "step": _one_line(text)})

    def warning(self, text: str) -> None:
        """A warning for every user, printed only once."""
        text = _one_line(text)
        if text in self.warnings:
            return
        self.warnings.append(text)
        self._warn(f"warning: {text}", text)

    def error(self, text: str, kind: str = "error", trace: Any = None) -> None:
        """The error of a map, which may have several lines. `trace` is printed with --verbose."""
        if trace is not None:
            self._tell(VERBOSE, None, trace, aside=True)
        for line in text.splitlines():
            self._tell(ERROR, f"{kind}: {_one_line(line)}")
        hint = "" if trace is None else " (run again with --verbose for the traceback)"
        self._tell(ERROR, None, f"{PROGRAM}: {kind}: {text}{hint}", aside=True)

    def section(self, title: str, level: int = VERBOSE) -> None:
        """A heading."""
        title = _one_line(title)
        self._tell(level, "", stamped=False)
        self._tell(level, title.upper(), f"\n{title}")

    # sections --------------------------------------------------------------------------------------------------------

    def header(self, argv: Sequence[str], inputs: Sequence[str] | None = ()) -> None:
        """Version, command line, date, machine and versions, at the start of the log.

        Parameters
        ----------
        argv : sequence of str
            The command line, program first.
        inputs : sequence of str, optional
            Names of inputs, for the first printed line.
        """
        self.say(f"{PROGRAM} {__version__}" + (": " + ", ".join(map(shown, inputs)) if inputs else ""))
        now = _local_time()
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

    def settings(self, rows: Sequence[tuple[Any, ...]], title: str = "settings") -> None:
        """Every setting with its origin.

        Parameters
        ----------
        rows : sequence of (name, value, source)
            `source` begins with one of `SOURCES`, and may continue: "derived from the low-pass".
        title : str
        """
        rows = [tuple(row) for row in rows]
        for name, _, source in rows:
            if not source.startswith(SOURCES):
                raise ValueError(f"{name}: source {source!r} is none of {', '.join(SOURCES)}")
        self.section(title)
        self._rows(_columns((_one_line(name), value_text(value), _one_line(source)) for name, value, source in rows),
                   VERBOSE)

    def results(self, rows: list[tuple[str, str]], title: str = "results") -> None:
        """Results: rows of (name, value) or (name, value, unit)."""
        rows = list(rows)
        if not rows:
            return
        if self._results != title:  # consecutive rows with the same title share one heading
            self.section(title)
        self._rows(_columns((_one_line(name), " ".join([value_text(value), *map(_one_line, unit)]))
                            for name, value, *unit in rows), NORMAL)
        self._results = title

    def table(self, title: str, rows: list[tuple[str, ...]], level: int = NORMAL) -> None:
        """Rows of equal length, the first one the heading; numbers as in `value_text`."""
        self.section(title, level)
        self._rows(_columns([value_text(cell) for cell in row] for row in rows), level)

    def verdict(self, code: str, sentence: str) -> None:
        """A verdict on the map, as a warning: a short code for programs and a sentence for people."""
        self.verdicts.append((code, sentence))
        sentence = _one_line(sentence)
        self._warn(f"verdict {code}: {sentence}", sentence, code)

    def files(self, files: list[tuple[str, str]]) -> None:
        """The output files, (path, description) each, for the log, which is complete before them."""
        for path, what in files:
            self._tell(NORMAL, f"wrote {shown(path)}  {_one_line(what)}")

    def wrote(self, files: list[tuple[str, str]]) -> None:
        """The same for the user, after the files are complete."""
        for path, what in files:
            self._tell(NORMAL, None, f"wrote {shown(path)}  {_one_line(what)}")

    def conclusion(self, sentence: str) -> None:
        """The main sentence of a run, for the log; `closing` is for the terminal."""
        if sentence:
            self._tell(NORMAL, _one_line(sentence))

    def closing(self, sentence: str, look: Sequence[str]) -> None:
        """The last lines for the user, not in the log: the main result, and the files to open.

        Parameters
        ----------
        sentence : str
        look : sequence of str
            As from `occupy_jit.runs.closing.to_open`.
        """
        for line in (_one_line(sentence), *(["To look at the result:"] if look else []), *look):
            self._tell(NORMAL, None, line)

    def absorb(self, other: Any) -> None:
        """Add the lines of another run, from its log or its outcome."""
        self.lines.extend(other.lines)
        self.verdicts.extend(other.verdicts)
        self.warnings.extend(text for text in other.warnings if text not in self.warnings)
        for name, seconds in other.timings.items():
            self.timings[name] = self.timings.get(name, 0.0) + seconds

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[Any]:
        """Measure the time of a block; times of one name add up, also after failures."""
        start = self._clock()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + self._clock() - start

    def show_timings(self, title: str = "timings") -> None:
        """The seconds measured by `timed`, and the total since the start."""
        rows = [*self.timings.items(), ("since the start", self._clock() - self._start)]
        self.section(title)
        width = max(len(f"{seconds:.2f}") for _, seconds in rows)
        self._rows(_columns((_one_line(name), f"{seconds:{width}.2f} s") for name, seconds in rows), VERBOSE)

    def text(self) -> str:
        """The whole log, ending in a newline, to be written as UTF-8."""
        start = self._start + self._epoch
        lines = (line.logged if line.at is None else f"{line.at - start:9.2f}  {line.logged}".rstrip()
                 for line in self.lines if line.logged is not None)
        return "\n".join(lines).lstrip("\n") + "\n"
