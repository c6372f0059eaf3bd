"""States of volumes in one call, for Python: read, fit and divide volumes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.errors import InputError, UsageError
from occupy_jit.estimation.states.ensemble import FEWEST_VOLUMES, Ensemble, analyse
from occupy_jit.estimation.states.mean_volume import MeanVolume
from occupy_jit.estimation.states.without_model import FirstPass, SecondPass, ensemble_of

if TYPE_CHECKING:
    from occupy_jit.estimation.states.ensemble import StatesResult
    from occupy_jit.files.maps.maps import Map
    from occupy_jit.files.models.reading import AtomicModel

_MOST_IN_MEAN = 200


def states(volumes: Sequence[str] | os.PathLike[str] | Map | np.ndarray, *,  # noqa: PLR0913 (the public interface, by keyword)
           model: AtomicModel | str | os.PathLike[str] | None = None, parts: tuple[Any, ...] = (),
           reference: tuple[Any, ...] = (), b_factors: str = "auto", number: int | None = None,
           particles: Sequence[float] | None = None, voxel_size: Any = None, position: Any = None,
           progress: Callable[..., Any] | None = None) -> StatesResult:
    """Divide volumes of one complex into states, with the parts of each state and their order.

    Parameters
    ----------
    volumes : sequence of str, path-like, Map or ndarray (z, y, x)
        On one grid, aligned to each other. Files are read one at a time.
    model : AtomicModel, str or path-like, optional
        A model that lies in them. Without it, the parts are blocks that come and go together.
    parts, reference, b_factors
        As for `occupy_jit.occupancy_of_parts`; reference parts are full in all volumes.
    number : int, optional
        Number of states; found if not given.
    particles : sequence of float, optional
        Number of particles behind each volume.
    voxel_size, position : optional
        For arrays: Å, and position of the first voxel in the frame of the model (x, y, z).
    progress : callable, optional
        Called with a sentence before every step.

    Returns
    -------
    StatesResult
        Iterating over it gives the rows of states and parts: ``pandas.DataFrame(result)``.

    Raises
    ------
    InputError
        A volume cannot be used (the command would leave it out), there are fewer than three, or the model
        does not lie in them.
    UsageError
        The request is contradictory.

    Examples
    --------
    >>> import glob
    >>> found = occupy_jit.states(glob.glob("volumes/*.mrc"), model="model.cif")        # doctest: +SKIP
    >>> found.n_states, found.composition.call                                          # doctest: +SKIP
    """
    from occupy_jit.estimation.parts.selection import select_parts
    from occupy_jit.estimation.states.prepared_fit import PreparedFit
    from occupy_jit.files.models.reading import AtomicModel, read_model

    volumes, say = list(volumes), progress or (lambda sentence: None)
    if len(volumes) < FEWEST_VOLUMES:
        raise InputError(f"states need at least {FEWEST_VOLUMES} volumes; there are {len(volumes)}")
    if particles is not None and len(particles) != len(volumes):
        raise UsageError(f"particles: {len(particles)} numbers for {len(volumes)} volumes")
    counts = None if particles is None else np.asarray(particles, float)
    names_of_volumes = [_called(volume, k) for k, volume in enumerate(volumes)]
    if model is None:
        if parts or reference:
            raise UsageError("parts and reference are those of a model: give model=")
        blocks = _blocks(volumes, voxel_size, say)
        result = analyse(ensemble_of(names_of_volumes, blocks), number, counts)
        result.blocks = blocks
        return result
    structure = model if isinstance(model, AtomicModel) else read_model(model)
    names, part, wanted = select_parts(structure, parts, reference)
    say("mean of the volumes")
    mean, first = MeanVolume(), _opened(volumes[0])
    for volume in volumes[::max(1, -(-len(volumes) // _MOST_IN_MEAN))]:
        mean.add(_data(_opened(volume), first, volume))
    place = mean.data
    if not isinstance(first, np.ndarray):
        first.data, place = mean.data, first
    prepared = PreparedFit(place, structure, part, b_factors, voxel_size, position, say)
    fits = []
    for k, volume in enumerate(volumes):
        say(f"volumes: {k + 1} of {len(volumes)}")
        try:
            found = prepared.fit(_data(_opened(volume), place, volume))
        except InputError as error:
            raise InputError(f"{_called(volume, k)}: {error}") from error
        _refuse_shift(volume, k, found.shift)
        fits.append((found.raw, found.deviation))
    say("states")
    return analyse(Ensemble.of_fits(names_of_volumes, names, fits, prepared), number, counts, wanted)


def _blocks(volumes, voxel_size, say):
    """Blocks of the volumes, in two passes."""
    opened = _opened(volumes[0])
    if voxel_size is None:
        if isinstance(opened, np.ndarray):
            raise UsageError("voxel_size: an array has no voxel size; give it in Å")
        voxel_size = opened.voxel_size
    first = FirstPass(float(voxel_size))
    for k, volume in enumerate(volumes):
        say(f"mean of the volumes: {k + 1} of {len(volumes)}")
        first.add(_data(_opened(volume), opened, volume))
    shape = (opened if isinstance(opened, np.ndarray) else opened.data).shape
    second = SecondPass(first, shape)
    for k, volume in enumerate(volumes):
        say(f"volumes: {k + 1} of {len(volumes)}")
        try:
            shift = second.add(_data(_opened(volume), opened, volume))
        except InputError as error:
            raise InputError(f"{_called(volume, k)}: {error}") from error
        _refuse_shift(volume, k, shift)
    return second.search.find(say)


def _refuse_shift(volume, number, shift):
    if np.any(shift):
        raise InputError(f"{_called(volume, number)}: is not aligned to the others: it fits their mean better after a "
                         "shift by " + ", ".join(f"{v:.1f}" for v in shift) + " Å (x, y, z)")


def _opened(volume: Any) -> Any:
    """A map, or the array itself."""
    if isinstance(volume, (str, os.PathLike)):
        from occupy_jit.files.maps.reading import read_map

        return read_map(volume)
    return volume


def _data(volume, first, given):
    """The array of a volume on the grid of the first."""
    data = volume if isinstance(volume, np.ndarray) else volume.data
    shape = (first if isinstance(first, np.ndarray) else first.data).shape
    if data.shape != shape:
        raise InputError(f"{_called(given, None)}: has {' x '.join(map(str, data.shape[::-1]))} voxels (x, y, z), the "
                         f"first {' x '.join(map(str, shape[::-1]))}")
    if not isinstance(volume, np.ndarray) and not isinstance(first, np.ndarray):
        from occupy_jit.files.maps.maps import check_same_grid

        check_same_grid(first, volume)
    return data


def _called(volume, number):
    """Name of a volume in tables and messages."""
    path = volume if isinstance(volume, (str, os.PathLike)) else getattr(volume, "path", None)
    return f"volume {number + 1}" if path is None and number is not None else os.fsdecode(path or "a volume")
