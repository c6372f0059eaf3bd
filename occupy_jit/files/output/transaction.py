"""Files that appear complete or not at all.

Every output is written under a temporary name beside its final one and renamed when complete, so that no reader
ever sees an incomplete file. The outputs of one run are renamed together, after all are complete: a failed run
leaves none, and does not change the results of an earlier run.

A target that is a symbolic link is replaced by the new file; the target of the link is not touched. Nothing is ever
written through a link, and so never outside the requested directory. Permissions are those of any new file
(0666 less the umask).
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import IO, Any

from occupy_jit.errors import OccupyError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.signals import check_interrupted, signals_wait
from occupy_jit.files.output.temporaries import forget, left_over, register, remove, remove_left_over, temporary_name

_WHAT_TO_DO = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another directory"),
    errno.EDQUOT: ("the disk quota, of space or of files, is used up", "free some space or choose another directory"),
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


def write_error(path: str, error: Any) -> Any:
    """The `OccupyError` for an `OSError` on writing `path`, with its meaning and remedy."""
    reason, advice = _WHAT_TO_DO.get(error.errno, (error.strerror or str(error), "check the directory"))
    if error.errno == errno.ENOSPC and no_more_files(path):
        reason = "no more files fit on the disk: its inodes are used up"
        advice = "remove some files or choose another directory"
    return OccupyError(f"{shown(path)}: cannot be written: {reason}; {advice}")


def no_more_files(path: str) -> bool:
    """Whether the file system of a path has no inodes for another file."""
    try:
        status = os.statvfs(os.path.dirname(os.path.abspath(path)))
    except (OSError, AttributeError):
        return False
    return status.f_files > 0 and status.f_favail == 0


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


def _put_aside(path):
    """A second, hidden name for the file `path` as a backup; None if there is no such file."""
    aside = temporary_name(path)
    register(aside)
    try:
        os.link(path, aside, follow_symlinks=False)
    except FileNotFoundError:
        forget(aside)
        return None
    except (OSError, NotImplementedError):  # a file system without hard links: the first name is missing for a moment
        os.rename(path, aside)
    return aside


def _take_back(path, before):
    """Restore `path` from its backup `before`, or remove it."""
    if before is None:
        remove(path)
        return
    try:
        os.replace(before, path)
    except OSError:
        forget(before)  # still hidden, but not lost
    else:
        remove(before)  # renaming does not change two names of one file


class Outputs:
    """The files of one run, which appear together when complete, or not at all.

    Leaving the ``with`` block without an exception renames them, in the order they were opened; any exception
    (signals included) removes them. Existing files of these names are replaced at once.

    Examples
    --------
    >>> with Outputs() as outputs:                               # doctest: +SKIP
    ...     with outputs.open("scale_map.mrc") as file:
    ...         file.write(data)
    ...     with outputs.open("occupy_map.json", "w") as file:
    ...         file.write(record)
    """

    def __init__(self) -> None:
        self._complete = []  # (temporary, final), in the order of opening
        self._left_over = {}  # directory -> leftovers of killed processes

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if kind is None:
            self.commit()
        else:
            self.discard()
        return False

    @contextlib.contextmanager
    def open(self, path: str | os.PathLike[str], mode: str = "wb", encoding: str | None = None
            ) -> Iterator[IO[Any]]:
        """A file object for the content of `path`, which appears at `commit`.

        Parameters
        ----------
        path : str or path-like
            Final name.
        mode : {"wb", "w"}
            Binary or text (line ends as written).
        encoding : str, optional
            Of text; UTF-8 if None.

        Raises
        ------
        OccupyError
            It cannot be written: full disk, quota, file size limit, read-only or missing directory.
        """
        path = os.path.abspath(os.fsdecode(path))
        temporary = temporary_name(path)
        binary = "b" in mode
        try:
            _check_target(path)
            self._clear(path)
            register(temporary)
            # also readable, for a checksum of the written data
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
            # full disks and quotas may show only at closing, so this is inside the try block
            with os.fdopen(descriptor, mode, encoding=None if binary else encoding or "utf-8",
                           newline=None if binary else "") as file:
                yield file
            self._complete.append((temporary, path))
        except OSError as error:
            remove(temporary)
            if error.errno is None:
                raise
            other = error.filename is not None and os.fsdecode(error.filename) not in (temporary, path)
            raise write_error(error.filename if other else path, error) from error
        except BaseException:
            remove(temporary)
            raise

    def _clear(self, path):
        """Remove leftovers of a killed run for the same output."""
        directory = os.path.dirname(path)
        if directory not in self._left_over:
            self._left_over[directory] = left_over(directory)
        remove_left_over(path, self._left_over[directory])

    def commit(self) -> None:
        """Give all complete files their final names; if one rename fails, restore the earlier state."""
        done = []  # (final name, backup of the earlier file, or None)
        try:
            with signals_wait():
                check_interrupted()
                try:
                    for _, final in self._complete:
                        _check_target(final)
                    for temporary, final in self._complete:
                        before = _put_aside(final)
                        done.append((final, before))
                        os.replace(temporary, final)
                        forget(temporary)
                except BaseException as error:
                    for name, before in reversed(done):
                        _take_back(name, before)
                    if isinstance(error, OSError):
                        raise write_error(final, error) from error
                    raise
                self._complete = []
                for _, before in done:
                    if before is not None:
                        remove(before)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove uncommitted files."""
        for temporary, _ in self._complete:
            remove(temporary)
        self._complete = []


@contextlib.contextmanager
def replaced(path: str, mode: str = "wb", encoding: str | None = None) -> Iterator[IO[Any]]:
    """A file object that replaces `path` when the block ends without an exception; see `Outputs.open`."""
    with Outputs() as outputs:
        with outputs.open(path, mode, encoding) as file:
            yield file
