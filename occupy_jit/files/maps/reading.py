"""The only place that opens maps. It works in slabs of a few MB, without a second copy of the volume."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import InputError, OccupyError
from occupy_jit.files.checksum import Checksum
from occupy_jit.files.maps import mrc_header, position
from occupy_jit.files.maps.layout import in_file_order, slabs, to_canonical
from occupy_jit.files.maps.maps import Map, check_same_grid
from occupy_jit.files.maps.mrc_header import HEADER_BYTES
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import Stream
from occupy_jit.settings import LARGEST_VALUE, SMALLEST_RANGE

if TYPE_CHECKING:
    from occupy_jit.files.maps.mrc_header import MapHeader

_USUAL_COMPRESSION = 100  # maps shrink to a third, masks to a fiftieth
_BLOCK = 1 << 16  # values checked while they are in a cache


class Range:
    """Smallest and largest value of pieces, and whether all values are finite."""

    def __init__(self) -> None:
        self.minimum = math.inf
        self.maximum = -math.inf
        self.finite = True

    def add(self, values: np.ndarray) -> None:
        """Add a C-contiguous array of any real dtype."""
        flat = values.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            self._add_block(flat[start:start + _BLOCK])

    def _add_block(self, block):
        low, high = float(block.min()), float(block.max())
        if not (math.isfinite(low) and math.isfinite(high)):  # a NaN anywhere makes both NaN
            self.finite = False
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)


def view_map(path: str | os.PathLike[str]) -> np.ndarray:
    """Memory map of the data of an uncompressed map.

    Parameters
    ----------
    path : str or path-like
        A map written by `write_map`.

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
    """Refuse a compressed file that is shorter than its header announces, before memory is allocated.

    Inflates the file without keeping data, so it is used for suspicious headers only.
    """
    scratch = memoryview(bytearray(1 << 20))
    with Stream(header.path) as stream:
        while stream.consumed < header.content_bytes:
            if not stream.fill(scratch[:header.content_bytes - stream.consumed]):
                break
        # a missing extended header is handled when the map is read
        if stream.consumed not in (header.content_bytes, header.content_bytes - header.extended_bytes):
            raise mrc_header.truncated(header, stream.consumed)


def read_header(path: str | os.PathLike[str], voxel_size: float | None = None) -> MapHeader:
    """The header of a map, with every check that does not need the data.

    Parameters
    ----------
    path : str or path-like
        Map, plain or compressed with gzip or bzip2 (recognised by its bytes, not by its name).
    voxel_size : float, optional
        Å, used instead of that in the header.

    Returns
    -------
    MapHeader

    Raises
    ------
    InputError
        The file cannot be used; the message names it, the problem and the remedy.
    """
    voxel_size = mrc_header.check_voxel_size_option(voxel_size)
    with Stream(os.fsdecode(path)) as stream:
        return _start(stream, voxel_size)


def read_map(path: str | os.PathLike[str], voxel_size: float | None = None, checksum: bool = False,
             may_be_constant: bool = False, fallback_voxel_size: float | None = None) -> Map:
    """Read a map into memory.

    Parameters
    ----------
    path : str or path-like
        Map, plain or compressed with gzip or bzip2 (recognised by its bytes, not by its name).
    voxel_size : float, optional
        Å, used instead of that in the header.
    checksum : bool
        Start computing the SHA-256 of the file in the background (``Map.checksum.hexdigest()``).
    may_be_constant : bool
        Accept a constant map.
    fallback_voxel_size : float, optional
        Å, used if the header has none.

    Returns
    -------
    Map

    Raises
    ------
    InputError
        The file cannot be used; the message names it, the problem and the remedy.
    OccupyError
        There is not enough memory for it.

    Examples
    --------
    >>> import pathlib
    >>> import occupy_jit
    >>> demo = pathlib.Path(occupy_jit.__file__).parent / "demo" / "emd_11007_demo.mrc"
    >>> volume = occupy_jit.read_map(demo)
    >>> volume.data.ndim, volume.data.dtype
    (3, dtype('float32'))
    >>> volume.voxel_size > 1
    True
    """
    path = os.fsdecode(path)
    voxel_size = mrc_header.check_voxel_size_option(voxel_size)
    loaded = _read(path, voxel_size, fallback_voxel_size, checksum)
    if loaded is None:
        loaded = _read(path, voxel_size, fallback_voxel_size, checksum, no_extended=True)
    loaded, values = loaded  # pyright: ignore[reportGeneralTypeIssues]
    _check_values(loaded, values, may_be_constant)
    return loaded


def _read(path, voxel_size, fallback_voxel_size, checksum, no_extended=False):
    """The unchecked map, and its `Range`; None if a compressed file lacks an announced extended header."""
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
        told = mrc_header.one_sided(header.record, values.minimum, values.maximum)
        if told is not None:
            header.warnings.append(told)
        hashing = Checksum(stream.fileno(), path) if checksum else None
        return Map(data, header.voxel_size, path, header.record, bytes(extended), header.axis_order, header.warnings,
                   values.minimum, values.maximum, hashing), values


def _allocate(header):
    try:
        return np.empty(header.shape, np.float32)
    except (MemoryError, ValueError) as error:
        raise OccupyError(f"{shown(header.path)}: not enough memory: the map alone takes {header.nbytes / 1e9:.2g} GB; "
                          "use a machine with more, or a smaller map") from error


def _fill(data, stream, header, values):
    """Read the voxels of `stream` into `data` [z, y, x]; False if they end early."""
    target = in_file_order(data, header.axis_order)
    native = header.dtype.newbyteorder("=")
    direct = native == np.float32 and header.axis_order == (1, 2, 3)
    buffer = None
    for start, stop in slabs(header.file_shape, header.axis_order, header.dtype.itemsize):
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
            to_canonical(target[start:stop], slab, header.axis_order)
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
        raise InputError(f"{name}: every value is {low:g}: a constant map contains nothing to measure; check the file")
    if max(abs(low), abs(high)) > LARGEST_VALUE or high - low < SMALLEST_RANGE:
        raise InputError(f"{name}: values from {low:.3g} to {high:.3g} are impossible for a map; the file is damaged "
                         "or its header is wrong (mode, byte order); otherwise rescale it")


def _non_finite(data):
    """Number of NaN or infinite values, and the index [z, y, x] of the first."""
    count, first = 0, None
    for z in range(data.shape[0]):
        bad = ~np.isfinite(data[z])
        found = int(np.count_nonzero(bad))
        if found and first is None:
            first = (z, *(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape)))
        count += found
    return count, first


def read_mask(path: str, reference: Map, checksum: bool = False) -> Map:
    """Read a mask (or another companion) that must be on the grid of the map `reference`.

    A mask without a voxel size, as many programs write it, receives that of the map; so does one whose header
    agrees with the header of the map if the user gave another voxel size. Raises the same errors as `read_map` and
    `check_same_grid`; a constant mask is accepted, and the caller decides on it.
    """
    mask = read_map(path, None, checksum, may_be_constant=True, fallback_voxel_size=reference.voxel_size)
    stated = mrc_header.stated_voxel_size(reference.header, reference.axis_order)
    if stated is not None and position.same_voxel_size(mask.voxel_size, stated):
        mask.voxel_size = reference.voxel_size
    check_same_grid(reference, mask, path)
    return mask
