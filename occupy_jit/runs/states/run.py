"""States of many volumes: read volumes, fit a model, divide into states, write outputs; the steps in order."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from occupy_jit.errors import UsageError
from occupy_jit.estimation.states.ensemble import Ensemble, analyse
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs.one_map.writing import make_directory
from occupy_jit.runs.states import fitting, mean_map
from occupy_jit.runs.states.blocks_of_maps import find_blocks, rows_of
from occupy_jit.runs.states.chosen_particles import query_of
from occupy_jit.runs.states.findings import Findings
from occupy_jit.runs.states.outputs import close, write_all
from occupy_jit.runs.states.volumes import find_volumes, maps_of, names_of
from occupy_jit.runs.workers.engines import in_turn

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from occupy_jit.files.particles.sources import Particles
    from occupy_jit.runs.workers.engines import Executor
    from occupy_jit.settings import Options

MEAN = "mean_all.mrc"


def run(options: Options, listener: logging.Handler | None = None, executor: Executor = in_turn) -> int:
    """Divide volumes into states.

    Parameters
    ----------
    options : occupy_jit.settings.Options
        With all maps by name, ``states``, and a ``model``.
    listener : logging.Handler, optional
        Receives the lines of the log.
    executor : callable
        Like `occupy_jit.runs.workers.engines.in_turn`.

    Returns
    -------
    int
        0, or 1 if volumes were left out.

    Raises
    ------
    OccupyError
        The run is impossible, or its outputs cannot be written.
    """
    from occupy_jit.runs.plan.plan import check_options

    log = RunLog(listener)
    check_options(options)
    maps = maps_of(options)
    log.header(options.command_line, [f"{len(maps)} volume{'s' if len(maps) != 1 else ''}"])
    particles = particles_of(options, maps)
    with log.timed("headers"):
        volumes = find_volumes(maps, options, log)
    if options.dry_run:
        return _describe(volumes, options, log)
    _check_number(options, len(volumes.paths))
    with_parts = _without_model if options.model is None else _with_model
    found = with_parts(volumes, options, log, listener, executor)
    place = [maps.index(path) for path in volumes.paths]
    counts = None if particles is None else particles.count[place]
    log.step("states")
    with log.timed("states"):
        result = analyse(found.ensemble, None if options.states is True else options.states, counts, found.reference)
    log.step()
    with Outputs() as outputs:
        findings = Findings(result, found.ensemble.volumes, volumes, particles, place, found.scales, found.blocks,
                            found.prepared)
        written = write_all(findings, outputs, options, log)
    log.wrote(found.written + written)
    close(result, counts is not None, written, log)
    fitting.remove_kept(found.tasks)
    return int(bool(volumes.left_out))


class Fits(NamedTuple):
    """Results for the volumes before the division into states.

    Attributes
    ----------
    ensemble : Ensemble
    scales : dict
        Path -> value of 1 in units of the volume, on the scale of its own fit.
    reference : list of int or None
        Full parts named by the user.
    written : list of (path, what)
        Before the results.
    tasks : list of FitTask
    blocks : occupy_jit.estimation.states.blocks.Blocks or None
    prepared : occupy_jit.estimation.states.prepared_fit.PreparedFit or None
    """

    ensemble: Any
    scales: dict
    reference: object = None
    written: list = []
    tasks: list = []
    blocks: object = None
    prepared: object = None


def _with_model(volumes, options, log, listener, executor):
    """Fit the parts of the model in every volume."""
    mean = _mean(volumes, options, log)
    prepared, parts, reference = _prepare(mean, options, log)
    query_of(options, parts)
    mean_path = _write_mean(volumes, mean, options)
    tasks = fitting.tasks_for(volumes, mean_path, options, _memory_needed(volumes, prepared))
    fits = _fit(tasks, volumes, prepared, options, log, listener, executor)
    ensemble = Ensemble.of_fits(names_of(volumes.paths), parts, [fits[path] for path in volumes.paths], prepared)
    return Fits(ensemble, {path: fit[4] for path, fit in fits.items()}, reference, [(mean_path, "mean of all volumes")],
                tasks, prepared=prepared)


def _without_model(volumes, options, log, listener, executor):
    """Find blocks that come and go together."""
    from occupy_jit.estimation.states.without_model import ensemble_of

    blocks = find_blocks(volumes, options, log)
    ensemble = ensemble_of(names_of(volumes.paths), blocks)
    query_of(options, ensemble.parts)
    make_directory(options.output_dir)
    log.results([(row["block"], f"{row['volume_angstrom3']:.0f} Å^3") for row in rows_of(blocks)], title="blocks")
    return Fits(ensemble, dict(zip(volumes.paths, blocks.scale.tolist(), strict=True)), blocks=blocks)


def particles_of(options: Options, maps: Sequence[str]) -> Particles | None:
    """Particles behind all volumes; None if unknown.

    The numbers for classes of a classification are used by default.
    """
    from occupy_jit.files.particles.sources import read_particles

    paths = options.particles
    if not paths and options.relion_classes is not None:
        data = options.relion_classes.removesuffix("_model.star") + "_data.star"
        paths = (data,) if os.path.exists(data) else (options.relion_classes,)
        found = read_particles(paths, maps)
        return replace(found, volume=None, star=None)
    return read_particles(paths, maps) if paths else None


def _describe(volumes, options, log):
    """Lines of text for --dry-run."""
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
    """Write the mean for the workers and the user; returns its path."""
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
        raise InputError("all volumes are the same map: there are no states to find")


def _prepare(mean, options, log):
    try:
        with log.timed("prepare the fit"):
            prepared, parts, reference = fitting.prepare(mean, options, log.step)
    finally:
        log.step()
    for remark in prepared.model.remarks:
        log.warning(remark)
    log.results([("parts", len(parts)), ("detail", prepared.detail, "Å"),
                 ("explained", f"{100 * prepared.explained:.0f}% of the mean of the volumes at the model's atoms")],
                title="model")
    if prepared.n_outside:
        log.warning(f"{prepared.n_outside} atoms of the model lie outside the volumes and are left out")
    return prepared, parts, reference


def _memory_needed(volumes, prepared):
    """Bytes: the volume, its transform and copies, and the prepared fit."""
    import numpy as np

    return int(32 * np.prod(volumes.header.shape) + prepared.n_bytes)


def _fit(tasks, volumes, prepared, options, log, listener, executor):
    """Fits of the usable volumes, in order."""
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
