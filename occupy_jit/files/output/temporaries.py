"""Incomplete files: hidden files beside their final names, which the process removes at any kind of end.

Only a killed process (SIGKILL, a node failure) leaves them. Their names contain the process and the
machine, so that the next run with the same outputs can distinguish leftovers from files that another process
is writing. Standard library only, so that the command line can install its signal handlers before
anything else.
"""

import atexit
import contextlib
import functools
import hashlib
import os
import re
import threading
from typing import Any

# Longest file name that the usual file systems accept, in bytes.
_NAME_MAX = 255
# After the final name: machine, process, and a unique part.
_TAIL = re.compile(r"\.([0-9a-f]{8})-([0-9]+)-[0-9a-f]{12}\.tmp")

# Temporary name -> its process. A forked child inherits the entries and must not remove files of its parent.
_live = {}
_live_lock = threading.Lock()


def register(temporary: str) -> None:
    """Remove a file, which need not exist yet, when the process ends."""
    with _live_lock:
        if not _live:
            atexit.unregister(remove_temporaries)
            atexit.register(remove_temporaries)
        _live[temporary] = os.getpid()


def forget(temporary: str) -> None:
    """Keep a temporary file that has been renamed."""
    _live.pop(temporary, None)


def remove(temporary: str) -> None:
    """Remove one temporary file, if it exists."""
    with contextlib.suppress(OSError):
        os.unlink(temporary)
    forget(temporary)


def remove_temporaries() -> None:
    """Remove every temporary file of this process, except renamed ones. Safe at any moment."""
    for temporary, owner in list(_live.items()):
        if owner == os.getpid():
            remove(temporary)


def temporary_name(path: str) -> str:
    """Hidden unique name in the directory of `path`, cut to the limit of file systems."""
    directory, name = os.path.split(path)
    tail = f".{_machine()}-{os.getpid()}-{os.urandom(6).hex()}.tmp"
    return os.path.join(directory, f".{_cut(name, len(tail) + 1)}{tail}")


def _cut(name, others):
    """Beginning of a file name that leaves room for so many other bytes."""
    while len(os.fsencode(name)) + others > _NAME_MAX:
        name = name[:-1]
    return name


@functools.cache
def _machine():
    """Eight digits that identify the machine or container of process numbers.

    Machines that share a file system have different names and identities; containers of one machine have
    their own process numbers.
    """
    parts = [os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")]
    with contextlib.suppress(OSError), open("/etc/machine-id") as file:
        parts.append(file.read())
    with contextlib.suppress(OSError):
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()[:8]


def _is_dead(process):
    """Whether a process with this number certainly does not exist."""
    if os.name != "posix":  # there, the check would kill the process
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def left_over(directory: str) -> list[tuple[Any, ...]]:
    """Temporary files in `directory` left by ended processes of this machine.

    Returns
    -------
    list of (str, str)
        The beginning of the final name (cut if too long), and the name of the temporary.
    """
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            tail = name.endswith(".tmp") and name.startswith(".") and _TAIL.search(name)
            if tail and tail.end() == len(name) and tail[1] == _machine() and _is_dead(int(tail[2])):
                found.append((name[1:tail.start()], name))
    return found


def remove_left_over(path: str, found: list[Any]) -> None:
    """Remove files in `found`, from `left_over`, that were meant for `path`."""
    directory, final = os.path.split(path)
    for name, temporary in found:
        if name == _cut(final, len(os.fsencode(temporary)) - len(os.fsencode(name))):
            remove(os.path.join(directory, temporary))
