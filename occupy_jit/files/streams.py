"""Input files: the only way to open them; plain, gzip and bzip2 as one kind of stream, in bounded memory.

Nothing here waits for ever: a pipe is refused, or read once with a time limit.
"""

import errno
import io
import os
import select
import stat
import zlib
from collections.abc import Callable
from typing import IO, Any

from occupy_jit.errors import InputError, OccupyError
from occupy_jit.files.names.paths import shown

_DISK_PIECE = 1 << 17  # bytes of the file read at a time
_PIECE = 1 << 20  # bytes inflated at a time, copied from a buffer of this size

# Tolerated padding after the announced data in a compressed file, smaller than another volume.
EXCESS_TOLERATED = 1 << 16

# Text is usually compressed to a quarter, and to a fortieth at best; files with a larger ratio are refused.
_LARGEST_RATIO, _ALWAYS_READ = 200, 1 << 26
TEXT_PIECE = 1 << 20
"""Bytes of text that are checked before the rest is read."""

PIPE_SECONDS = 60.0
"""Time limit for a pipe without data."""

# Largest possible compression ratios, to refuse impossible files at once. Deflate: 258 bytes from two bits. bzip2:
# a block of 900 kB of run-length codes (5 bytes stand for at most 259) takes some 40 bytes; 32 is on the safe side.
_FORMATS = {"gzip": (b"\x1f\x8b", 1032), "bzip2": (b"BZh", 900_000 // 5 * 259 // 32 + 1)}


def _inflating(file, compression):
    """A file object of the standard library that inflates `file`."""
    if compression == "gzip":
        import gzip

        return gzip.GzipFile(fileobj=file, mode="rb")
    import bz2

    return bz2.BZ2File(file)


class Stream:
    """The content of a file, inflated if compressed, read strictly forwards into memory of the caller.

    Parameters
    ----------
    path : str
    what : str
        Expected kind of file, for messages.
    unpack : bool
        Whether to inflate compressed files.
    pipe : bool
        Whether it may be a pipe.

    Attributes
    ----------
    path : str
    compression : {None, "gzip", "bzip2"}
    size : int
        Bytes of the file on disk.
    content_limit : int
        Upper limit of the length of the content.
    consumed : int
        Bytes of content read so far.
    trailing_garbage : bool
        Whether other bytes followed the gzip data (not reported for bzip2).
    """

    def __init__(self, path: str, what: str = "map", unpack: bool = True, pipe: bool = False) -> None:
        self.path = path
        self.consumed = 0
        self.trailing_garbage = False
        self._what = what
        self._file = self._content = open_input(path, what, pipe)
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            start = self._file.peek(4) if unpack else b""  # pyright: ignore[reportAttributeAccessIssue]
        except OSError as error:
            self._file.close()
            raise _read_error(path, error, what) from error
        self.compression = next((name for name, (magic, _) in _FORMATS.items() if start.startswith(magic)), None)
        self.content_limit = self.size
        if self.compression:
            self.content_limit = self.size * _FORMATS[self.compression][1]
            self._content = _inflating(self._file, self.compression)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exc: Any) -> None:
        self._content.close()
        self._file.close()

    def fileno(self) -> int:
        """int : Descriptor of the file on disk."""
        return self._file.fileno()

    def fill(self, view: Any) -> int:
        """Fill a writable bytes-like object; returns fewer bytes only at the end of the content."""
        view = memoryview(view).cast("B")
        done = 0
        while done < len(view):
            count = self._some(view[done:done + _PIECE] if self.compression else view[done:])
            if not count:
                break
            done += count
        self.consumed += done
        return done

    def finish(self) -> int:
        """Read to the end, checking compressed data, and return the number of remaining bytes of content.

        Raises
        ------
        InputError
            The compressed data are damaged or cut short, or continue for more than `EXCESS_TOLERATED` bytes.
        """
        if self.compression is None:
            return max(0, self.size - self.consumed)
        excess = 0
        scratch = memoryview(bytearray(EXCESS_TOLERATED))
        while count := self._some(scratch, at_end=True):
            excess += count
            if excess > EXCESS_TOLERATED:
                raise InputError(f"{shown(self.path)}: the {self.compression} data expand to more than the header "
                                 "announces: the file is damaged, or not a single map; check its origin")
        return excess

    def read(self, count: int) -> bytes:
        """So many bytes, fewer only at the end; raises `InputError` for truncated compressed data."""
        buffer = memoryview(bytearray(count))
        done = 0
        while done < count and (more := self._some(buffer[done:], at_end=True)):
            done += more
        self.consumed += done
        return buffer[:done].tobytes()

    def _some(self, view, at_end=False):
        """Put some bytes of content into `view` and return their number; 0 at the end."""
        name = shown(self.path)
        try:
            if self.compression is None:
                return self._file.readinto(view)  # pyright: ignore[reportAttributeAccessIssue]
            piece = self._content.read1(len(view))  # pyright: ignore[reportAttributeAccessIssue]
            view[:len(piece)] = piece
            return len(piece)
        except EOFError as error:
            if not at_end:
                return 0  # the caller reports what is missing
            raise InputError(f"{name}: the {self.compression} data are cut short before their checksum; copy or "
                             "download it again") from error
        except (zlib.error, OSError, ValueError) as error:
            if getattr(error, "errno", None) is not None:
                raise _read_error(self.path, error, self._what) from error
            if self.compression == "gzip" and str(error).startswith("Not a gzipped file"):
                self.trailing_garbage = True  # in place of another member
                return 0
            reason = str(error).rpartition("decompressing data: ")[2]  # zlib puts its own number before
            raise InputError(f"{name}: the {self.compression} data are damaged ({reason}); copy or download it again"
                             ) from error


def read_text(path: str, what: str, largest: int, unpack: bool = False, pipe: bool = False,
              look: Callable[..., Any] | None = None) -> bytes:
    """The whole content of a text input file.

    Parameters
    ----------
    path : str
    what : str
        Expected kind of file, for messages.
    largest : int
        Bytes of content; a larger file is refused. Compressed files may expand to 64 MB, or to 200 times
        their size.
    unpack : bool
        Whether it may be compressed.
    pipe : bool
        Whether it may be a pipe, which is read once.
    look : callable, optional
        ``look(start)`` raises InputError if the first `TEXT_PIECE` of the content (or all of a shorter one) is not the
        start of such a file; the rest is then not read.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        It cannot be read, is damaged or too large, or contains zero bytes.
    """
    name = shown(path)
    with Stream(path, what, unpack, pipe) as stream:
        if stream.compression:
            largest = min(largest, max(_ALWAYS_READ, _LARGEST_RATIO * stream.size))
        content = io.BytesIO()
        while piece := stream.read(TEXT_PIECE):
            if look is not None and not content.tell():
                look(piece)
            if b"\0" in piece:
                raise InputError(f"{name}: is not {_a(what)}: it contains binary data; check the name")
            if content.tell() + len(piece) > largest:
                how = f"expands to more than {largest >> 20} MB" if stream.compression else \
                    f"is larger than {largest >> 20} MB"
                raise InputError(f"{name}: {how}, too large for {_a(what)}; check the file")
            content.write(piece)
    return content.getvalue()


def _a(what):
    """A noun with its article."""
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def _read_error(path, error, what="map"):
    name = shown(path)
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: no such file; check the name")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{name}: is a directory, not a {what}; name the {what} in it")
    if isinstance(error, PermissionError):
        return InputError(f"{name}: cannot be read: no permission; ask its owner, or chmod +r")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return OccupyError(f"{name}: cannot be opened: too many open files; raise the limit (ulimit -n)")
    if error.errno == errno.ELOOP:
        return InputError(f"{name}: a symbolic link that points to itself; check the name")
    if error.errno == errno.ENXIO:
        return _no_file(path, what)
    return InputError(f"{name}: cannot be read: {error.strerror or error}; check the file and its disk")


def _no_file(path, what):
    return InputError(f"{shown(path)}: is a pipe or a device, not a file; write the {what} to a file first")


def open_input(path: str, what: str = "map", pipe: bool = False) -> IO[bytes]:
    """Open an input file without blocking.

    Parameters
    ----------
    path : str
    what : str
        Expected kind of file, for messages.
    pipe : bool
        Whether it may be a pipe, which can be read once, forwards, and must not be without data for longer than
        `PIPE_SECONDS`.

    Returns
    -------
    io.BufferedReader

    Raises
    ------
    InputError
        There is no such file, or it is a directory, a device or (unless it may be one) a pipe.
    """
    try:
        if os.path.islink(path) and not os.path.exists(path):
            raise InputError(f"{shown(path)}: a symbolic link to a file that does not exist; check where it points")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
                             | getattr(os, "O_NOCTTY", 0))
    except OSError as error:
        raise _read_error(path, error, what) from error
    except ValueError as error:  # a null character in the name
        raise InputError(f"{shown(path)}: not a possible file name; check it") from error
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise _read_error(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)), what)
        if pipe and stat.S_ISFIFO(kind):
            return io.BufferedReader(_Pipe(descriptor, path), _DISK_PIECE)
        if not stat.S_ISREG(kind):
            raise _no_file(path, what)
        return open(descriptor, "rb", buffering=_DISK_PIECE)
    except BaseException:
        os.close(descriptor)
        raise


class _Pipe(io.RawIOBase):
    """A pipe with a time limit for data."""

    def __init__(self, descriptor: Any, path: str) -> None:
        self._descriptor, self._path = descriptor, path

    def readable(self) -> bool:
        return True

    def fileno(self) -> Any:
        return self._descriptor

    def readinto(self, buffer: Any) -> Any:
        wait = select.poll()
        wait.register(self._descriptor, select.POLLIN)
        if not wait.poll(1000 * PIPE_SECONDS):
            raise InputError(f"{shown(self._path)}: is a pipe that received no data for {PIPE_SECONDS:.0f} "
                             "seconds; write to it, or give a file")
        return os.readv(self._descriptor, [buffer])

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
