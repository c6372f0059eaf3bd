"""The model of a run and its parts, read once, when the run is planned."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from occupy_jit.estimation.parts.volumes import ModelSize

if TYPE_CHECKING:
    from occupy_jit.files.maps.mrc_header import MapHeader
    from occupy_jit.files.models.reading import AtomicModel
    from occupy_jit.settings import Options


def parts_of(options: Options) -> AtomicModel:
    """The model of `options`, and its parts.

    Parameters
    ----------
    options : occupy_jit.settings.Options

    Returns
    -------
    occupy_jit.files.models.reading.AtomicModel
        Shared between maps; do not change it.

    Raises
    ------
    InputError
        The file cannot be used, or lacks parts named in the options.
    UsageError
        Parts overlap, or have the same name.
    """
    return _read_selected(options)[0]


def size_of(options: Options, header: MapHeader) -> ModelSize:
    """Properties of the model that determine the memory of the fit.

    Parameters
    ----------
    options : occupy_jit.settings.Options
    header : occupy_jit.files.maps.mrc_header.MapHeader
        Of the map. Atoms outside it are not fitted: a placeholder at 9999 Å, for example, must not
        increase the predicted memory.

    Returns
    -------
    occupy_jit.estimation.parts.volumes.ModelSize

    Raises
    ------
    OccupyError
        As `parts_of`.
    """
    import numpy as np

    model, part = _read_selected(options)[:2]
    low, high = _box(header)
    inside = ((model.xyz >= low) & (model.xyz <= high)).all(axis=1)
    if not inside.any():
        return ModelSize((), (0.0, 0.0, 0.0), 0, len(model.text))
    order = np.argsort(part[inside], kind="stable")
    start = np.flatnonzero(np.diff(part[inside][order], prepend=-1))
    xyz = model.xyz[inside][order]
    extents = np.maximum.reduceat(xyz, start) - np.minimum.reduceat(xyz, start)
    return ModelSize(tuple(map(tuple, extents.tolist())), tuple(np.ptp(xyz, axis=0).tolist()), len(xyz),
                     len(model.text))


def _box(header):
    """Corners of a map, x, y, z in Å, in all frames that its header allows."""
    import numpy as np

    from occupy_jit.files.maps import position

    length = np.array(header.shape[::-1]) * header.voxel_size
    frames = np.array([position.position(header.record, header.axis_order, header.voxel_size),
                       position.grid_start(header.record, header.axis_order, header.voxel_size)])
    return frames.min(axis=0), frames.max(axis=0) + length


def has_ligands(options: Options) -> bool:
    """Whether the model contains ligands to analyse; raises as `parts_of`."""
    return _read_selected(options)[2]


def _read_selected(options):
    from occupy_jit.files.models.reading import read_model

    try:
        there = os.stat(options.model)
    except OSError:
        return read_model(options.model, options.assembly), None, False  # says what is wrong
    as_it_is = there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns
    return _read(options.model, options.assembly, options.parts, options.reference_part, as_it_is)


@functools.lru_cache(maxsize=1)
def _read(path, assembly, parts, reference, as_it_is):
    """The model, the part of every atom, and whether it has ligands, for an unchanged file."""
    from occupy_jit.estimation.ligands.sites import has_ligands as any_in
    from occupy_jit.estimation.parts.selection import select_parts
    from occupy_jit.files.models.reading import read_model

    model = read_model(path, assembly)
    names, part, _ = select_parts(model, parts, reference)
    return model, part, any_in(model, names, part)
