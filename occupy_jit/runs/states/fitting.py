"""Fits of all volumes with the model prepared on their mean: in pieces, here or in workers.

A piece of some volumes is a task. Its results are kept in a file until the end of the run, so that a killed run
can continue (--resume). Every worker prepares the fit from the mean map, so that the assignment of volumes does not
change the results.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError, OccupyError, explain
from occupy_jit.files.names.paths import shown
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs.one_map.outcome import failed

if TYPE_CHECKING:
    import logging

    from occupy_jit.runs.states.volumes import Volumes
    from occupy_jit.settings import Options

_PIECE = 8


@dataclass(frozen=True)
class FitTask:
    """A task: some volumes to fit; it can be sent to another process.

    Attributes
    ----------
    path : str
        The first of them.
    paths : tuple of str
    mean : str
        Path of the mean map.
    kept : str
        File with the kept result.
    key : str
        Key of the run; results with another key are not used.
    options : occupy_jit.settings.Options
    memory_bytes : int
    label : str or None
    """

    path: str
    paths: tuple
    mean: str
    kept: str
    key: str
    options: Options
    memory_bytes: int
    label: str | None = None

    @property
    def also_read(self) -> Any:
        """tuple of str : Input files beside the volumes."""
        return (self.mean, self.options.model)


@dataclass(frozen=True)
class FitOutcome:
    """Outcome of a task.

    Attributes
    ----------
    path : str
        Of the task.
    status : int
    message : str
    fits : tuple
        For each volume (raw, deviation, explained, shift, grey), or a sentence with the reason for a failure.
    lines, warnings : tuple
    """

    path: str
    status: int
    message: str
    fits: tuple = ()
    lines: tuple = ()
    warnings: tuple = ()


def prepare(mean: Any, options: Options, say: Any = None) -> tuple[Any, Any, Any]:
    """The model prepared on the mean map: (PreparedFit, names of parts, reference parts or None)."""
    from occupy_jit.estimation.parts.selection import select_parts
    from occupy_jit.estimation.states.prepared_fit import PreparedFit
    from occupy_jit.runs.plan.model_read import parts_of

    model = parts_of(options)
    names, part, reference = select_parts(model, options.parts, options.reference_part)
    return PreparedFit(mean, model, part, options.b_factors, say=say), names, reference


@functools.lru_cache(maxsize=1)
def _prepared(mean_path, options, key):
    from occupy_jit.files.maps.reading import read_map

    return prepare(read_map(mean_path), options)[0]


def fit_some(task: Any, listener: logging.Handler | None = None) -> Any:
    """Fit the volumes of a task; always returns a FitOutcome."""
    log = RunLog(listener)
    try:
        prepared = _prepared(task.mean, task.options, task.key)
        fits = tuple(_fit(prepared, path, task.options) for path in task.paths)
        _keep(task, fits)
        return FitOutcome(task.path, 0, "done", fits)
    except Exception as error:  # the others still run
        return failed(task.path, error, log)


def _fit(prepared, path, options):
    from occupy_jit.runs.states.mean_map import read_volume

    try:
        found = prepared.fit(read_volume(path, options))
    except (OccupyError, OSError, ValueError, FloatingPointError) as error:
        return explain(error)[2]
    return found.raw, found.deviation, found.explained, found.shift, found.density


def _keep(task, fits):
    """Keep the results for a later run."""
    import json

    import numpy as np

    from occupy_jit.files.output.transaction import replaced

    told = [fit if isinstance(fit, str) else None for fit in fits]
    done = [fit for fit in fits if not isinstance(fit, str)]
    arrays = {"key": np.array(task.key), "told": np.array(json.dumps(told))}
    for index, name in enumerate(("raw", "deviation", "explained", "shift", "density")):
        arrays[name] = np.array([fit[index] for fit in done])
    with replaced(task.kept) as file:
        np.savez(file, **arrays)


def _kept(task):
    """Kept results of a task; None without results of this run."""
    import json

    import numpy as np

    try:
        with np.load(task.kept, allow_pickle=False) as arrays:
            if str(arrays["key"]) != task.key:
                return None
            told = json.loads(str(arrays["told"]))
            rows = zip(*(arrays[name] for name in ("raw", "deviation", "explained", "shift", "density")), strict=True)
            fits = tuple(one if one is not None else _plain(next(rows)) for one in told)
    except (OSError, ValueError, KeyError, EOFError, StopIteration):
        return None
    return FitOutcome(task.path, 0, "done", fits) if len(fits) == len(task.paths) else None


def _plain(row):
    raw, deviation, explained, shift, density = row
    return raw, deviation, float(explained), shift, float(density)


def tasks_for(volumes: Volumes, mean_path: str, options: Options, memory_bytes: int) -> list[FitTask]:
    """The tasks of a run.

    Parameters
    ----------
    volumes : occupy_jit.runs.states.volumes.Volumes
    mean_path : str
    options : occupy_jit.settings.Options
    memory_bytes : int
        That a task needs.

    Returns
    -------
    list of FitTask
    """
    key = _key(volumes, mean_path, options)
    tasks = []
    for first in range(0, len(volumes.paths), _PIECE):
        some = tuple(volumes.paths[first:first + _PIECE])
        kept = os.path.join(options.output_dir, f"states_fit_{first // _PIECE + 1:05d}.npz")
        tasks.append(FitTask(some[0], some, mean_path, kept, key, options, memory_bytes))
    return tasks


def _key(volumes, mean_path, options):
    """Key of everything that determines a fit."""
    from occupy_jit import __version__
    from occupy_jit.runs.plan.model_read import parts_of

    digest = hashlib.sha256(__version__.encode())
    with open(mean_path, "rb") as file:
        digest.update(file.read())
    digest.update(parts_of(options).text)
    digest.update(repr((options.parts, options.b_factors, options.voxel_size)).encode())
    for path in volumes.paths:
        there = os.stat(path)
        digest.update(repr((os.path.abspath(path), there.st_size, there.st_mtime_ns)).encode("utf-8", "replace"))
    return digest.hexdigest()


def fit_all(tasks: Any, options: Options, log: RunLog, listener: logging.Handler | None, executor: Any
           ) -> Iterator[tuple[str, tuple[Any, ...] | str]]:
    """Run all tasks; yields (path, fit) of every volume, in order of completion.

    Yields
    ------
    path : str
    fit : tuple or str
        A sentence if the fit failed.

    Raises
    ------
    InputError
        No volume could be fitted.
    """
    rest = []
    by_path = {task.path: task for task in tasks}
    for task in tasks:
        outcome = _kept(task) if options.resume else None
        if outcome is None:
            rest.append(task)
        else:
            yield from zip(task.paths, outcome.fits, strict=True)
    if options.resume:
        log.say(f"{len(tasks) - len(rest)} of {len(tasks)} pieces are fitted already")
    for outcome in executor(fit_some, rest, listener):
        task = by_path[outcome.path]
        if outcome.status:
            yield from ((path, outcome.message) for path in task.paths)
            continue
        yield from zip(task.paths, outcome.fits, strict=True)


def remove_kept(tasks: Any) -> None:
    """Remove kept results."""
    for task in tasks:
        try:
            os.unlink(task.kept)
        except FileNotFoundError:
            pass


def require_same_place(shifts: dict[str, Any], volumes: Volumes, detail: float, log: RunLog) -> Any:
    """Leave out volumes that are not aligned with the others; refuse if there are many.

    Parameters
    ----------
    shifts : dict
        Path -> better shift, Å along x, y, z; 0 if aligned.
    volumes : occupy_jit.runs.states.volumes.Volumes
    detail : float
        Å.
    log : occupy_jit.reports.runlog.RunLog
    """
    import numpy as np

    moved = {path: shift for path, shift in shifts.items() if np.any(shift)}
    if len(moved) > len(shifts) / 3:
        path, shift = next(iter(moved.items()))
        raise InputError(f"the volumes are not aligned to each other: {len(moved)} of {len(shifts)} fit the mean of "
                         f"all better after a shift (the first: {shown(path)}, by {_xyz(shift)} Å); align them first "
                         "(ChimeraX: fitmap #2 inMap #1, then volume resample #2 onGrid #1)")
    for path, shift in moved.items():
        volumes.leave_out(path, f"is not aligned to the others: it fits their mean better after a shift by "
                          f"{_xyz(shift)} Å (x, y, z)", log)
    return moved


def _xyz(shift):
    return ", ".join(f"{v:.1f}" for v in shift)
