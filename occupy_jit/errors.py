"""Exceptions for users, each with an exit status.

Each has a message of one or two lines: the file or option, the problem, and what to do.
"""

import re
import shlex
import sys
from typing import Any


class OccupyError(Exception):
    """The run failed (disk full, out of memory): exit status 1."""

    exit_status = 1


class UsageError(OccupyError):
    """The command line or the settings are wrong: exit status 2."""

    exit_status = 2


class SettingError(UsageError):
    """A setting is out of range or contradicts another.

    Python programs see the name of the argument, the command line that of the option.

    Parameters
    ----------
    name : str
        Of the field of `Settings` or `Options`.
    value : object
        The given value.
    problem : str
        Required values; other fields in braces.
    """

    def __init__(self, name: str, value: object, problem: str) -> None:
        super().__init__(name, value, problem)
        self.name, self.value, self.problem = name, value, problem

    def _worded(self, spell, join):
        problem = re.sub(r"\{(\w+)\}", lambda field: spell(field[1]), self.problem)
        value = "" if self.value == "" else f"{join}{self.value}"
        return f"{spell(self.name)}{value}: {problem}"

    def __str__(self) -> str:
        return self._worded(str, "=")

    def as_option(self) -> UsageError:
        """UsageError : The same error, with names of options."""
        return UsageError(self._worded(lambda name: "--" + name.removesuffix("_angstrom").replace("_", "-"), " "))


class InputError(OccupyError):
    """An input cannot be used (missing, damaged, not a map, sizes that differ): exit status 3."""

    exit_status = 3


def missing_packages(what: str, *packages: str) -> UsageError:
    """The UsageError for an optional package that is not installed.

    The advice names the running interpreter, and the packages themselves: this package may not be in any index, and
    ``pip`` may be that of another interpreter.

    Parameters
    ----------
    what : str
        Feature that needs the package.
    *packages : str
        Names in the package index.

    Returns
    -------
    UsageError
    """
    python = shlex.quote(sys.executable or "python3")
    return UsageError(f"{what} needs {' and '.join(packages)}, which cannot be imported; install with: "
                      f" {python} -m pip install {' '.join(packages)}")


def explain(error: Any) -> tuple[int, str, str]:
    """Exit status, kind of error, and message for an exception.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    status : int
    kind : {"error", "internal error"}
        The second is a bug of the program.
    message : str
    """
    if isinstance(error, OccupyError):
        return error.exit_status, "error", str(error)
    if isinstance(error, MemoryError):
        detail = f" ({error})" if str(error) else ""
        return 1, "error", f"not enough memory{detail}; --dry-run says how much a run needs"
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename is not None else ""
        return 1, "error", f"{name}{error.strerror or error}"
    return 1, "internal error", " ".join(f"{type(error).__name__}: {error}".split())
