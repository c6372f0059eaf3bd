"""A map in memory, with everything needed to write another map that overlays it.

Its data are float32 [z, y, x] with x fastest, whatever the axis order, type and byte order in the file; output
has the axis order of the file again, so that input and output overlay by their headers.
"""

from dataclasses import dataclass, field

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.files.checksum import Checksum
from occupy_jit.files.maps import mrc_header
from occupy_jit.files.maps import position as map_position
from occupy_jit.files.names.paths import shown


@dataclass
class Map:
    """A map in memory, with everything needed to write another map that overlays it.

    Attributes
    ----------
    data : ndarray of float32, shape (z, y, x)
        C-contiguous; x is fastest for any axis order of the file.
    voxel_size : float
        Å.
    path : str or None
        As given; None for a map without a file.
    header : numpy record
        As read (field names of mrcfile), in native byte order.
    extended_header : bytes
    axis_order : tuple of int
        (mapc, mapr, maps): axes x, y, z (1, 2, 3) of the columns, rows and sections of the file.
    warnings : list of str
        Peculiarities of the file, one line each.
    minimum, maximum : float or None
        Of the data, if known.
    checksum : Checksum or None
        SHA-256 of the file, computed in the background, if requested.
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
    def position(self) -> tuple[float, ...]:
        """tuple of float : Position of voxel [0, 0, 0], in Å along x, y, z."""
        return map_position.position(self.header, self.axis_order, self.voxel_size)


def map_from_array(data: np.ndarray, voxel_size: float, path: str | None = None) -> Map:
    """A `Map` of an array, for data without a file.

    Parameters
    ----------
    data : array_like, shape (z, y, x)
        Real; converted once if it is not C-contiguous float32.
    voxel_size : float
        Å.
    path : str, optional
        Name in messages.

    Returns
    -------
    Map

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


def check_same_grid(reference: Map, other: Map, path: str | None = None) -> None:
    """Refuse a mask, half map or class that is not on the grid of the map.

    Parameters
    ----------
    reference, other : Map
    path : str, optional
        Name of `other` for the message; its own by default.

    Raises
    ------
    InputError
        Shape, voxel size (by more than 1%) or position differ; the message gives both.
    """
    name = shown(path if path is not None else other.path or "the array")
    against = shown(reference.path or "the array")
    advice = "resample it on the grid of the map (ChimeraX: volume resample #2 onGrid #1)"
    if other.data.shape != reference.data.shape:
        a, b = (" x ".join(str(n) for n in m.data.shape[::-1]) for m in (other, reference))
        raise InputError(f"{name}: has {a} voxels (x, y, z), {against} has {b}; {advice}")
    if not map_position.same_voxel_size(other.voxel_size, reference.voxel_size):
        raise InputError(f"{name}: has voxels of {other.voxel_size:.5g} Å, {against} of {reference.voxel_size:.5g} Å; "
                         f"{advice}")
    if not map_position.same_position(other.position, reference.position, reference.voxel_size):
        a, b = (", ".join(f"{v:.2f}" for v in m.position) for m in (other, reference))
        raise InputError(f"{name}: begins at {a} Å (x, y, z), {against} at {b} Å; move it, or {advice}")
