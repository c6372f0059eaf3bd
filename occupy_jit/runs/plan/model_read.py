"""The model of a run and its parts: read when a run is planned, and not again for the fit."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from occupy_jit.estimation.parts.volumes import ModelSize

if TYPE_CHECKING:
    from occupy_jit.files.models.reading import AtomicModel
    from occupy_jit.settings import Options


def parts_of(options: Options) -> AtomicModel:
    """The model that `options` name, and its parts.

    Parameters
    ----------
    options : occupy_jit.settings.Options

    Returns
    -------
    occupy_jit.files.models.reading.AtomicModel
        To be left as it is: the next map is given the same.

    Raises
    ------
    InputError
        The file cannot be used, or does not hold what the options name.
    UsageError
        Parts overlap, or have the name of another.
    """
    return _read_selected(options)[0]


def size_of(options: Options) -> ModelSize:
    """What the memory for the fit depends on: `occupy_jit.estimation.parts.volumes.ModelSize`; raises as `parts_of`."""
    return _read_selected(options)[1]


def has_ligands(options: Options) -> bool:
    """Whether the model holds anything that is looked at as a ligand; raises as `parts_of`."""
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
    """The model, its size, and whether it has ligands, of a file that is as it is."""
    import numpy as np

    from occupy_jit.estimation.ligands.sites import has_ligands as any_in
    from occupy_jit.estimation.parts.selection import select_parts
    from occupy_jit.files.models.reading import read_model

    model = read_model(path, assembly)
    names, part, _ = select_parts(model, parts, reference)
    order = np.argsort(part, kind="stable")
    start = np.searchsorted(part[order], np.arange(len(names)))
    xyz = model.xyz[order]
    extents = np.maximum.reduceat(xyz, start) - np.minimum.reduceat(xyz, start)
    return model, ModelSize(tuple(map(tuple, extents.tolist())), tuple(np.ptp(xyz, axis=0).tolist()), len(model),
                            len(model.text)), any_in(model, names, part)
