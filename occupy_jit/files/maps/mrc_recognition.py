"""Whether 1024 bytes are the header of an MRC map, and its byte order."""

from typing import Any

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown

HEADER_BYTES = 1024

MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
REFUSED_MODES = {3: "complex 16-bit integers", 4: "complex numbers", 16: "RGB colours", 101: "4-bit integers"}
MAX_DIMENSION = 65_535  # voxels along an axis; a larger number is a damaged header

_FOREIGN = ((b"\x89HDF", "an HDF5 file"), (b"PK\x03\x04", "a zip archive: unpack it"), (b"\xfd7zXZ", "an xz archive: "
            "unpack it"), (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it"), (b"II*\0", "a TIFF image"),
            (b"MM\0*", "a TIFF image"), (b"\x89PNG", "a PNG image"), (b"%PDF", "a PDF document"),
            (b"\x1f\x8b", "compressed twice: unpack it once"), (b"BZh", "compressed twice: unpack it once"))


def ints(record: Any, *names: Any) -> tuple[int, ...]:
    """Fields of a header that are whole numbers."""
    return tuple(int(record[name]) for name in names)


def xyz(record: Any, name: str, parts: str | tuple[str, str, str] = "xyz") -> Any:
    """Parts of a field of a header, real numbers."""
    return tuple(float(record[name][part]) for part in parts)


def plausible(record: Any) -> tuple[bool, bool, bool]:
    """Plausibility of dimensions, mode and axis numbers."""
    dimensions = all(0 < n <= MAX_DIMENSION for n in ints(record, "nx", "ny", "nz"))
    mode = int(record["mode"]) in MODES or int(record["mode"]) in REFUSED_MODES
    axes = sorted(ints(record, "mapc", "mapr", "maps")) in ([1, 2, 3], [0, 0, 0])
    return dimensions, mode, axes


def stamp_order(record: Any) -> str | None:
    """Byte order of the machine stamp, or None (missing or wrong in old files)."""
    first, second = (int(byte) for byte in record["machst"][:2])
    if first == 0x44 and second in (0x41, 0x44):
        return "<"
    return ">" if (first, second) == (0x11, 0x11) else None


def decode(raw: bytes) -> tuple[Any, str, str | None]:
    """The header in the more plausible byte order, and this order; the stamp decides if both are plausible."""
    stored = {order: np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order))[0] for order in "<>"}
    stamp = stamp_order(stored["<"])
    order = max("<>", key=lambda order: (sum(plausible(stored[order])), order == stamp, order == "<"))
    record = np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order)).astype(HEADER_DTYPE.newbyteorder("="))
    return record.reshape(()).view(np.recarray), order, stamp


def refuse_not_a_map(raw: bytes, path: str, record: Any, stamp: str) -> None:
    """`InputError` for a file that is not a map, with a guess at its type."""
    name = shown(path)
    if not raw:
        raise InputError(f"{name}: is empty; copy or download it again")
    evidence = sum(plausible(record)) + (record["map"].item().strip() == b"MAP") + (stamp is not None)
    if evidence >= 3 and len(raw) == HEADER_BYTES:
        return
    for magic, what in _FOREIGN:
        if raw.startswith(magic):
            raise InputError(f"{name}: is not an MRC map but {what}")
    if not raw.strip(b"\0"):
        raise InputError(f"{name}: is not an MRC map: it begins with zeros only; copy or download it again")
    if all(byte in b"\t\r\n\f" or 32 <= byte for byte in raw):
        raise InputError(f"{name}: is not an MRC map but text; name the map itself")
    if len(raw) < HEADER_BYTES:
        raise InputError(f"{name}: truncated: a map begins with a header of {HEADER_BYTES} bytes, this has {len(raw)}; "
                         "copy or download it again")
    raise InputError(f"{name}: is not an MRC map (its header makes no sense in either byte order)")
