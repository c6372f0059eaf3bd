"""Reading plain, gzip and bzip2 files as one kind of stream, told apart by their bytes, in bounded memory."""

import errno
import os
import stat
import zlib

from occupy_jit.errors import InputError, OccupyError
from occupy_jit.files.outputs import shown

_PIECE = 1 << 17  # compressed bytes read at a time
_INFLATED_PIECE = 1 << 20  # bytes inflated at a time

# Beyond what the header promises, so much may follow inside a compressed file: padding, not another volume.
EXCESS_TOLERATED = 1 << 16

# What the formats can reach at best, to refuse at once what cannot be true. Deflate: 258 bytes from two bits. bzip2:
# a block of 900 kB of run-length codes (5 bytes stand for at most 259) takes some 40 bytes; 32 is on the safe side.
_BEST_GZIP = 1032
_BEST_BZIP2 = 900_000 // 5 * 259 // 32 + 1


class _Gzip:
    """One member of a gzip file (the interface of ``bz2.BZ2Decompressor``)."""

    def __init__(self):
        self._engine = zlib.decompressobj(31)
        self._tail = b""
        self.needs_input = True

    def decompress(self, data, max_length):
        out = self._engine.decompress(self._tail + data, max_length)
        self._tail = self._engine.unconsumed_tail
        # A full portion may have left more inside the engine, even with no input over.
        self.needs_input = not self._tail and len(out) < max_length
        return out

    @property
    def eof(self):
        return self._engine.eof

    @property
    def unused_data(self):
        return self._engine.unused_data


def _bzip2():
    import bz2

    return bz2.BZ2Decompressor()


_FORMATS = {"gzip": (b"\x1f\x8b", _Gzip, _BEST_GZIP), "bzip2": (b"BZh", _bzip2, _BEST_BZIP2)}


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
        Bytes followed the end of the compressed data that are not part of it.
    """

    def __init__(self, path):
        self.path = path
        self.consumed = 0
        self.trailing_garbage = False
        self._file = _open(path)
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            start = self._file.read(4)
            self._file.seek(0)
        except OSError as error:
            self._file.close()
            raise _read_error(path, error) from error
        self.compression = next((name for name, (magic, _, _) in _FORMATS.items() if start.startswith(magic)), None)
        self.content_limit = self.size
        if self.compression:
            self._magic, self._new_engine, best = _FORMATS[self.compression]
            self.content_limit = self.size * best
            self._engine = self._new_engine()
            self._input = b""
            self._ended = False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._file.close()

    def fileno(self):
        """int : Descriptor of the file as it lies on disk."""
        return self._file.fileno()

    def fill(self, view):
        """Fill a writable bytes-like object; fewer bytes than it holds are returned only at the end of the content."""
        view = memoryview(view).cast("B")
        done = 0
        try:
            while done < len(view):
                if self.compression is None:
                    count = self._file.readinto(view[done:])
                else:
                    piece = self._inflate(min(len(view) - done, _INFLATED_PIECE))
                    count = len(piece)
                    view[done:done + count] = piece
                if not count:
                    break
                done += count
        except OSError as error:
            raise _read_error(self.path, error) from error
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
        try:
            while piece := self._inflate(EXCESS_TOLERATED):
                excess += len(piece)
                if excess > EXCESS_TOLERATED:
                    raise InputError(f"{shown(self.path)}: the {self.compression} data inflate to more than the header "
                                     "promises; not a single map, or damaged: check where it comes from")
        except OSError as error:
            raise _read_error(self.path, error) from error
        if not self._ended:
            raise InputError(f"{shown(self.path)}: the {self.compression} data are cut short before their checksum; "
                             "copy or download it again")
        return excess

    def _inflate(self, limit):
        """Up to `limit` inflated bytes; none at the end of the content, where ``_ended`` tells whether it is whole."""
        while not self._ended:
            if self._engine.eof:
                if not self._next_member():
                    self._ended = True
                    break
            if self._engine.needs_input and not self._input:
                self._input = self._file.read(_PIECE)
                cut = not self._input
            else:
                cut = False
            data, self._input = (self._input, b"") if self._engine.needs_input else (b"", self._input)
            try:
                out = self._engine.decompress(data, limit)
            except (zlib.error, OSError, ValueError, EOFError) as error:
                if getattr(error, "errno", None) is not None:
                    raise
                reason = str(error).rpartition("decompressing data: ")[2]  # zlib puts its own number before
                raise InputError(f"{shown(self.path)}: the {self.compression} data are damaged ({reason}); "
                                 "copy or download it again") from error
            if out:
                return out
            if cut and not self._engine.eof:
                break
        return b""

    def _next_member(self):
        """After the end of one member: start the next if there is one, skipping the zeros that may pad the end."""
        rest = self._engine.unused_data + self._input
        while True:
            rest = rest.lstrip(b"\0")
            more = self._file.read(_PIECE) if len(rest) < len(self._magic) else b""
            if len(rest) >= len(self._magic) or not more:
                break
            rest += more
        self._input = b""
        if not rest.startswith(self._magic):
            self.trailing_garbage = bool(rest)
            return False
        self._engine, self._input = self._new_engine(), rest
        return True


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
    """Unbuffered file object of an ordinary file; `InputError` for anything else, without blocking on a pipe."""
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
        return open(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise
