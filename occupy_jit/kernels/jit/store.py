"""Files of compiled kernels between runs: one per kernel, in a directory named by all dependencies.

The directory is ``$OCCUPY_CACHE_DIR``, else ``$XDG_CACHE_HOME/occupy_jit``, else ``~/.cache/occupy_jit``. Entries are
pickles, so only directories and files that belong to the user or root and are not writable by others are read;
relative paths are ignored, so nothing is loaded from the current directory.
"""

import contextlib
import functools
import hashlib
import logging
import os
import re
import stat
import sys
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy
from numba.core import config

from occupy_jit import __version__

try:
    import fcntl
except ImportError:
    # Not a POSIX system: all processes that start together with an empty cache compile.
    fcntl = None

SUFFIX = ".nbc"
MAGIC = b"occupy_jit kernel 1\n"
_LOCK_NAME = "lock"


@functools.cache
def say(line: Any) -> None:
    """Log `line`, once per process."""
    logging.getLogger("occupy_jit").info(line)


def digest_of_kernels() -> str | None:
    """Digest of every source file below the folder of the kernels, hexadecimal; None if they cannot be read.

    All files count, in every folder: a kernel is compiled together with those it calls, wherever they are.
    """

    def fail(error):
        raise error

    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    digest = hashlib.sha256()
    try:
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(top, onerror=fail) for name in names]
        for path in sorted(path for path in paths if path.endswith(".py")):
            with open(path, "rb") as file:
                content = file.read()
            digest.update(f"{os.path.relpath(path, top)} {len(content)}\n".encode() + content)
    except OSError:
        return None
    return digest.hexdigest()


# Taken when the kernels are imported, so that the name belongs to the code that is running even
# if the files are replaced by an upgrade while it runs.
digest_at_import = digest_of_kernels()


def _directory_name():
    """Name from all dependencies of the machine code except the signature."""
    cpu = getattr(config, "CPU_NAME", None) or llvm.get_host_cpu_name()
    rest = hashlib.sha256(f"{digest_at_import} {llvmlite.__version__} {numpy.__version__}".encode()).hexdigest()[:16]
    python = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
    name = f"{__version__}-{python}-numba{numba.__version__}-{cpu}-{rest}"
    return re.sub(r"[^\w.+-]", "_", name)


def _ours(status):
    """Whether the file or directory of `status` belongs to this user or root and is not writable by others."""
    return not hasattr(os, "geteuid") or (status.st_uid in (os.geteuid(), 0) and not status.st_mode & stat.S_IWOTH)


def _may_make(path):
    """False for root in the home of a user (sudo): a directory of root's there would lock its owner out for good."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return not hasattr(os, "geteuid") or os.geteuid() != 0 or os.stat(path).st_uid == 0


@functools.cache
def places() -> tuple[str, str]:
    """Directories to read compiled kernels from and to write them to; None for either.

    They differ if a trusted directory with kernels is not writable for this user.
    """
    if digest_at_import is None:
        say("compiled kernels are not kept: the source files of the kernels cannot be read")
        return None, None
    base = os.environ.get("OCCUPY_CACHE_DIR")
    explicit = bool(base)
    if not explicit:
        base = os.environ.get("XDG_CACHE_HOME", "")
        base = os.path.join(base if os.path.isabs(base) else os.path.join("~", ".cache"), "occupy_jit")
    base = os.path.expanduser(base)
    if not os.path.isabs(base):
        say(f"compiled kernels are not kept: {base!r} is not an absolute path; set OCCUPY_CACHE_DIR to one")
        return None, None
    path = os.path.join(base, _directory_name())
    with contextlib.suppress(OSError):
        # An explicit directory may be shared on purpose: filled by root for all users of a machine or container.
        if explicit or _may_make(path):
            os.makedirs(path, 0o755 if explicit else 0o700, exist_ok=True)
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and _ours(os.stat(path)):
            if os.access(path, os.W_OK | os.X_OK):
                return path, path
            say(f"compiled kernels cannot be kept in {base}: not writable")
            return path, None
    say(f"compiled kernels cannot be kept in {base}: not writable, or open to others; set OCCUPY_CACHE_DIR to another "
        "directory")
    return None, None


def is_cold() -> bool:
    """Whether no compiled kernel exists yet, so that the next step has to compile."""
    try:
        return not any(name.endswith(SUFFIX) for name in os.listdir(places()[0] or ""))
    except OSError:
        return True


def read(path: str) -> bytes | None:
    """Content of the entry `path`; None if there is none. A damaged one is removed."""
    try:
        with open(path, "rb") as file:
            if not _ours(os.fstat(file.fileno())):
                say(f"{path} ignored: it belongs to somebody else")
                return None
            content = file.read()
        head = len(MAGIC) + 32
        # The checksum comes before unpickling: a half-written pickle can do anything.
        if content[:len(MAGIC)] == MAGIC and hashlib.sha256(content[head:]).digest() == content[len(MAGIC):head]:
            return content[head:]
    except FileNotFoundError:
        return None
    except OSError:
        pass
    discard(path)
    return None


def discard(path: str) -> None:
    """Remove a damaged entry; if that fails it is ignored."""
    say(f"damaged entry of the kernel cache removed, compiling again: {path}")
    with contextlib.suppress(OSError):
        os.unlink(path)


def write(path: str, payload: bytes) -> None:
    """Write `payload` to `path` atomically: readers see all of it or the previous content."""
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)  # somebody may have emptied the cache meanwhile
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o644),
                  "wb") as file:
            file.write(MAGIC + hashlib.sha256(payload).digest())
            file.write(payload)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@functools.cache
def _lock_file(directory):
    """Descriptor of the lock file in `directory`, or None. Never closed: closing would drop the locks."""
    try:
        return os.open(os.path.join(directory, _LOCK_NAME), os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    except OSError:
        return None


def lock(path: str, release: bool = False) -> bool | None:
    """Try to take the lock of the entry `path`, or release it.

    Where 16 processes start together, two at a time, each with three small kernels to compile, they
    take a third of the time that they take when all compile. Each entry is one byte of one file: POSIX locks end
    with the process however it ends, are not inherited by a forked child, and work on NFS.

    Returns
    -------
    bool or None
        Whether this process has it now; None where locks do not work.
    """
    directory, name = os.path.split(path)
    descriptor = None if fcntl is None else _lock_file(directory)
    if descriptor is None:
        return None
    offset = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_UN if release else fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True
