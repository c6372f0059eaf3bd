"""Exceptions that people see, and the exit status each one stands for.

Every one carries a message of one or two lines: which file or option, what is wrong, what to do.
"""

import re
import shlex
import sys
from typing import Any


class OccupyError(Exception):
    """Something failed while running (disk full, out of memory): exit status 1."""

    exit_status = 1


class UsageError(OccupyError):
    """The command line or the settings cannot be obeyed: exit status 2."""

    exit_status = 2


class SettingError(UsageError):
    """A setting is out of range or contradicts another.

    Python programs read it with the name of the argument, the command line with the name of the option.

    Parameters
    ----------
    name : str
        Of the field of `Settings` or `Options`.
    value : object
        That it was given.
    problem : str
        What it must be; other fields in braces.
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
        """UsageError : The same, with names of options."""
        return UsageError(self._worded(lambda name: "--" + name.removesuffix("_angstrom").replace("_", "-"), " "))


class InputError(OccupyError):
    """An input cannot be used (missing, damaged, not a map, sizes that differ): exit status 3."""

    exit_status = 3


def missing_packages(what: str, *packages: str) -> UsageError:
    """The UsageError where an optional package is not installed.

    Advised is the interpreter that runs this, and the packages themselves: this package need not be in any index, and
    ``pip`` may be that of another interpreter.

    Parameters
    ----------
    what : str
        What needs it.
    *packages : str
        As the package index has them.

    Returns
    -------
    UsageError
    """
    python = shlex.quote(sys.executable or "python3")
    return UsageError(f"{what} needs {' and '.join(packages)}, which cannot be imported; install with: "
                      f" {python} -m pip install {' '.join(packages)}")


def explain(error: Any) -> tuple[int, str, str]:
    """What an exception means to the user: exit status, kind of error, and a message.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    status : int
    kind : {"error", "internal error"}
        The second is a defect of the program.
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
