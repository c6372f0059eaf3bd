"""Files that appear complete or not at all.

Every output is written under a temporary name beside its final one and renamed when it is complete, so that no reader
ever sees half a file. The outputs of one run are renamed together, after all of them are complete: a run that fails
leaves none. Standard library only, so that the command line can install its signal handlers before anything else.

A target that is a symbolic link is replaced by the new file; what the link points to is not touched. Nothing is ever
written through a link, hence never outside the directory that was asked for. Permissions are those of any new file
(0666 less the umask).
"""

import atexit
import contextlib
import errno
import os
import signal
import stat
import threading

from occupy_jit.errors import OccupyError

# Longest file name that the usual file systems accept, in bytes.
_NAME_MAX = 255

_WHAT_TO_DO = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another directory"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another directory"),
    errno.EFBIG: ("the file would exceed the limit on file sizes", "raise the limit (ulimit -f) or choose another "
                  "directory"),
    errno.EROFS: ("the file system is read-only", "choose another directory"),
    errno.EACCES: ("no permission to write there", "choose another directory"),
    errno.EPERM: ("no permission to write there", "choose another directory"),
    errno.ENOENT: ("the directory does not exist (any more)", "create it or choose another"),
    errno.ENOTDIR: ("the directory does not exist", "create it or choose another"),
    errno.ESTALE: ("the directory does not exist any more", "create it or choose another"),
    errno.EIO: ("input/output error", "the disk or file server has a fault: check it, or choose another directory"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EISDIR: ("is a directory", "choose another name"),
    errno.EMFILE: ("too many open files", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("too many open files on this machine", "try again later"),
}


def shown(path):
    """A file name as it can stand in a message of one line: names with odd characters are quoted and escaped."""
    text = os.fsdecode(path)
    return text if text.isprintable() and text else repr(text)


def write_error(path, error):
    """The `OccupyError` that tells a user what an `OSError` on writing `path` means and what to do."""
    reason, advice = _WHAT_TO_DO.get(error.errno, (error.strerror or str(error), "check the directory"))
    return OccupyError(f"{shown(path)}: cannot be written: {reason}; {advice}")


def same_file(a, b):
    """True if two names lead to one file, through links of any kind, whether or not the file exists yet."""
    with contextlib.suppress(OSError, ValueError):
        return os.path.samefile(a, b)
    try:
        return os.path.realpath(a) == os.path.realpath(b)
    except (OSError, ValueError):
        return False


def file_identity(path):
    """Equal for two names that lead to one file, through links of any kind, whether or not the file exists yet."""
    try:
        status = os.stat(path)
        return status.st_dev, status.st_ino
    except (OSError, ValueError):
        return os.path.realpath(path)


# Temporaries and signals ---------------------------------------------------------------------------------------------

# Temporary name -> process that made it. A forked child inherits the entries and must not remove its parent's files.
_live = {}
_live_lock = threading.Lock()


def _register(temporary):
    with _live_lock:
        if not _live:
            atexit.unregister(remove_temporaries)
            atexit.register(remove_temporaries)
        _live[temporary] = os.getpid()


def _remove(temporary):
    with contextlib.suppress(OSError):
        os.unlink(temporary)
    _live.pop(temporary, None)


def remove_temporaries():
    """Remove every temporary file of this process; what was renamed already stays. Safe at any moment."""
    for temporary, owner in list(_live.items()):
        if owner == os.getpid():
            _remove(temporary)


class Interrupted(SystemExit):
    """A signal asked the program to stop while it gave files their names: exit status 128 + its number.

    It passes every ``except Exception``, unwinds the ``with`` blocks that remove temporaries, and ends the
    interpreter with the right status and without a traceback even where nobody catches it.
    """

    def __init__(self, signum):
        super().__init__(128 + signum)
        self.signum = signum
        self.exit_status = 128 + signum


_interrupted = None  # number of the signal that came, if any
_committing = 0  # renames under way: a signal waits for them
_last_words = ""


def _on_signal(signum, frame):
    """Remove what is incomplete and end the process, on the spot.

    An exception instead would be raised between any two instructions of whatever runs: inside the import machinery
    it can leave a lock that another thread waits for, for ever; in a callback it is swallowed.
    """
    global _interrupted
    if _committing:
        _interrupted = signum
        return
    remove_temporaries()
    with contextlib.suppress(OSError):
        os.write(2, _last_words.encode())
    os._exit(128 + signum)


def install_signal_handlers(last_words=""):
    """Let SIGTERM, SIGINT and SIGHUP remove this process's temporaries and end it with status 128 + number.

    Renames that have begun are finished first. SIGHUP stays ignored where it is (nohup). To be called in the main
    thread, early; elsewhere it does nothing.

    Parameters
    ----------
    last_words : str
        Written to standard error at the end.

    Returns
    -------
    bool
        True if the handlers are in place.
    """
    global _interrupted, _last_words
    if threading.current_thread() is not threading.main_thread():
        return False
    _interrupted, _last_words = None, last_words
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        signum = getattr(signal, name, None)
        if signum is None or (name == "SIGHUP" and signal.getsignal(signum) == signal.SIG_IGN):
            continue
        signal.signal(signum, _on_signal)
    return True


def check_interrupted():
    """Raise `Interrupted` if a signal came while renames were under way."""
    if _interrupted is not None:
        raise Interrupted(_interrupted)


@contextlib.contextmanager
def _signals_wait():
    """Signals that come inside are raised at the end: between two renames of one run there is no good moment."""
    global _committing
    _committing += 1
    try:
        yield
    finally:
        _committing -= 1
        if not _committing:
            check_interrupted()


# Outputs -------------------------------------------------------------------------------------------------------------


def _temporary_name(path):
    """Hidden unique name in the directory of `path`, cut to what file systems accept."""
    directory, name = os.path.split(path)
    tail = f".{os.getpid()}-{os.urandom(6).hex()}.tmp"
    while len(os.fsencode(name)) + len(tail) + 1 > _NAME_MAX:
        name = name[:-1]
    return os.path.join(directory, f".{name}{tail}")


def _check_target(path):
    """Refuse to replace what is not an ordinary file (a directory, a device: root could replace /dev/null)."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(kind):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
        raise OccupyError(f"{shown(path)}: cannot be written: it is a device, not a file; choose another name")


class Outputs:
    """The files of one run, which appear together when all are complete, or not at all.

    Leaving the ``with`` block without an exception renames them, in the order they were opened; any exception
    (signals included) removes what was written. Existing files of these names are replaced in the same instant.

    Examples
    --------
    >>> with Outputs() as outputs:                               # doctest: +SKIP
    ...     with outputs.open("scale_map.mrc") as file:
    ...         file.write(data)
    ...     with outputs.open("occupy_map.json", "w") as file:
    ...         file.write(record)
    """

    def __init__(self):
        self._complete = []  # (temporary, final), in the order of opening

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.commit()
        else:
            self.discard()
        return False

    @property
    def paths(self):
        """list of str : Final names of the files that are complete and wait for `commit`."""
        return [final for _, final in self._complete]

    @contextlib.contextmanager
    def open(self, path, mode="wb", encoding=None):
        """A file object whose content becomes `path` at `commit`.

        Parameters
        ----------
        path : str or path-like
            Final name.
        mode : {"wb", "w"}
            Binary or text (UTF-8 unless `encoding` says otherwise, line ends as written).

        Raises
        ------
        OccupyError
            Nothing could be written there: full disk, quota, file size limit, read-only or missing directory.
        """
        path = os.path.abspath(os.fsdecode(path))
        temporary = _temporary_name(path)
        binary = "b" in mode
        try:
            _check_target(path)
            _register(temporary)
            # Readable too, so that a checksum can be taken of what is really there.
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
            # Full disks and quotas may show only when the file is closed, hence inside the try block.
            with os.fdopen(descriptor, mode, encoding=None if binary else encoding or "utf-8",
                           newline=None if binary else "") as file:
                yield file
            self._complete.append((temporary, path))
        except OSError as error:
            _remove(temporary)
            if error.errno is None:
                raise
            other = error.filename is not None and os.fsdecode(error.filename) not in (temporary, path)
            raise write_error(error.filename if other else path, error) from error
        except BaseException:
            _remove(temporary)
            raise

    def commit(self):
        """Give all complete files their final names; if one rename fails, those of this call are taken back."""
        renamed = []
        try:
            with _signals_wait():
                check_interrupted()
                while self._complete:
                    temporary, final = self._complete[0]
                    _check_target(final)
                    os.replace(temporary, final)
                    _live.pop(temporary, None)
                    renamed.append(final)
                    del self._complete[0]
        except Interrupted:
            raise
        except (OSError, OccupyError) as error:
            for done in renamed:
                with contextlib.suppress(OSError):
                    os.unlink(done)
            raise (write_error(final, error) if isinstance(error, OSError) else error) from error
        finally:
            self.discard()

    def discard(self):
        """Remove everything that was not committed."""
        for temporary, _ in self._complete:
            _remove(temporary)
        self._complete = []


@contextlib.contextmanager
def replaced(path, mode="wb", encoding=None):
    """A file object that replaces `path` when the block ends without an exception; see `Outputs.open`."""
    with Outputs() as outputs:
        with outputs.open(path, mode, encoding) as file:
            yield file
