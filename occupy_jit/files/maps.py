"""The one place that opens maps and the one that writes them.

A map in memory is float32 [z, y, x] with x fastest, whatever the axis order, the type and the byte order in the file;
what is written goes back into the file's own order, so that input and output overlay by header alone. No second copy
of the volume is ever made: everything goes through slabs of a few MB.
"""

import math
import os
from dataclasses import dataclass, field

import numpy as np

from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.files import mrc_header
from occupy_jit.files.checksum import Checksum
from occupy_jit.files.mrc_header import HEADER_BYTES, MapHeader
from occupy_jit.files.outputs import replaced, same_file, shown
from occupy_jit.files.streams import Stream

_SLAB_BYTES = 1 << 22
# Where x, the fastest axis in memory, is another in the file, 16 of its steps at a time fill whole cache lines.
_LINE = 16
_USUAL_COMPRESSION = 100  # maps shrink to a third, masks to a fiftieth
_BLOCK = 1 << 16  # values that statistics convert to float64 at a time

# Beyond these the squares that the estimation forms leave single precision; only damaged files hold such values.
_LARGEST_VALUE = 1e15
_SMALLEST_RANGE = 1e-15


class Range:
    """Smallest and largest of values that pass by in pieces, and whether all are finite."""

    def __init__(self):
        self.minimum = math.inf
        self.maximum = -math.inf
        self.finite = True

    def add(self, values):
        """Take in a C-contiguous array of any real dtype."""
        flat = values.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            self._add_block(flat[start:start + _BLOCK])

    def _add_block(self, block):
        low, high = float(block.min()), float(block.max())
        if not (math.isfinite(low) and math.isfinite(high)):  # a NaN anywhere makes both NaN
            self.finite = False
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)


class Statistics(Range):
    """`Range` with mean and standard deviation, summed in float64."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self._shift = None
        self._sum = self._squares = 0.0
        self._buffer = np.empty(_BLOCK, np.float64)

    def _add_block(self, block):
        super()._add_block(block)
        self.count += block.size
        if not self.finite:
            return
        buffer = self._buffer[:block.size]
        np.copyto(buffer, block)
        if self._shift is None:
            # Squares lose the digits of an offset that is large against the spread: take it off first.
            mean = float(buffer.mean())
            self._shift = mean if abs(mean) > 100 * float(buffer.std()) else 0.0
        if self._shift:
            buffer -= self._shift
        self._sum += float(buffer.sum())
        # Not a dot product: that is BLAS, which may split the sum among threads.
        self._squares += float(np.einsum("i,i->", buffer, buffer))

    @property
    def mean(self):
        """float : Arithmetic mean."""
        return self._shift + self._sum / self.count

    @property
    def rms(self):
        """float : Root mean square deviation from the mean."""
        mean = self._sum / self.count
        return math.sqrt(max(0.0, self._squares / self.count - mean * mean))

    @classmethod
    def of(cls, data):
        """Statistics of a C-contiguous array."""
        statistics = cls()
        statistics.add(data)
        return statistics


@dataclass(frozen=True)
class KnownStatistics:
    """What `Statistics` would find, found elsewhere."""

    minimum: float
    maximum: float
    mean: float
    rms: float
    finite: bool


@dataclass
class Map:
    """A map in memory with all that is needed to write another that overlays it.

    Attributes
    ----------
    data : ndarray of float32, shape (z, y, x)
        C-contiguous; x is fastest whatever the file's axis order.
    voxel_size : float
        Å.
    path : str or None
        As given; None for a map that comes from no file.
    header : numpy record
        As read (field names of mrcfile), in native byte order.
    extended_header : bytes
    axis_order : tuple of int
        (mapc, mapr, maps): which of x, y, z (1, 2, 3) the file's columns, rows and sections are.
    warnings : list of str
        Peculiarities of the file, one line each.
    minimum, maximum : float or None
        Of the data, where they are known.
    checksum : Checksum or None
        SHA-256 of the file, being taken in the background, if it was asked for.
    """

    data: np.ndarray
    voxel_size: float
    path: str | None
    header: np.ndarray
    extended_header: bytes = b""
    axis_order: tuple = (1, 2, 3)
    warnings: list = field(default_factory=list)
    minimum: float | None = None
    maximum: float | None = None
    checksum: Checksum | None = None

    @property
    def position(self):
        """tuple of float : Where voxel [0, 0, 0] lies, in Å along x, y, z."""
        return mrc_header.position(self.header, self.axis_order, self.voxel_size)


def map_from_array(data, voxel_size, path=None):
    """A `Map` around an array, for data that come from no file.

    Parameters
    ----------
    data : array_like, shape (z, y, x)
        Real; converted once if it is not C-contiguous float32.
    voxel_size : float
        Å.

    Raises
    ------
    TypeError
        `data` is not a 3-D array of real numbers.
    """
    data = np.asarray(data)
    if data.ndim != 3 or data.dtype.kind not in "biuf":
        raise TypeError(f"a map is a 3-D array of real numbers, not {data.ndim}-D of {data.dtype}")
    data = np.ascontiguousarray(data, dtype=np.float32)
    return Map(data, float(voxel_size), path, mrc_header.new_header(data.shape, voxel_size))


# Reading -------------------------------------------------------------------------------------------------------------


def view_map(path):
    """The data of an uncompressed map without reading them: what is looked at comes from the disk (or its cache).

    Parameters
    ----------
    path : str or path-like
        A map that `write_map` wrote.

    Returns
    -------
    ndarray, shape (z, y, x)
        Read-only, of the type in the file.
    """
    header = read_header(path)
    stored = np.memmap(path, header.dtype, "r", HEADER_BYTES + header.extended_bytes, header.file_shape)
    order = [3 - axis for axis in reversed(header.axis_order)]
    return stored.transpose([order.index(axis) for axis in range(3)])


def _start(stream, voxel_size, no_extended=False, fallback_voxel_size=None):
    """Read and check the 1024 bytes at the start of `stream`, as far as possible without the data."""
    raw = bytearray(HEADER_BYTES)
    raw = bytes(raw[:stream.fill(raw)]) if stream.size else b""
    plain = stream.compression is None
    header = mrc_header.parse_header(raw, stream.path, stream.compression, content_bytes=stream.size if plain else None,
                                     content_limit=None if plain else stream.content_limit, voxel_size=voxel_size,
                                     fallback_voxel_size=fallback_voxel_size, no_extended=no_extended)
    if not plain and header.content_bytes > _USUAL_COMPRESSION * stream.size:
        _check_length(header)
    return header


def _check_length(header):
    """Refuse a compressed file that is shorter than its header promises, before any memory is asked for.

    Inflates the file without keeping anything, so it is for those where the promise is hard to believe.
    """
    scratch = memoryview(bytearray(1 << 20))
    with Stream(header.path) as stream:
        while stream.consumed < header.content_bytes:
            if not stream.fill(scratch[:header.content_bytes - stream.consumed]):
                break
        # An extended header that is promised and absent is dealt with when the map is read.
        if stream.consumed not in (header.content_bytes, header.content_bytes - header.extended_bytes):
            raise mrc_header.truncated(header, stream.consumed)


def read_header(path, voxel_size=None):
    """What a map's header says, with every check that needs no data: cheap, whatever the size of the map.

    Parameters
    ----------
    path : str or path-like
        Map, plain or compressed with gzip or bzip2 (recognised by its bytes, not by its name).
    voxel_size : float, optional
        Å, used instead of what the header says.

    Returns
    -------
    MapHeader

    Raises
    ------
    InputError
        The file cannot be used; the message names it and says what is wrong and what to do.
    """
    voxel_size = mrc_header.check_voxel_size_option(voxel_size)
    with Stream(os.fsdecode(path)) as stream:
        return _start(stream, voxel_size)


def read_map(path, voxel_size=None, checksum=False, may_be_constant=False, fallback_voxel_size=None):
    """Read a map into memory.

    Parameters
    ----------
    path : str or path-like
        Map, plain or compressed with gzip or bzip2 (recognised by its bytes, not by its name).
    voxel_size : float, optional
        Å, used instead of what the header says.
    checksum : bool
        Start taking the SHA-256 of the file in the background (``Map.checksum.hexdigest()``).
    may_be_constant : bool
        Accept a map whose values are all equal.
    fallback_voxel_size : float, optional
        Å, used where the header gives none.

    Returns
    -------
    Map

    Raises
    ------
    InputError
        The file cannot be used; the message names it and says what is wrong and what to do.
    OccupyError
        There is not enough memory for it.
    """
    path = os.fsdecode(path)
    voxel_size = mrc_header.check_voxel_size_option(voxel_size)
    loaded = _read(path, voxel_size, fallback_voxel_size, checksum)
    if loaded is None:
        loaded = _read(path, voxel_size, fallback_voxel_size, checksum, no_extended=True)
    loaded, values = loaded
    _check_values(loaded, values, may_be_constant)
    return loaded


def _read(path, voxel_size, fallback_voxel_size, checksum, no_extended=False):
    """The map, unchecked, and its `Range`; None if a compressed file lacks the extended header that it promises."""
    with Stream(path) as stream:
        header = _start(stream, voxel_size, no_extended, fallback_voxel_size)
        extended = bytearray(header.extended_bytes)
        whole = stream.fill(extended) == len(extended)
        if whole:
            data = _allocate(header)
            values = Range()
            whole = _fill(data, stream, header, values)
        if not whole:
            if header.extended_bytes and stream.consumed == header.content_bytes - header.extended_bytes:
                return None
            raise mrc_header.truncated(header, stream.consumed)
        excess = stream.finish()
        if stream.compression and excess:
            header.warnings.append(mrc_header.longer(excess))
        if stream.trailing_garbage:
            header.warnings.append(f"bytes that are not {stream.compression} data follow the map; they are ignored")
        hashing = Checksum(stream.fileno(), path) if checksum else None
        return Map(data, header.voxel_size, path, header.record, bytes(extended), header.axis_order, header.warnings,
                   values.minimum, values.maximum, hashing), values


def _allocate(header):
    try:
        return np.empty(header.shape, np.float32)
    except (MemoryError, ValueError) as error:
        raise OccupyError(f"{shown(header.path)}: not enough memory: the map alone takes {header.nbytes / 1e9:.2g} GB; "
                          "use a machine with more, or a smaller map") from error


def _in_file_order(data, axis_order):
    """View of an array [z, y, x] as [section, row, column]."""
    return data.transpose([3 - axis for axis in reversed(axis_order)])


def _slabs(file_shape, axis_order, itemsize):
    """Ranges of sections to go through a file in."""
    sections, rows, columns = file_shape
    step = max(1, _SLAB_BYTES // (rows * columns * itemsize))
    if axis_order[2] == 1:
        step = _LINE
    return [(start, min(start + step, sections)) for start in range(0, sections, step)]


def _planes(axis_order, target, source):
    """Pairs of planes with x along their first axis, of two arrays [section, row, column] where x is no column."""
    if axis_order[2] == 1:
        return ((target[:, row], source[:, row]) for row in range(target.shape[1]))
    return zip(target, source, strict=True)


def _to_canonical(target, source, axis_order):
    """Copy sections as the file has them into the view `target` of an array [z, y, x], plane by plane."""
    if axis_order[0] == 1:
        target[...] = source
        return
    for to, of in _planes(axis_order, target, source):
        for start in range(0, len(of), _LINE):
            to[start:start + _LINE] = of[start:start + _LINE]


def _to_file_order(target, source, axis_order):
    """The other way round: `source` is the view of an array [z, y, x], `target` sections as the file will have them."""
    if axis_order[0] == 1:
        np.copyto(target, source, casting="same_kind")
        return
    # With such strides (boxes of 256, 512) all cache lines of a plane compete for one place in the cache, and none
    # survives until its next value is wanted: copy whole lines first. Otherwise that detour costs half as much again.
    crowded = any(stride % 4096 == 0 for stride in source.strides)
    buffer = np.empty((source.shape[2], _LINE), np.float32)
    for to, of in _planes(axis_order, target, source):
        for start in range(0, len(of), _LINE):
            rows = of[start:start + _LINE]
            if crowded:
                piece = buffer[:, :len(rows)]
                np.copyto(piece, rows.T, casting="same_kind")
                rows = piece.T
            np.copyto(to[start:start + _LINE], rows, casting="same_kind")


def _fill(data, stream, header, values):
    """Read the voxels of `stream` into `data` [z, y, x]; False if they end early."""
    target = _in_file_order(data, header.axis_order)
    native = header.dtype.newbyteorder("=")
    direct = native == np.float32 and header.axis_order == (1, 2, 3)
    buffer = None
    for start, stop in _slabs(header.file_shape, header.axis_order, header.dtype.itemsize):
        if direct:
            slab = data[start:stop]
        else:
            if buffer is None:
                buffer = np.empty((stop - start, *header.file_shape[1:]), native)
            slab = buffer[:stop - start]
        if stream.fill(slab.reshape(-1).view(np.uint8)) < slab.nbytes:
            return False
        if not header.dtype.isnative:
            slab.byteswap(inplace=True)
        if not direct:
            _to_canonical(target[start:stop], slab, header.axis_order)
        values.add(slab)
    return True


def _check_values(loaded, values, may_be_constant):
    name = shown(loaded.path)
    if not values.finite:
        count, first = _non_finite(loaded.data)
        raise InputError(f"{name}: {count} of {loaded.data.size} values are NaN or infinite, the first at [z, y, x] = "
                         f"[{first[0]}, {first[1]}, {first[2]}]; repair the map, or make it again")
    low, high = values.minimum, values.maximum
    if low == high:
        if may_be_constant:
            return
        raise InputError(f"{name}: every value is {low:g}: a constant map has nothing to measure; check the file")
    if max(abs(low), abs(high)) > _LARGEST_VALUE or high - low < _SMALLEST_RANGE:
        raise InputError(f"{name}: values from {low:.3g} to {high:.3g} are those of no map; the file is damaged or its "
                         "header is wrong (mode, byte order); otherwise rescale it")


def _non_finite(data):
    """How many values are NaN or infinite, and the index [z, y, x] of the first."""
    count, first = 0, None
    for z in range(data.shape[0]):
        bad = ~np.isfinite(data[z])
        found = int(np.count_nonzero(bad))
        if found and first is None:
            first = (z, *(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape)))
        count += found
    return count, first


def check_same_grid(reference, other, path=None):
    """Refuse a mask, half map or class that does not lie on the grid of the map.

    Parameters
    ----------
    reference, other : Map
    path : str, optional
        Name of `other` for the message; its own by default.

    Raises
    ------
    InputError
        Shape, voxel size (by more than 1 %) or position differ; the message gives both.
    """
    name = shown(path if path is not None else other.path or "the array")
    against = shown(reference.path or "the array")
    advice = "resample it on the grid of the map (ChimeraX: volume resample #2 onGrid #1)"
    if other.data.shape != reference.data.shape:
        a, b = (" x ".join(str(n) for n in m.data.shape[::-1]) for m in (other, reference))
        raise InputError(f"{name}: has {a} voxels (x, y, z), {against} has {b}; {advice}")
    if not mrc_header.same_voxel_size(other.voxel_size, reference.voxel_size):
        raise InputError(f"{name}: has voxels of {other.voxel_size:.5g} Å, {against} of {reference.voxel_size:.5g} Å; "
                         f"{advice}")
    if not mrc_header.same_position(other.position, reference.position, reference.voxel_size):
        a, b = (", ".join(f"{v:.2f}" for v in m.position) for m in (other, reference))
        raise InputError(f"{name}: begins at {a} Å (x, y, z), {against} at {b} Å; move it, or {advice}")


def read_mask(path, reference, checksum=False):
    """Read a mask (or any companion) that must lie on the grid of the map `reference`.

    A mask that has no voxel size, as many programs write them, is taken to have the map's; so is one whose header
    agrees with the map's header where the user gave another voxel size. The same errors as `read_map` and
    `check_same_grid`; a constant mask is accepted here, what it means is for the caller to say.
    """
    mask = read_map(path, None, checksum, may_be_constant=True, fallback_voxel_size=reference.voxel_size)
    stated = mrc_header.stated_voxel_size(reference.header, reference.axis_order)
    if stated is not None and mrc_header.same_voxel_size(mask.voxel_size, stated):
        mask.voxel_size = reference.voxel_size
    check_same_grid(reference, mask, path)
    return mask


# Writing -------------------------------------------------------------------------------------------------------------


def write_map(path, data, like, label, *more_labels, outputs=None, checksum=False, statistics=None):
    """Write a map that overlays the map it was made from.

    MRC2014, float32, little-endian, in the axis order of `like`; cell, angles, start, origin, ISPG, extended header
    and labels are those of `like` (`mrc_header.output_header` says what is repaired), the statistics those of `data`.
    The file appears under its name only when it is complete.

    Parameters
    ----------
    path : str or path-like
    data : ndarray, shape (z, y, x)
        Canonical order, the shape of ``like.data``; float32, or any real dtype, converted slab by slab.
    like : Map or MapHeader
        What `data` was made from. Its ``data`` are not looked at. A `MapHeader` carries no extended header.
    label, *more_labels : str
        Appended to the labels of `like`, 80 characters of each; where all ten are taken they replace the last.
    outputs : Outputs, optional
        The run that the file belongs to; it appears when that is committed.
    checksum : bool
        Start taking the SHA-256 of the file in the background.
    statistics : Statistics or KnownStatistics, optional
        Of `data`, where they are known already.

    Returns
    -------
    Checksum or None

    Raises
    ------
    OccupyError
        The file cannot be written, or `data` holds NaN or infinity.
    UsageError
        `path` is the input itself.
    """
    path = os.fsdecode(path)
    if like.path is not None and same_file(path, like.path):
        raise UsageError(f"{shown(path)}: is the input, which is never overwritten; choose another name or "
                         "--output-dir")
    record = like.header if isinstance(like, Map) else like.record
    extended = like.extended_header if isinstance(like, Map) else b""
    file_shape = tuple(int(record[n]) for n in ("nz", "ny", "nx"))
    source = _in_file_order(data, like.axis_order)
    if source.shape != file_shape:
        raise ValueError(f"data of shape {data.shape} for a map of {file_shape} (sections, rows, columns)")
    wanted = np.dtype("<f4")
    known = statistics is not None
    statistics = statistics if known else Statistics()
    buffer = None
    result = None
    with (outputs.open(path) if outputs is not None else replaced(path)) as file:
        file.write(bytes(HEADER_BYTES))
        file.write(extended)
        for start, stop in _slabs(file_shape, like.axis_order, wanted.itemsize):
            slab = source[start:stop]
            if slab.dtype != wanted or not slab.flags.c_contiguous:
                if buffer is None:
                    buffer = np.empty(slab.shape, wanted)
                _to_file_order(buffer[:stop - start], slab, like.axis_order)
                slab = buffer[:stop - start]
            if not known:
                statistics.add(slab)
            file.write(slab.reshape(-1).view(np.uint8))
        if not statistics.finite:
            raise OccupyError(f"{shown(path)}: not written: the result holds NaN or infinity; check the input's values "
                              "and the settings")
        file.seek(0)
        file.write(mrc_header.output_header(record, extended, statistics, (label, *more_labels)))
        file.flush()
        if checksum:
            result = Checksum(file.fileno(), path)
    return result


__all__ = ["Map", "MapHeader", "Statistics", "check_same_grid", "map_from_array", "read_header", "read_map",
           "read_mask", "view_map", "write_map"]
