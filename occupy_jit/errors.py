"""Exceptions that people see, and the exit status each one stands for.

Every one carries a message of one or two lines: which file or option, what is wrong, what to do.
"""


class OccupyError(Exception):
    """Something failed while running (disk full, out of memory): exit status 1."""

    exit_status = 1


class UsageError(OccupyError):
    """The command line or the settings cannot be obeyed: exit status 2."""

    exit_status = 2


class InputError(OccupyError):
    """An input cannot be used (missing, damaged, not a map, sizes that differ): exit status 3."""

    exit_status = 3


class OccupyWarning(UserWarning):
    """The run goes on, but the user should know; one line, what to do."""
