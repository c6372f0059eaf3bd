"""Plain, gzip and bzip2 files as one kind of stream, told apart by their bytes, in bounded memory."""

import errno
import os
import stat
import zlib

from occupy_jit.errors import InputError, OccupyError
from occupy_jit.files.names.paths import shown

_DISK_PIECE = 1 << 17  # bytes of the file read at a time
_PIECE = 1 << 20  # bytes inflated at a time: what is inflated is copied from a buffer of that size

# Beyond what the header promises, so much may follow inside a compressed file: padding, not another volume.
EXCESS_TOLERATED = 1 << 16

# What the formats can reach at best, to refuse at once what cannot be true. Deflate: 258 bytes from two bits. bzip2:
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
    """The content of a file, inflated where it is compressed, read strictly forwards into the caller's memory.

    Attributes
    ----------
    path : str
    compression : {None, "gzip", "bzip2"}
    size : int
        Bytes of the file as it lies on disk.
    content_limit : int
        The content cannot be longer than this, whatever a header says.
    consumed : int
        Bytes of content handed out so far.
    trailing_garbage : bool
        Bytes followed the end of the gzip data that are not part of it (bzip2 keeps quiet about them).
    """

    def __init__(self, path):
        self.path = path
        self.consumed = 0
        self.trailing_garbage = False
        self._file = self._content = _open(path)
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            start = self._file.read(4)
            self._file.seek(0)
        except OSError as error:
            self._file.close()
            raise _read_error(path, error) from error
        self.compression = next((name for name, (magic, _) in _FORMATS.items() if start.startswith(magic)), None)
        self.content_limit = self.size
        if self.compression:
            self.content_limit = self.size * _FORMATS[self.compression][1]
            self._content = _inflating(self._file, self.compression)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._content.close()
        self._file.close()

    def fileno(self):
        """int : Descriptor of the file as it lies on disk."""
        return self._file.fileno()

    def fill(self, view):
        """Fill a writable bytes-like object; fewer bytes than it holds are returned only at the end of the content."""
        view = memoryview(view).cast("B")
        done = 0
        while done < len(view):
            count = self._some(view[done:done + _PIECE] if self.compression else view[done:])
            if not count:
                break
            done += count
        self.consumed += done
        return done

    def finish(self):
        """Read to the end, checking what is compressed, and return how many bytes of content were left.

        Raises
        ------
        InputError
            The compressed data are damaged or cut short, or go on for more than `EXCESS_TOLERATED` bytes.
        """
        if self.compression is None:
            return max(0, self.size - self.consumed)
        excess = 0
        scratch = memoryview(bytearray(EXCESS_TOLERATED))
        while count := self._some(scratch, at_end=True):
            excess += count
            if excess > EXCESS_TOLERATED:
                raise InputError(f"{shown(self.path)}: the {self.compression} data inflate to more than the header "
                                 "promises; not a single map, or damaged: check where it comes from")
        return excess

    def _some(self, view, at_end=False):
        """Put some bytes of content into `view` and return how many; none at the end."""
        name = shown(self.path)
        try:
            if self.compression is None:
                return self._file.readinto(view)
            piece = self._content.read1(len(view))
            view[:len(piece)] = piece
            return len(piece)
        except EOFError as error:
            if not at_end:
                return 0  # the caller says what is missing
            raise InputError(f"{name}: the {self.compression} data are cut short before their checksum; copy or "
                             "download it again") from error
        except (zlib.error, OSError, ValueError) as error:
            if getattr(error, "errno", None) is not None:
                raise _read_error(self.path, error) from error
            if self.compression == "gzip" and str(error).startswith("Not a gzipped file"):
                self.trailing_garbage = True  # in place of another member
                return 0
            reason = str(error).rpartition("decompressing data: ")[2]  # zlib puts its own number before
            raise InputError(f"{name}: the {self.compression} data are damaged ({reason}); copy or download it again"
                             ) from error


def _read_error(path, error):
    name = shown(path)
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: no such file; check the name")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{name}: is a directory, not a map; name the map in it")
    if isinstance(error, PermissionError):
        return InputError(f"{name}: cannot be read: no permission; ask its owner, or chmod +r")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return OccupyError(f"{name}: cannot be opened: too many open files; raise the limit (ulimit -n)")
    if error.errno == errno.ELOOP:
        return InputError(f"{name}: a symbolic link that points to itself; check the name")
    return InputError(f"{name}: cannot be read: {error.strerror or error}; check the file and its disk")


def _open(path):
    """File object of an ordinary file; `InputError` for anything else, without blocking on a pipe."""
    try:
        if os.path.islink(path) and not os.path.exists(path):
            raise InputError(f"{shown(path)}: a symbolic link to a file that does not exist; check where it points")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise _read_error(path, error) from error
    except ValueError as error:  # a null character in the name
        raise InputError(f"{shown(path)}: not a possible file name; check it") from error
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise _read_error(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
        if not stat.S_ISREG(kind):
            raise InputError(f"{shown(path)}: is a pipe or a device, not a file; write the map to a file first")
        return open(descriptor, "rb", buffering=_DISK_PIECE)
    except BaseException:
        os.close(descriptor)
        raise
