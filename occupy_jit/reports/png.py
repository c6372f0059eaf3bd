"""PNG files from arrays, with the standard library alone.

matplotlib and Pillow also write PNG, but every report has pictures, and neither comes with a plain
installation. Thirty lines of zlib do not change with the version of a library, so reports stay identical.
"""

import base64
import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR = 2
_UP = 2  # each row as its difference from the row above, so that smooth pictures deflate better


def png(rgb: np.ndarray, clear: tuple[int, int, int] | None = None) -> bytes:
    """A picture as the bytes of a PNG file.

    Parameters
    ----------
    rgb : (height, width, 3) uint8 array
    clear : (r, g, b), optional
        The colour that is transparent.

    Returns
    -------
    bytes
    """
    height, width, _ = rgb.shape
    rows = rgb.reshape(height, 3 * width)
    filtered = np.empty((height, 3 * width + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, _TRUECOLOUR, 0, 0, 0)
    transparent = b"" if clear is None else _chunk(b"tRNS", struct.pack(">HHH", *clear))
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), transparent, _chunk(b"IDAT", zlib.compress(filtered, 6)),
                     _chunk(b"IEND", b"")))


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_uri(rgb: np.ndarray, clear: tuple[int, int, int] | None = None) -> str:
    """A picture as a data address; parameters as for `png`."""
    return "data:image/png;base64," + base64.b64encode(png(rgb, clear)).decode("ascii")
