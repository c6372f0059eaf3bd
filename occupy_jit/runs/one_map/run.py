"""One map: read, estimate, modify, write. Prints nothing, and can run in another process: plan in, outcome out."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.machine.threads import thread_count
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs import warmup
from occupy_jit.runs.closing import to_open
from occupy_jit.runs.one_map import model_parts, outcome, shown_level, summary
from occupy_jit.runs.one_map.writing import Writer, make_directory, write_maps
from occupy_jit.runs.plan.memory import confidence_is_spent, wanted
from occupy_jit.runs.plan.output_kinds import Role
from occupy_jit.runs.plan.plan import check_memory

if TYPE_CHECKING:
    import logging

    from occupy_jit.estimation.scale.result import Result
    from occupy_jit.files.maps.maps import Map
    from occupy_jit.runs.one_map.outcome import Outcome
    from occupy_jit.runs.plan.plan import Plan
    from occupy_jit.settings import Settings


def run_one(plan: Plan, listener: logging.Handler | None = None) -> Outcome:
    """Run a map: read, estimate, modify, write.

    Parameters
    ----------
    plan : occupy_jit.runs.plan.plan.Plan
    listener : logging.Handler, optional
        Receives the lines of the log during the run, see `occupy_jit.reports.runlog.RunLog`.

    Returns
    -------
    occupy_jit.runs.one_map.outcome.Outcome
        Also for a failed run, which leaves no files.
    """
    return _with_outcome(_run, plan, listener)


def measure_one(plan: Plan, listener: Any = None) -> Outcome:
    """Measure the full scale of a map alone: the first of two passes over maps on a common scale.

    Parameters, result: as for `run_one`, with ``full_scale``; nothing is written.
    """
    return _with_outcome(_measure, plan, listener)


def _with_outcome(work, plan, listener):
    log = RunLog(listener, about=shown(plan.path) if plan.label is None else plan.label)
    try:
        return outcome.done(plan.path, log=log, **work(plan, log))
    except Exception as error:  # after any error of one map, the others still run
        return outcome.failed(plan.path, error, log, plan.label)


class _Inputs(NamedTuple):
    """Inputs of one map."""

    volume: Any  # a `files.maps.Map`
    half_maps: Any  # `estimation.noise.half_maps.HalfMaps` or None
    coarse_halves: dict  # for the parts of a model, because the estimate overwrites the half maps
    solvent_mask: Any  # array or None
    reference_mask: Any  # array or None
    nucleic_mask: Any  # array or None
    files: list  # of `files.checksum.FileRead`, the map first
    hot_voxels: int  # number of replaced voxels of the map
    sample: Any  # `shown_level.Thinned`, of the map


@dataclass
class _Work:
    """Inputs and results that a run holds while it writes, as far as they are still needed."""

    inputs: _Inputs
    result: Any


def _run(plan, log):
    """The whole run; returns the content of the outcome."""
    if plan.label is None:
        log.header(plan.options.command_line, [plan.path])
    else:
        log.say(f"{plan.label}: {shown(plan.path)}")
    check_memory(plan)
    workers = thread_count(plan.options.threads)
    with log.timed("read"):
        inputs = _read(plan, log)
    for line in inputs.volume.warnings:
        log.warning(f"{shown(plan.path)}: {line}")
    with log.timed("estimate"):
        result = _estimate(plan, inputs, workers)
    # the half maps are no longer needed, and only this function holds the result, so that used arrays are freed
    work = _Work(inputs._replace(half_maps=None), result)
    del inputs, result
    for code, sentence in work.result.verdicts:
        log.verdict(code, sentence)
    regions = _regions(plan, work.result)
    targets = _targets(plan, work.inputs.volume, work.result, log, regions)
    make_directory(plan.options.output_dir)
    with Outputs() as outputs:
        record, report, parts = _write(plan, work, _as_rows(targets), outputs, log, workers, regions)
    log.wrote([(output.path, output.description) for output in plan.outputs])
    if plan.label is None:
        log.closing(record["results"]["sentence"], to_open(plan.outputs))
    return {"record": record, "report": report, "parts": parts, "targets": targets,
            "written": plan.outputs}


def _read(plan, log):
    """Read the map and its masks while a separate thread loads the kernels."""
    warmup.start()
    from occupy_jit.files.checksum import FileRead
    from occupy_jit.files.maps.reading import read_map, read_mask

    options = plan.options
    files = [FileRead(plan.path), *(FileRead(path, checksum=options.json) for path in plan.also_read)]
    volume = read_map(plan.path, options.voxel_size, checksum=options.json)
    hot = _repair(volume)
    half_maps = _halves(plan, volume)
    coarse = model_parts.half_maps_for(options, volume, half_maps)
    solvent_mask = None if options.solvent_def is None else read_mask(options.solvent_def, volume).data
    reference_mask, nucleic_mask = _reference_mask(plan, volume), _nucleic_mask(plan, volume)
    _wait_for_kernels(log)
    return _Inputs(volume, half_maps, coarse, solvent_mask, reference_mask, nucleic_mask, files, hot,
                   shown_level.thinned(volume.data))


def _repair(volume):
    """Replace hot voxels of a map in place, before anything is computed from it; returns their number."""
    from occupy_jit.estimation.scale.hot_voxels import repair

    number = repair(volume.data)
    if number:
        volume.minimum = volume.maximum = None
    return number


def _reference_mask(plan, volume):
    """The mask that sets full scale; None for a search, or for a common full scale."""
    path = plan.options.reference_mask
    if path is None or plan.full_scale is not None:
        return None
    from occupy_jit.files.maps.reading import read_mask

    mask = read_mask(path, volume).data
    if not mask.max() > 0:
        raise InputError(f"{shown(path)}: the reference mask is empty ({_held(mask)}): it must be above 0 on a part "
                         "that is fully occupied")
    return mask


def _nucleic_mask(plan, volume):
    """Mask of nucleic acid; None if it is not given."""
    from occupy_jit.files.maps.reading import read_mask

    path = plan.options.nucleic_mask
    return None if path is None else read_mask(path, volume).data


def _halves(plan, volume):
    """The joined half maps; None without half maps. A map that is the first half map becomes the mean of both."""
    if not plan.halves:
        return None
    from occupy_jit.estimation.noise.half_maps import HalfMaps, join_half_maps
    from occupy_jit.files.maps.maps import check_same_grid
    from occupy_jit.files.maps.reading import read_map

    first = volume
    if not plan.is_first_half:
        first = read_map(plan.halves[0], plan.options.voxel_size)
        _repair(first)
        check_same_grid(volume, first, plan.halves[0])
    second = read_map(plan.halves[1], plan.options.voxel_size)
    _repair(second)
    check_same_grid(volume, second, plan.halves[1])
    factor = join_half_maps(first.data, second.data)
    if first is not volume:
        return HalfMaps(second.data, first.data, factor)
    volume.minimum = volume.maximum = None
    return HalfMaps(second.data, None, factor)


def _wait_for_kernels(log):
    warmup.wait()
    for line in warmup.remarks():
        log.detail(line)


def _estimate(plan, inputs, workers):
    from occupy_jit.estimation.scale.estimate import run_estimate
    from occupy_jit.estimation.scale.inputs import Inputs, Masks, Room, Wanted

    want, volume = wanted(plan.settings, plan.options), inputs.volume
    value_range = None if volume.minimum is None else (volume.minimum, volume.maximum)
    volumes = Wanted(want.confidence_of(volume.data.shape, volume.voxel_size), want.lowpass,
                     plan.path_of(Role.ERROR) is not None, plan.path_of(Role.NOISE_ERROR) is not None, core=True)
    masks = Masks(inputs.solvent_mask, inputs.reference_mask, inputs.nucleic_mask)
    with _named(plan):
        return run_estimate(Inputs(volume.data, volume.voxel_size, plan.settings, inputs.half_maps, masks, volumes,
                                   _common_full_scale(plan), Room(not want.volume, True, value_range), workers,
                                   inputs.hot_voxels))


def _common_full_scale(plan):
    """Common full scale of several maps, with the position of its own; None for a search."""
    from occupy_jit.estimation.scale.result import FullScale

    value = plan.full_scale
    return None if value is None else FullScale(value, plan.strongest_corner, 0, 0.0, 0.0, value)


@contextmanager
def _named(plan):
    """Add file names to errors about inputs."""
    from occupy_jit.estimation.scale.composition import UnusableNucleicMask
    from occupy_jit.estimation.scale.reference import UnusableReference
    from occupy_jit.estimation.solvent.definition import UnusableDefinition

    try:
        yield
    except UnusableReference as error:
        raise InputError(f"{shown(plan.options.reference_mask)}: {error}") from error
    except UnusableNucleicMask as error:
        raise InputError(f"{shown(plan.options.nucleic_mask)}: {error}") from error
    except UnusableDefinition as error:
        raise InputError(f"{shown(plan.options.solvent_def)}: {error}") from error
    except InputError as error:
        names = dict.fromkeys((plan.path, *plan.halves))
        raise InputError(f"{', '.join(map(shown, names))}: {error}") from error


def _regions(plan, result):
    """Masks and parts for the report; None without a report."""
    if plan.path_of(Role.REPORT) is None:
        return None
    from occupy_jit.reports.page.display_grid import choose_grid
    from occupy_jit.runs.one_map.part_regions import Regions

    return Regions(choose_grid(result.scale, result.confidence, result.voxel_size), result.voxel_size)


def _targets(plan, volume, result, log, regions):
    """Occupancy inside each target mask, read one by one because there may be hundreds."""
    if not plan.options.target_mask:
        return []
    from occupy_jit.estimation.regions.occupancy_in_masks import occupancy_of_masks
    from occupy_jit.files.maps.reading import read_mask

    held = {}

    def masks():
        for path in plan.options.target_mask:
            mask = read_mask(path, volume).data
            held[path] = _held(mask)
            if regions is not None:
                regions.add_mask(path, mask)
            yield path, mask

    with log.timed("target masks"):
        rows = occupancy_of_masks(result, masks())
    for row in rows:
        if row["occupancy"] is None:
            log.warning(f"{shown(row['mask'])}: nothing to measure inside this target mask ({held[row['mask']]})")
    return rows


def _held(mask):
    """Content of a mask in words."""
    return f"{int((mask > 0).sum())} of {mask.size} voxels above 0, values from {mask.min():g} to {mask.max():g}"


def _as_rows(targets):
    """Entries on target masks in tables and the record."""
    return [{name: value for name, value in target.items() if name != "in_blocks"} for target in targets]


def _write(plan, work, targets, outputs, log, workers, regions):
    """Write every file of the plan; returns the record, the summary of the report, and the parts for a group."""
    inputs = work.inputs
    # before the quiet voxels are freed
    levels = shown_level.results(inputs.sample, work.result)
    writer = Writer(plan, inputs.volume, outputs, log, levels["surface_level"])
    core = _core(work.result, log)
    work.result = replace(work.result, content=None)  # nobody asks for it any more
    writer.start_report(work.result, core.of_scale, regions)
    slices = write_maps(writer, work.result, workers)
    if confidence_is_spent(plan.settings, plan.options):
        work.result = replace(work.result, confidence=None)
    result = work.result
    writer.plain_copy()
    results = summary.results(inputs.volume, result) | levels
    parts = None
    if plan.options.model is not None:
        parts = _parts(plan, inputs, result, outputs, log, results, writer.report)
    if targets:
        results["targets"] = targets
    writer.targets(results)
    summary.add_core(results, core.of_scale, core.without_flexibility, result.verdicts, plan.full_scale is not None)
    writer.plot(result)
    writer.slices(result, slices)
    writer.chimerax(result)
    record = summary.record(plan, inputs.volume, result, results, workers, inputs.files)
    summary.tell(log, record, of_group=plan.label is not None)
    writer.record_and_log(record, workers)
    return record, writer.report_summary, parts


class _Cores(NamedTuple):
    """The core, also for the scale corrected for flexibility; None if unknown."""

    of_scale: Any
    without_flexibility: Any


def _core(result, log):
    """Measured before the modified map replaces the confidence."""
    from occupy_jit.estimation.scale.core import core_of

    with log.timed("core"):
        flexible = result.flexibility
        return _Cores(core_of(result), None if flexible is None else core_of(result, flexible.occupancy))


def _parts(plan, inputs, result, outputs, log, results, report):
    """Fit the parts of the model, add their tables to the results, and write their files; returns the data for a
    class."""
    from occupy_jit.reports.table import rounded
    from occupy_jit.runs.one_map import ligands

    with log.timed("fit the model"):
        fitted, rows = model_parts.find(plan.options, inputs, result, log, plan.keeps)
    results["parts"] = rounded(rows)
    results |= ligands.results(fitted)
    model_parts.write(plan, fitted, rows, outputs, log)
    if report is not None:
        from occupy_jit.runs.one_map.site_pictures import pictures

        with log.timed("report"):
            report.sites = pictures(inputs.volume, fitted, results.get("ligands", ()))
            report.profiles = model_parts.profiles(fitted)
            report.regions.add_parts(fitted)
    ligands.write(plan, fitted, results["surface_level"], outputs, log)
    return None if plan.label is None else model_parts.for_group(fitted)


def _measure(plan, log):
    """Only the full scale; returns the content of the outcome."""
    warmup.start()
    from occupy_jit.estimation.scale.estimate import run_full_scale
    from occupy_jit.estimation.scale.inputs import Inputs, Masks, Room, Wanted
    from occupy_jit.files.maps.reading import read_map

    check_memory(plan)
    with log.timed("read"):
        volume = read_map(plan.path, plan.options.voxel_size, may_be_constant=True)
        if volume.minimum == volume.maximum:
            return {"full_scale": None}  # whether this is an error depends on the source of the map
        _repair(volume)
        half_maps = _halves(plan, volume)
    masks = Masks(None, _reference_mask(plan, volume), _nucleic_mask(plan, volume))
    _wait_for_kernels(log)
    with log.timed("measure full scale"), _named(plan):
        found = run_full_scale(Inputs(volume.data, volume.voxel_size, plan.settings, half_maps, masks,
                                      Wanted(False, False), room=Room(True, True),
                                      thread_count=thread_count(plan.options.threads)))
    log.detail(f"{plan.label}: full scale of its own {found.value:.6g}")
    return {"full_scale": found}


def save_result(volume: Map, result: Result, settings: Settings, directory: str, *, report: bool = False,
                plot: bool = False) -> list[str]:
    """Write the files of a run, from a result in memory.

    Parameters
    ----------
    volume : occupy_jit.files.maps.maps.Map
        A map without a file is written as ``array.mrc``.
    result : occupy_jit.estimation.scale.result.Result
    settings : occupy_jit.settings.Settings
    directory : str
    report, plot : bool

    Returns
    -------
    list of str
        Paths.
    """
    from occupy_jit.files.checksum import Checksum, FileRead
    from occupy_jit.files.maps.writing import write_map
    from occupy_jit.runs.plan.plan import plan_map
    from occupy_jit.settings import Options

    made, path = [], volume.path
    if path is None:
        make_directory(directory)
        path = os.path.join(directory, "array.mrc")
        write_map(path, volume.data, volume, "map")
        made.append(path)
    given = {"report": report, "plot": plot}
    options = Options(output_dir=directory, given=frozenset(name for name, value in given.items() if value), **given)
    plan = plan_map(path, settings, options)
    log = RunLog(None)
    log.header((), [path])
    for code, sentence in result.verdicts:
        log.verdict(code, sentence)
    with open(path, "rb") as file:
        volume = replace(volume, checksum=Checksum(file.fileno(), path))
    inputs = _Inputs(volume, None, {}, None, None, None, [FileRead(path)], 0, shown_level.thinned(volume.data))
    result = replace(result, quiet=replace(result.quiet))  # the caller keeps arrays that a run frees
    make_directory(directory)
    with Outputs() as outputs:
        _write(plan, _Work(inputs, result), [], outputs, log, thread_count(None), _regions(plan, result))
    return made + [output.path for output in plan.outputs]
