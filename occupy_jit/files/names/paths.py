"""File names: display, and identity of files. Standard library only."""

import contextlib
import os


def shown(path: str | bytes | os.PathLike[str]) -> str:
    """A file name for a message of one line: names with odd characters are quoted and escaped."""
    text = os.fsdecode(path)
    return text if text.isprintable() and text else repr(text)


def same_file(a: str, b: str) -> bool:
    """True if two names lead to one file, through links of any kind, whether or not the file exists yet."""
    with contextlib.suppress(OSError, ValueError):
        return os.path.samefile(a, b)
    try:
        return os.path.realpath(a) == os.path.realpath(b)
    except (OSError, ValueError):
        return False


def file_identity(path: str) -> str | tuple[int, int]:
    """Equal for two names that lead to one file, through links of any kind, whether or not the file exists yet."""
    try:
        status = os.stat(path)
        return status.st_dev, status.st_ino
    except (OSError, ValueError):
        return os.path.realpath(path)
