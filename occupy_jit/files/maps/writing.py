"""The only place that writes maps, slab by slab and without a second copy of the volume."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import OccupyError, UsageError
from occupy_jit.files.checksum import Checksum
from occupy_jit.files.maps import mrc_header
from occupy_jit.files.maps.layout import in_file_order, slabs, to_file_order
from occupy_jit.files.maps.maps import Map
from occupy_jit.files.names.paths import same_file, shown
from occupy_jit.files.output.transaction import replaced

if TYPE_CHECKING:
    from occupy_jit.files.maps.mrc_header import MapHeader
    from occupy_jit.files.output.transaction import Outputs


def write_map(path: str | os.PathLike[str], data: np.ndarray, like: Map | MapHeader, label: str, *more_labels: str,
              outputs: Outputs | None = None, checksum: bool = False) -> Checksum | None:
    """Write a map that overlays its source map.

    MRC2014, float32, little-endian, in the axis order of `like`; cell, angles, start, origin, ISPG, extended header
    and labels are those of `like` (`mrc_header.output_header` says what is repaired), the statistics those of `data`.
    The file appears under its name only when it is complete.

    Parameters
    ----------
    path : str or path-like
    data : ndarray, shape (z, y, x)
        Canonical order, the shape of ``like.data``; float32, or any real dtype.
    like : Map or MapHeader
        Source of `data`. Its own ``data`` are not used. A `MapHeader` has no extended header.
    label, *more_labels : str
        Appended to the labels of `like`, 80 characters each; if all ten are taken they replace the last.
    outputs : Outputs, optional
        The run of the file, which appears when the run is committed.
    checksum : bool
        Start computing the SHA-256 of the file in the background.

    Returns
    -------
    Checksum or None

    Raises
    ------
    OccupyError
        The file cannot be written, or `data` holds NaN or infinity.
    UsageError
        `path` is the input itself.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import occupy_jit
    >>> demo = pathlib.Path(occupy_jit.__file__).parent / "demo" / "emd_11007_demo.mrc"
    >>> volume = occupy_jit.read_map(demo)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "negative.mrc"
    ...     occupy_jit.write_map(path, -volume.data, volume, "contrast inverted")
    ...     bool((occupy_jit.read_map(path).data == -volume.data).all())
    True
    """
    path = os.fsdecode(path)
    if like.path is not None and same_file(path, like.path):
        raise UsageError(f"{shown(path)}: is the input, which is never overwritten; choose another name or "
                         "--output-dir")
    record = like.header if isinstance(like, Map) else like.record
    extended = like.extended_header if isinstance(like, Map) else b""
    file_shape = tuple(int(record[n]) for n in ("nz", "ny", "nx"))
    source = in_file_order(data, like.axis_order)
    if source.shape != file_shape:
        raise ValueError(f"data of shape {data.shape} for a map of {file_shape} (sections, rows, columns)")
    # loading compiled code takes longer than checking files or --dry-run, which do not need it
    from occupy_jit.kernels.moments import moments

    statistics = moments(data)
    if statistics.non_finite:
        raise OccupyError(f"{shown(path)}: not written: the result holds NaN or infinity; check the input's values "
                          "and the settings")
    header = mrc_header.output_header(record, extended, statistics, (label, *more_labels))
    with (outputs.open(path) if outputs is not None else replaced(path)) as file:
        # during the writing, because both take time
        result = Checksum(file.fileno(), path, growing=True) if checksum else None
        try:
            for piece in itertools.chain((header, extended), _pieces(source, file_shape, like.axis_order)):
                file.write(piece)
                file.flush()
                if result is not None:
                    result.grown(file.tell())
        finally:
            if result is not None:
                result.complete()
    return result


def _pieces(source, file_shape, axis_order):
    """The voxels in file order, slab by slab; each slab is valid until the next."""
    wanted = np.dtype("<f4")
    buffer = None
    for start, stop in slabs(file_shape, axis_order, wanted.itemsize):
        slab = source[start:stop]
        if slab.dtype != wanted or not slab.flags.c_contiguous:
            if buffer is None:
                buffer = np.empty(slab.shape, wanted)
            to_file_order(buffer[:stop - start], slab, axis_order)
            slab = buffer[:stop - start]
        yield slab.reshape(-1).view(np.uint8)
