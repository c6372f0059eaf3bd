"""States of many volumes: read, fitted with one model, divided into states, written; the steps in their order."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs.one_map.writing import make_directory
from occupy_jit.runs.states import fitting, mean_map
from occupy_jit.runs.states.outputs import Findings, write_all
from occupy_jit.runs.states.volumes import find_volumes, maps_of, names_of
from occupy_jit.runs.workers.engines import in_turn

if TYPE_CHECKING:
    import logging

    from occupy_jit.settings import Options

MEAN = "mean_all.mrc"


def run(options: Options, listener: logging.Handler | None = None, executor: Callable[..., Any] = in_turn) -> int:
    """Divide volumes into states.

    Parameters
    ----------
    options : occupy_jit.settings.Options
        With all maps by name, ``states``, and a ``model``.
    listener : logging.Handler, optional
        Gets the lines of the log.
    executor : callable
        As `occupy_jit.runs.workers.engines.in_turn`.

    Returns
    -------
    int
        0, or 1 where volumes were left out.

    Raises
    ------
    OccupyError
        Nothing can be found out, or written.
    """
    from occupy_jit.runs.plan.plan import check_options

    log = RunLog(listener)
    check_options(options)
    maps = maps_of(options)
    log.header(options.command_line, [f"{len(maps)} volumes"])
    with log.timed("headers"):
        volumes = find_volumes(maps, options, log)
    if options.dry_run:
        return _describe(volumes, options, log)
    _check_number(options, len(volumes.paths))
    mean = _mean(volumes, options, log)
    prepared, parts, reference = _prepare(mean, options, log)
    mean_path = _write_mean(volumes, mean, options)
    tasks = fitting.tasks_for(volumes, mean_path, options, _memory_needed(volumes, prepared))
    fits = _fit(tasks, volumes, prepared, options, log, listener, executor)
    result, particles = _analyse(volumes, parts, fits, prepared, reference, options, log)
    with Outputs() as outputs:
        found = Findings(result, names_of(volumes.paths), volumes, particles, fits)
        written = write_all(found, outputs, options, log)
        written.append((mean_path, "mean of all volumes"))
    log.wrote(written)
    fitting.remove_kept(tasks)
    return int(bool(volumes.left_out))


def _describe(volumes, options, log):
    """What would be done: --dry-run."""
    shape = " x ".join(map(str, volumes.header.shape[::-1]))
    log.say(f"{len(volumes.paths)} volumes of {shape} voxels of {volumes.header.voxel_size:.4g} Å; states would be "
            f"written to {shown(options.output_dir)}")
    return int(bool(volumes.left_out))


def _check_number(options, there):
    if options.states is not True and options.states > there:
        raise UsageError(f"--states {options.states}: {options.states} states of {there} volumes; give a smaller "
                         "number, or more volumes")


def _mean(volumes, options, log):
    """The mean of the volumes, as a map."""
    from occupy_jit.files.maps.reading import read_map

    log.step("mean of the volumes")
    with log.timed("mean of the volumes"):
        data = mean_map.mean_of_all(volumes, options, log)
        _refuse_copies(volumes, data, options)
        mean = read_map(volumes.paths[0], options.voxel_size)
        mean.data = data
    log.step()
    return mean


def _write_mean(volumes, mean, options):
    """Write it, for the workers and for the user; returns its path."""
    from occupy_jit.files.maps.writing import write_map
    from occupy_jit.runs.one_map.writing import map_label

    path = os.path.join(options.output_dir, MEAN)
    if any(os.path.abspath(path) == os.path.abspath(volume) for volume in volumes.paths):
        raise UsageError(f"{shown(path)}: the mean of the volumes would overwrite one of them; use another "
                         "--output-dir")
    make_directory(options.output_dir)
    write_map(path, mean.data, volumes.header, map_label("mean of the volumes"))
    return path


def _refuse_copies(volumes, mean, options):
    """Refuse volumes that are all the same map."""
    import numpy as np

    from occupy_jit.errors import InputError

    some = [mean_map.read_volume(path, options) for path in (volumes.paths[0], volumes.paths[-1])]
    same = [np.corrcoef(data.ravel(), mean.ravel())[0, 1] > 1 - 1e-9 for data in some]
    if all(same):
        raise InputError("all volumes are the same map: there are no states to be found")


def _prepare(mean, options, log):
    try:
        with log.timed("prepare the fit"):
            prepared, parts, reference = fitting.prepare(mean, options, log.step)
    finally:
        log.step()
    for remark in prepared.model.remarks:
        log.warning(remark)
    log.results([("parts", len(parts)), ("detail", prepared.detail, "Å"),
                 ("explained", f"{100 * prepared.explained:.0f} % of the mean of the volumes at the model's atoms")],
                title="model")
    if prepared.n_outside:
        log.warning(f"{prepared.n_outside} atoms of the model lie outside of the volumes and are left out")
    return prepared, parts, reference


def _memory_needed(volumes, prepared):
    """Bytes: the volume, its transform and copies, and what was prepared."""
    import numpy as np

    return int(32 * np.prod(volumes.header.shape) + prepared.n_bytes)


def _fit(tasks, volumes, prepared, options, log, listener, executor):
    """Fits of the volumes that could be fitted, in their order."""
    fits = {}
    number = len(volumes.paths)
    with log.timed("fit"):
        for done, (path, fit) in enumerate(fitting.fit_all(tasks, options, log, listener, executor), 1):
            if isinstance(fit, str):
                volumes.leave_out(path, fit, log)
            else:
                fits[path] = fit
            log.step(f"volumes: {done} of {number} fitted")
    log.step()
    volumes.require_enough()
    moved = fitting.require_same_place({path: fits[path][3] for path in volumes.paths}, volumes, prepared.detail, log)
    volumes.require_enough()
    return {path: fits[path] for path in volumes.paths if path not in moved}


def _analyse(volumes, parts, fits, prepared, reference, options, log):
    """States, and the number of particles of every volume or None."""
    from occupy_jit.estimation.states.ensemble import Ensemble, analyse

    ensemble = Ensemble.of_fits(names_of(volumes.paths), parts, [fits[path] for path in volumes.paths], prepared)
    number = None if options.states is True else options.states
    log.step("states")
    with log.timed("states"):
        result = analyse(ensemble, number, None, reference)
    log.step()
    return result, None
