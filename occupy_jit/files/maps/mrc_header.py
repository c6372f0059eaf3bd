"""The MRC/CCP4 header: reading and checking its 1024 bytes, and headers of outputs.

The format is MRC2014 (Cheng et al., J. Struct. Biol. 192, 146-150, 2015), read with all variations that programs
have used since 1980, and written strictly.

Axes. The file stores columns, rows and sections (columns fastest); ``mapc``, ``mapr`` and ``maps`` say which of x, y, z
(1, 2, 3) each is. ``nx, ny, nz`` and ``nxstart, nystart, nzstart`` go with columns, rows and sections; the cell, its
angles, ``mx, my, mz`` and the origin go with x, y, z. In this program arrays are [z, y, x] for any order in the file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from occupy_jit.errors import InputError, UsageError
from occupy_jit.files.maps.mrc_recognition import (
    HEADER_BYTES,
    MAX_DIMENSION,
    MODES,
    REFUSED_MODES,
    decode,
    ints,
    refuse_not_a_map,
    stamp_order,
    xyz,
)
from occupy_jit.files.maps.position import VOXEL_SIZE_TOLERANCE
from occupy_jit.files.names.paths import shown

if TYPE_CHECKING:
    from occupy_jit.kernels.moments import Moments

_TRANSFORM_MODES = (3, 4)
_IMOD_STAMP, _IMOD_AT = 1146047817, 40  # "IMOD", and its position in the field extra2

_EXTENDED_TYPES = (b"CCP4", b"MRCO", b"SERI", b"AGAR", b"FEI1", b"FEI2", b"HDF5")
_LABELS, _LABEL_BYTES = 10, 80

_MAX_EXTENDED = 1 << 26  # bytes of extended header of one map; a larger number is a damaged header
MIN_DIMENSION = 8  # voxels along an axis

_VOXEL_SIZE_RANGE = (0.01, 1000.0)  # Å; beyond, the cell in the header is garbage
_LIKELY_RANGE = (0.2, 50.0)  # Å; no map of molecules has others, from the finest of crystals to tomograms of cells
_ANGLE_TOLERANCE = 0.1  # degrees


@dataclass(frozen=True)
class MapHeader:
    """The checked header of a map, before its data are read.

    Attributes
    ----------
    path : str
    record : numpy record
        All fields as read, in native byte order.
    dtype : numpy.dtype
        Of the data in the file, byte order included.
    axis_order : tuple of int
        (mapc, mapr, maps).
    file_shape : tuple of int
        (sections, rows, columns) as stored.
    shape : tuple of int
        (z, y, x), the shape of the array that `read_map` returns.
    voxel_size : float
        Å.
    extended_bytes : int
        Length of the extended header.
    compression : {None, "gzip", "bzip2"}
    warnings : list of str
        Peculiarities of the file that do not prevent its use, one line each.
    """

    path: str
    record: np.ndarray
    dtype: np.dtype
    axis_order: tuple
    file_shape: tuple
    shape: tuple
    voxel_size: float
    extended_bytes: int
    compression: str | None
    warnings: list = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """int : Bytes of the map in memory, as float32."""
        return 4 * math.prod(self.shape)

    @property
    def content_bytes(self) -> int:
        """int : Required bytes of the file (uncompressed)."""
        return HEADER_BYTES + self.extended_bytes + self.dtype.itemsize * math.prod(self.file_shape)


def _axis_order(record, path):
    order = ints(record, "mapc", "mapr", "maps")
    if order == (0, 0, 0):  # unset, in old files
        return 1, 2, 3
    if sorted(order) != [1, 2, 3]:
        raise InputError(f"{shown(path)}: axis numbers mapc, mapr, maps are {order[0]}, {order[1]}, {order[2]}, not an "
                         "order of 1, 2, 3; correct the header")
    return order


def _check_single_volume(record, path):
    name = shown(path)
    nx, ny, nz, mx, my, mz, ispg = ints(record, "nx", "ny", "nz", "mx", "my", "mz", "ispg")
    if any(not 0 < n <= MAX_DIMENSION for n in (nx, ny, nz)):
        raise InputError(f"{name}: wrong dimensions in the header: {nx} x {ny} x {nz} (nx, ny, nz); "
                         "the file is damaged")
    if nz == 1:
        raise InputError(f"{name}: is a 2-D image ({nx} x {ny}); a 3-D map is needed")
    if ispg == 0 and mz == 1:
        raise InputError(f"{name}: is a stack of {nz} 2-D images ({nx} x {ny}); a 3-D map is needed "
                         "(if it is one, set mz = nz or ISPG = 1 in its header)")
    declared = 401 <= ispg <= 630
    # A volume stack without its space group has whole cells along the sections only. Crystallographic maps (ISPG > 1)
    # may well cover several cells.
    lost = ispg in (0, 1) and mz > 1 and nz > mz and nz % mz == 0 and (mx, my) == (nx, ny)
    if (declared and nz != mz) or lost:
        count = f"{nz // mz} volumes" if mz > 0 else "several volumes"
        raise InputError(f"{name}: holds {count} (ISPG {ispg}, nz = {nz}, mz = {mz}); write each to its own file"
                         + ("" if declared else ", or set mz = nz in the header if it is one"))
    for axis, n in zip(("nx", "ny", "nz"), (nx, ny, nz), strict=True):
        if n < MIN_DIMENSION:
            raise InputError(f"{name}: the box of {nx} x {ny} x {nz} voxels is too small ({axis} = {n}); at least "
                             f"{MIN_DIMENSION} voxels along each axis are needed")


def _voxel_dtype(record, order, path, warnings):
    mode = int(record["mode"])
    if mode not in MODES:
        name = REFUSED_MODES.get(mode)
        advice = "a map in real space is needed" if mode in _TRANSFORM_MODES else "convert it to mode 2 (float32)"
        raise InputError(f"{shown(path)}: mode {mode} ({name or 'unknown'}) cannot be used; {advice}")
    dtype = np.dtype(MODES[mode])
    if mode == 0:
        unsigned = _unsigned_bytes(record, order)
        if unsigned is not None:
            dtype = np.dtype(np.uint8)
            warnings.append(f"mode 0 is read as unsigned bytes, because {unsigned}; convert the file if that is wrong")
    return dtype.newbyteorder(order)


def _unsigned_bytes(record, order):
    """Reason why bytes of mode 0 are unsigned; None if they are signed, as in MRC2014.

    IMOD marks them: after its stamp (word 39) the first bit of its flags (word 40) is set if bytes are signed.
    Other programs before 2014 also wrote unsigned bytes; for these the range in the header decides.
    """
    words = np.frombuffer(record["extra2"].tobytes()[_IMOD_AT:_IMOD_AT + 8], np.dtype(np.int32).newbyteorder(order))
    if int(words[0]) == _IMOD_STAMP:
        return None if int(words[1]) & 1 else "the flags of IMOD in the header say so"
    low, high = float(record["dmin"]), float(record["dmax"])
    return f"the header gives a maximum of {high:g}" if low >= 0 and 127 < high <= 255 else None


def one_sided(record: np.ndarray, low: float, high: float) -> str | None:
    """A warning if all bytes are on one side of 0, which points to a wrong sign; or None."""
    if int(record["mode"]) != 0 or low < 0 < high or low == high:
        return None
    return (f"its bytes (mode 0) are read as values from {low:g} to {high:g}, all of one sign; if that is wrong, "
            "write the map with mode 2 (float32)")


def _mesh(record, file_shape, axis_order):
    """(mx, my, mz): intervals per cell edge along x, y, z, or the box if the header has none."""
    box = dict(zip(axis_order, reversed(file_shape), strict=True))
    return tuple(m if m > 0 else box[axis] for axis, m in enumerate(ints(record, "mx", "my", "mz"), start=1))


def _voxel_sizes(record, mesh):
    """Voxel sizes in the header, Å along x, y, z, and whether they are possible."""
    sizes = [length / m for length, m in zip(xyz(record, "cella"), mesh, strict=True)]
    return sizes, all(math.isfinite(size) and _VOXEL_SIZE_RANGE[0] <= size <= _VOXEL_SIZE_RANGE[1] for size in sizes)


def stated_voxel_size(record: Any, axis_order: tuple[int, int, int]) -> float | None:
    """The mean voxel size in the header in Å, also if the user gave another; None if it has none."""
    sizes, known = _voxel_sizes(record, _mesh(record, ints(record, "nz", "ny", "nx"), axis_order))
    return sum(sizes) / 3 if known else None


def _voxel_size(record, mesh, path, given, fallback, warnings):
    """The voxel size in Å: `given` by the user, from the header, or the `fallback`."""
    name = shown(path)
    angles = xyz(record, "cellb", ("alpha", "beta", "gamma"))
    if any(angle != 0 and not abs(angle - 90) <= _ANGLE_TOLERANCE for angle in angles):
        raise InputError(f"{name}: the cell angles are {', '.join(f'{a:g}' for a in angles)}; only 90 degrees can be "
                         "used: resample the map on a rectangular grid")
    sizes, known = _voxel_sizes(record, mesh)
    text = " x ".join(f"{size:.5g}" for size in sizes)
    if not known:
        used = given if given is not None else fallback
        if used is None:
            raise InputError(f"{name}: the header gives no usable voxel size ({text} Å{_likely(record, mesh)}); "
                             "give it in Å with --voxel-size")
        warnings.append(f"the header gives no usable voxel size ({text} Å); {used:g} Å is used, and outputs keep the "
                        "cell of the header so that they overlay the input")
        return used
    cell = _cell(record, mesh)
    if max(sizes) > min(sizes) * (1 + VOXEL_SIZE_TOLERANCE):
        used = given if given is not None else fallback
        if used is None:
            raise InputError(f"{name}: the voxel sizes along x, y, z differ ({text} Å; {cell}"
                             f"{_likely(record, mesh)}); resample the map on a cubic grid, or, if the header is wrong, "
                             "give the size in Å with --voxel-size")
        warnings.append(f"the voxel sizes along x, y, z differ in the header ({text} Å; {cell}); {used:g} Å is used, "
                        "and outputs keep the cell of the header so that they overlay the input")
        return used
    size = sum(sizes) / 3
    if given is None:
        if not _LIKELY_RANGE[0] <= size <= _LIKELY_RANGE[1]:
            warnings.append(f"voxels of {size:.5g} Å are unlikely ({cell}{_likely(record, mesh)}); if the header is "
                            "wrong give their size in Å with --voxel-size")
        return size
    if abs(given - size) > VOXEL_SIZE_TOLERANCE * size:
        warnings.append(f"--voxel-size {given:g} is used instead of the header's {size:.5g} Å; outputs keep the cell "
                        "of the header so that they overlay the input")
    return given


def _cell(record, mesh):
    """The source of the voxel size in the header, in words."""
    edges = " x ".join(f"{edge:.5g}" for edge in xyz(record, "cella"))
    return f"cell {edges} Å, mx, my, mz {', '.join(map(str, mesh))}"


def _likely(record, mesh):
    """Likely voxel size if that in the header is impossible, in words; may be empty."""
    edges = xyz(record, "cella")
    box = ints(record, "nx", "ny", "nz")  # of x, y, z in most files, sufficient for a guess
    ways = (("the cell is the whole box", [edge / n for edge, n in zip(edges, box, strict=True)]),
            ("the cell is in nm", [10 * edge / m for edge, m in zip(edges, mesh, strict=True)]),
            ("the cell is one voxel", edges))
    found = {}
    for why, sizes in ways:
        usable = all(math.isfinite(size) and _LIKELY_RANGE[0] <= size <= _LIKELY_RANGE[1] for size in sizes)
        if usable and max(sizes) <= min(sizes) * (1 + VOXEL_SIZE_TOLERANCE):
            found.setdefault(f"{sum(sizes) / 3:.4g}", why)
    return "; likely " + ", or ".join(f"{size} Å, if {why}" for size, why in found.items()) if found else ""


def placed_otherwise(record: np.ndarray, axis_order: tuple[int, ...], voxel_size: float) -> bool:
    """Whether the header gives viewers another voxel size than `voxel_size`, in Å."""
    sizes, known = _voxel_sizes(record, _mesh(record, ints(record, "nz", "ny", "nx"), axis_order))
    return not known or any(abs(size - voxel_size) > 1e-4 * voxel_size for size in sizes)


def check_voxel_size_option(voxel_size: Any) -> float | None:
    """`UsageError` unless `voxel_size` is None or a sensible number of Å; returns it as a float."""
    if voxel_size is None:
        return None
    low, high = _VOXEL_SIZE_RANGE
    if not (math.isfinite(voxel_size) and low <= voxel_size <= high):
        raise UsageError(f"--voxel-size {voxel_size}: must be between {low:g} and {high:g} Å")
    return float(voxel_size)


def parse_header(raw: bytes, path: str, compression: str | None = None, content_bytes: int | None = None,  # noqa: PLR0913 (what a file is, and how strict to be, by keyword)
                 content_limit: int | None = None, voxel_size: float | None = None,
                 fallback_voxel_size: float | None = None, no_extended: bool = False) -> MapHeader:
    """Check the first 1024 bytes of a file, and return the header of the map.

    Parameters
    ----------
    raw : bytes
        The first 1024 bytes of the (uncompressed) content, fewer if there are no more.
    path : str
        For messages.
    compression : {None, "gzip", "bzip2"}
    content_bytes : int, optional
        Length of the content, if known.
    content_limit : int, optional
        The content cannot be longer than this.
    voxel_size : float, optional
        Å, used instead of that in the header.
    fallback_voxel_size : float, optional
        Å, used if the header has none.
    no_extended : bool
        Take the extended header as absent, whatever the header says.

    Returns
    -------
    MapHeader

    Raises
    ------
    InputError
        Not a map, or an unusable one; the message gives the reason.
    """
    padded = bytes(raw).ljust(HEADER_BYTES, b"\0")
    record, order, stamp = decode(padded)
    refuse_not_a_map(bytes(raw), path, record, stamp)
    warnings = []
    if stamp not in (None, order):
        warnings.append("the machine stamp gives the wrong byte order; it is ignored")

    dtype = _voxel_dtype(record, order, path, warnings)
    _check_single_volume(record, path)
    axis_order = _axis_order(record, path)
    file_shape = ints(record, "nz", "ny", "nx")
    box = dict(zip(axis_order, reversed(file_shape), strict=True))
    data_bytes = dtype.itemsize * math.prod(file_shape)

    extended = 0 if no_extended else int(record["nsymbt"])
    if no_extended or not 0 <= extended <= _MAX_EXTENDED or content_bytes == HEADER_BYTES + data_bytes:
        if int(record["nsymbt"]) != 0:
            warnings.append(f"the header announces an extended header of {int(record['nsymbt'])} bytes, which is "
                            "missing; outputs have none")
        extended = 0

    mesh = _mesh(record, file_shape, axis_order)
    voxel = _voxel_size(record, mesh, path, voxel_size, fallback_voxel_size, warnings)
    header = MapHeader(os.fsdecode(path), record, dtype, axis_order, file_shape, (box[3], box[2], box[1]), voxel,
                       extended, compression, warnings)
    if content_bytes is not None and content_bytes < header.content_bytes:
        raise truncated(header, content_bytes)
    if content_limit is not None and content_limit < header.content_bytes:
        raise InputError(f"{shown(path)}: truncated: the header announces {header.content_bytes} bytes "
                         f"({_dimensions(header)}), more than this {compression} file can contain; copy or download "
                         "it again")
    if content_bytes is not None and content_bytes > header.content_bytes:
        warnings.append(longer(content_bytes - header.content_bytes))
    if header.path.lower().endswith(".mrcs"):
        warnings.append("the name ends in .mrcs, as stacks of images do; the header says it is a volume")
    _warn_of_repairs(record, warnings)
    return header


def _dimensions(header):
    nz, ny, nx = header.file_shape
    return f"{nx} x {ny} x {nz} voxels of {8 * header.dtype.itemsize} bits"


def truncated(header: Any, content_bytes: Any) -> Any:
    """The `InputError` for a file with fewer bytes than its header announces."""
    return InputError(f"{shown(header.path)}: truncated: the header announces {header.content_bytes} bytes "
                      f"({_dimensions(header)}), but there are {content_bytes}; copy or download it again")


def longer(excess: Any) -> str:
    """The warning about bytes after the end of the map."""
    return f"the file is {excess} bytes longer than its header says; they are ignored"


# Output --------------------------------------------------------------------------------------------------------------


def new_header(shape: Any, voxel_size: Any) -> Any:
    """A header for a map of `shape` (z, y, x) without a file: axis order 1, 2, 3, origin 0."""
    record = np.zeros((), HEADER_DTYPE).view(np.recarray)
    for n, m, edge, length in zip(("nx", "ny", "nz"), ("mx", "my", "mz"), "xyz", reversed(shape), strict=True):
        record[n] = record[m] = length
        record["cella"][edge] = length * voxel_size
    for angle in ("alpha", "beta", "gamma"):
        record["cellb"][angle] = 90
    record["mode"], record["ispg"], record["nversion"], record["map"] = 2, 1, 20141, b"MAP "
    record["mapc"], record["mapr"], record["maps"] = 1, 2, 3
    record["machst"] = (0x44, 0x44, 0, 0)
    return record


def _repaired(record):
    """A copy with valid values for MRC2014, and the replaced fields."""
    record = record.copy()
    changed = []
    if record["ispg"] < 0:
        changed.append(f"ISPG {int(record['ispg'])}")
        record["ispg"] = 1
    if ints(record, "mapc", "mapr", "maps") == (0, 0, 0):
        record["mapc"], record["mapr"], record["maps"] = 1, 2, 3
    file_shape, axis_order = ints(record, "nz", "ny", "nx"), ints(record, "mapc", "mapr", "maps")
    for name, m in zip(("mx", "my", "mz"), _mesh(record, file_shape, axis_order), strict=True):
        if record[name] < 0:
            changed.append(f"{name} {int(record[name])}")
            record[name] = m
    for edge in "xyz":
        if record["cella"][edge] < 0:
            changed.append(f"cell edge {edge} {float(record['cella'][edge]):g}")
            record["cella"][edge] = 0  # unset
    return record, changed


def _warn_of_repairs(record, warnings):
    changed = _repaired(record)[1]
    if changed:
        warnings.append(f"invalid in the header and replaced in outputs: {', '.join(changed)}")
    ispg = int(record["ispg"])
    if ispg > 630 or 230 < ispg < 401:
        warnings.append(f"ISPG {ispg} in the header is not a space group; outputs keep it")


def _extended_type(exttyp, extended):
    """A standard type: that of the file, or a guess from the bytes (CCP4 symmetry records are text)."""
    if exttyp in _EXTENDED_TYPES:
        return exttyp
    text = len(extended) % 80 == 0 and all(byte == 0 or 32 <= byte < 127 for byte in extended)
    return b"CCP4" if text else b"MRCO"


def _labels(record, added):
    """Up to ten labels: those of the file without gaps, then the new ones, which replace the last if all are taken."""
    count = int(record["nlabl"])
    kept = []
    for index, label in enumerate(bytes(label) for label in record["label"]):
        # beyond nlabl some programs leave random memory
        readable = label.rstrip(b"\0").isascii() and label.rstrip(b"\0").decode("ascii").isprintable()
        if label.strip() and (index < count or readable):
            kept.append(label)
    new = [text.encode("ascii", "replace")[:_LABEL_BYTES] for text in added if text.strip()][:_LABELS]
    return kept[:_LABELS - len(new)] + new


def output_header(like: Any, extended: bytes, statistics: Moments, labels: Sequence[str]) -> bytes:
    """The header of an output: mode 2, little-endian, everything else as in its source map.

    Only values that are invalid in MRC2014 are changed: a negative ISPG becomes 1, a negative mx, my or mz
    the box, a negative cell edge 0 (unset), axis numbers 0, 0, 0 become 1, 2, 3, an unknown type of extended header
    CCP4 or MRCO, and labels close ranks.

    Parameters
    ----------
    like : numpy record
        Header of the input.
    extended : bytes
        Extended header that will follow.
    statistics : occupy_jit.kernels.moments.Moments
        Of the data that will be written.
    labels : sequence of str
        Labels to append; characters outside ASCII become question marks, 80 characters are kept.

    Returns
    -------
    bytes
        1024 of them.
    """
    record, _ = _repaired(like)
    record["mode"] = 2
    record["dmin"], record["dmax"] = statistics.minimum, statistics.maximum
    record["dmean"], record["rms"] = statistics.mean, statistics.deviation
    record["nsymbt"] = len(extended)
    if extended:
        record["exttyp"] = _extended_type(record["exttyp"].item(), extended)
    if int(record["nversion"]) not in (20140, 20141):
        record["nversion"] = 20141
    record["map"] = b"MAP "
    if stamp_order(record) != "<":
        record["machst"] = (0x44, 0x44, 0, 0)
    kept = _labels(record, labels)
    record["nlabl"] = len(kept)
    record["label"] = kept + [b""] * (_LABELS - len(kept))
    return record.astype(HEADER_DTYPE.newbyteorder("<")).tobytes()
