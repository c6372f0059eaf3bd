"""Files that are not complete yet: hidden ones beside their final name, which the process removes however it ends.

Only a process that is killed (SIGKILL, a node that goes down) leaves them. Their names say which process of which
machine made them, so that the next run with the same outputs can tell what is left over from what another process
is writing at this moment. Standard library only, so that the command line can install its signal handlers before
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
# Behind the final name: machine, process, and what makes it unique.
_TAIL = re.compile(r"\.([0-9a-f]{8})-([0-9]+)-[0-9a-f]{12}\.tmp")

# Temporary name -> process that made it. A forked child inherits the entries and must not remove its parent's files.
_live = {}
_live_lock = threading.Lock()


def register(temporary: str) -> None:
    """Have a file, which need not exist yet, removed when the process ends."""
    with _live_lock:
        if not _live:
            atexit.unregister(remove_temporaries)
            atexit.register(remove_temporaries)
        _live[temporary] = os.getpid()


def forget(temporary: str) -> None:
    """A temporary file has got another name: it is not to be removed any more."""
    _live.pop(temporary, None)


def remove(temporary: str) -> None:
    """Remove one temporary file, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(temporary)
    forget(temporary)


def remove_temporaries() -> None:
    """Remove every temporary file of this process; what was renamed already stays. Safe at any moment."""
    for temporary, owner in list(_live.items()):
        if owner == os.getpid():
            remove(temporary)


def temporary_name(path: str) -> str:
    """Hidden unique name in the directory of `path`, cut to what file systems accept."""
    directory, name = os.path.split(path)
    tail = f".{_machine()}-{os.getpid()}-{os.urandom(6).hex()}.tmp"
    return os.path.join(directory, f".{_cut(name, len(tail) + 1)}{tail}")


def _cut(name, others):
    """As much of a file name as leaves room for so many other bytes."""
    while len(os.fsencode(name)) + others > _NAME_MAX:
        name = name[:-1]
    return name


@functools.cache
def _machine():
    """Eight digits that differ wherever a process number means another process: machine, or container.

    Machines that share a file system have different names and identities; two containers of one machine have process
    numbers of their own.
    """
    parts = [os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")]
    with contextlib.suppress(OSError), open("/etc/machine-id") as file:
        parts.append(file.read())
    with contextlib.suppress(OSError):
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()[:8]


def _is_dead(process):
    """Whether there is certainly no process with this number."""
    if os.name != "posix":  # where asking is killing
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def left_over(directory: str) -> list[tuple[Any, ...]]:
    """Temporary files in `directory` that processes of this machine, which are no more, have left.

    Returns
    -------
    list of (str, str)
        The beginning of the final name (cut where that was too long), and the name of the temporary.
    """
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            tail = name.endswith(".tmp") and name.startswith(".") and _TAIL.search(name)
            if tail and tail.end() == len(name) and tail[1] == _machine() and _is_dead(int(tail[2])):
                found.append((name[1:tail.start()], name))
    return found


def remove_left_over(path: str, found: list[Any]) -> None:
    """Remove those of `found`, from `left_over`, that were to become `path`."""
    directory, final = os.path.split(path)
    for name, temporary in found:
        if name == _cut(final, len(os.fsencode(temporary)) - len(os.fsencode(name))):
            remove(os.path.join(directory, temporary))
