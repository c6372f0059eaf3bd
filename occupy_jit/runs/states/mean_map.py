"""Means of the volumes of a run, one volume in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import OccupyError, explain
from occupy_jit.estimation.states.mean_volume import MeanVolume

if TYPE_CHECKING:
    import numpy as np

    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.states.volumes import Volumes
    from occupy_jit.settings import Options

_MOST = 200


def mean_of_all(volumes: Volumes, options: Options, log: RunLog) -> np.ndarray:
    """Mean of at most 200 volumes, each less its solvent and divided by its standard deviation.

    Volumes that cannot be read are left out.

    Parameters
    ----------
    volumes : occupy_jit.runs.states.volumes.Volumes
    options : occupy_jit.settings.Options
    log : occupy_jit.reports.runlog.RunLog

    Returns
    -------
    ndarray (z, y, x), float32
    """
    mean = MeanVolume()
    for path in volumes.paths[::max(1, -(-len(volumes.paths) // _MOST))]:
        try:
            mean.add(read_volume(path, options))
        except (OccupyError, OSError) as error:
            volumes.leave_out(path, explain(error)[2], log)
    volumes.require_enough()
    return mean.data


def read_volume(path: str, options: Options) -> Any:
    """Data of a volume: ndarray (z, y, x), float32.

    Raises
    ------
    InputError
        It cannot be read, or it is constant.
    """
    from occupy_jit.files.maps.reading import read_map

    return read_map(path, options.voxel_size).data


def mean_of(paths: Sequence[str], scales: Sequence[float], weights: Any, options: Options) -> Any:
    """Weighted mean of volumes, each less its solvent and divided by its full scale: ndarray (z, y, x), float32.

    Parameters
    ----------
    paths : sequence of str
    scales, weights : sequence of float
        Full scale in units of the volume, and weight.
    options : occupy_jit.settings.Options
    """
    mean = MeanVolume()
    for path, scale, weight in zip(paths, scales, weights, strict=True):
        mean.add(read_volume(path, options), float(scale), float(weight))
    return mean.data
