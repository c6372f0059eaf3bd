"""One map: read, estimate, modify, write. Prints nothing, and can run in another process: plan in, outcome out."""

from contextlib import contextmanager
from typing import NamedTuple

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.machine.threads import thread_count
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs import warmup
from occupy_jit.runs.one_map import model_parts, outcome, summary
from occupy_jit.runs.one_map.writing import Writer, make_directory, write_maps
from occupy_jit.runs.plan.memory import wanted
from occupy_jit.runs.plan.plan import Role, check_memory


def run_one(plan, listener=None):
    """Run a map: read, estimate, modify, write.

    Parameters
    ----------
    plan : occupy_jit.runs.plan.plan.Plan
    listener : logging.Handler, optional
        Gets the lines of the log while it goes on, see `occupy_jit.reports.runlog.RunLog`.

    Returns
    -------
    occupy_jit.runs.one_map.outcome.Outcome
        Also of a run that failed; no file has its final name then.
    """
    return _with_outcome(_run, plan, listener)


def measure_one(plan, listener=None):
    """Measure the full scale of a map alone: the first of two passes over maps on a common scale.

    Parameters, result: as for `run_one`, with ``full_scale``; nothing is written.
    """
    return _with_outcome(_measure, plan, listener)


def _with_outcome(work, plan, listener):
    log = RunLog(listener)
    try:
        return outcome.done(plan.path, log=log, **work(plan, log))
    except Exception as error:  # whatever one map brings up, the others still run
        return outcome.failed(plan.path, error, log, plan.label)


class _Inputs(NamedTuple):
    """What is read for one map."""

    volume: object  # a `files.maps.Map`
    half_difference: object  # array or None
    half_mean: object  # array, where the map is another; or None
    half_factor: float  # what the second half map was multiplied with
    coarse_halves: dict  # both for the parts of a model: the estimate overwrites the others
    solvent_mask: object  # array or None
    reference_mask: object  # array or None
    files: list  # of `files.checksum.FileRead`, the map first


def _run(plan, log):
    """Everything; returns what the outcome holds."""
    if plan.label is None:
        log.header(plan.options.command_line, [plan.path])
    else:
        log.say(f"{plan.label}: {shown(plan.path)}")
    check_memory(plan)
    workers = thread_count(plan.options.threads)
    with log.timed("read"):
        inputs = _read(plan, log)
    from occupy_jit.estimation.noise import half_maps

    for line in inputs.volume.warnings:
        log.warning(f"{shown(plan.path)}: {line}")
    with log.timed("estimate"):
        result = _estimate(plan, inputs, workers)
    if result.half_maps is not None:
        half_maps.tell_factor(result, inputs.half_factor)
        inputs = inputs._replace(half_mean=None, half_difference=None)  # nobody else asks for them
    for code, sentence in result.verdicts:
        log.verdict(code, sentence)
    targets = _targets(plan, inputs.volume, result, log)
    make_directory(plan.options.output_dir)
    with Outputs() as outputs:
        record, report, parts = _write(plan, inputs, result, _as_rows(targets), outputs, log, workers)
    log.wrote([(output.path, output.what) for output in plan.outputs])
    return {"record": record, "report": report, "parts": parts, "targets": targets,
            "written": plan.outputs}


def _read(plan, log):
    """The map and its masks; kernels are loaded meanwhile, in a thread of their own."""
    warmup.start()
    from occupy_jit.files.checksum import FileRead
    from occupy_jit.files.maps.reading import read_map, read_mask

    options = plan.options
    files = [FileRead(plan.path), *(FileRead(path, checksum=options.json) for path in plan.also_read)]
    volume = read_map(plan.path, options.voxel_size, checksum=options.json)
    mean, difference, factor = _halves(plan, volume)
    coarse = model_parts.half_maps_for(options, volume, difference, mean)
    solvent_mask = None if options.solvent_def is None else read_mask(options.solvent_def, volume).data
    reference_mask = _reference_mask(plan, volume)
    _wait_for_kernels(log)
    return _Inputs(volume, difference, mean, factor, coarse, solvent_mask, reference_mask, files)


def _reference_mask(plan, volume):
    """What full scale is read in; None where it is searched, or known from several maps."""
    path = plan.options.reference_mask
    if path is None or plan.full_scale is not None:
        return None
    from occupy_jit.files.maps.reading import read_mask

    mask = read_mask(path, volume).data
    if not mask.max() > 0:
        raise InputError(f"{shown(path)}: the reference mask is empty: it has to be above 0 on a part that is fully "
                         "occupied")
    return mask


def _halves(plan, volume):
    """Mean of the half maps where the map is another, half of their difference, and what the second is multiplied with.

    A map that is the first half becomes the mean of both.
    """
    if not plan.halves:
        return None, None, 1.0
    from occupy_jit.estimation.noise.half_maps import join_half_maps
    from occupy_jit.files.maps.maps import check_same_grid
    from occupy_jit.files.maps.reading import read_map

    first = volume
    if not plan.is_first_half:
        first = read_map(plan.halves[0], plan.options.voxel_size)
        check_same_grid(volume, first, plan.halves[0])
    second = read_map(plan.halves[1], plan.options.voxel_size)
    check_same_grid(volume, second, plan.halves[1])
    factor = join_half_maps(first.data, second.data)
    if first is not volume:
        return first.data, second.data, factor
    volume.minimum = volume.maximum = None
    return None, second.data, factor


def _wait_for_kernels(log):
    warmup.wait()
    for line in warmup.remarks():
        log.detail(line)


def _estimate(plan, inputs, workers):
    from occupy_jit.estimation.scale.estimate import estimate

    want, volume = wanted(plan.settings, plan.options), inputs.volume
    value_range = None if volume.minimum is None else (volume.minimum, volume.maximum)
    with _named(plan):
        return estimate(volume, plan.settings, value_range=value_range, solvent_mask=inputs.solvent_mask,
                        with_confidence=want.confidence, keep_lowpass=want.lowpass, overwrite=not want.volume,
                        full_scale=plan.full_scale, half_difference=inputs.half_difference,
                        half_mean=inputs.half_mean, overwrite_halves=True,
                        with_error=plan.path_of(Role.ERROR) is not None,
                        with_noise_error=plan.path_of(Role.NOISE_ERROR) is not None,
                        reference_mask=inputs.reference_mask, strongest_corner=plan.strongest_corner,
                        thread_count=workers)


@contextmanager
def _named(plan):
    """Errors about what was read say which files these are."""
    from occupy_jit.estimation.scale.reference import UnusableReference
    from occupy_jit.estimation.solvent.definition import UnusableDefinition

    try:
        yield
    except UnusableReference as error:
        raise InputError(f"{shown(plan.options.reference_mask)}: {error}") from error
    except UnusableDefinition as error:
        raise InputError(f"{shown(plan.options.solvent_def)}: {error}") from error
    except InputError as error:
        names = dict.fromkeys((plan.path, *plan.halves))
        raise InputError(f"{', '.join(map(shown, names))}: {error}") from error


def _targets(plan, volume, result, log):
    """Occupancy inside each target mask. Read one after the other: there may be hundreds."""
    if not plan.options.target_mask:
        return []
    from occupy_jit.estimation.regions.occupancy_in_masks import occupancy_of_masks
    from occupy_jit.files.maps.reading import read_mask

    with log.timed("target masks"):
        return occupancy_of_masks(result, ((path, read_mask(path, volume).data) for path in plan.options.target_mask))


def _as_rows(targets):
    """What tables and the record hold of target masks."""
    return [{name: value for name, value in target.items() if name != "in_blocks"} for target in targets]


def _write(plan, inputs, result, targets, outputs, log, workers):
    """Every file of the plan; returns the record, the summary of the report, and what a group needs of the parts."""
    writer = Writer(plan, inputs.volume, outputs, log)
    writer.start_report(result)
    slices = write_maps(writer, result, workers)
    writer.plain_copy()
    results = summary.results(inputs.volume, result)
    parts = None
    if plan.options.model is not None:
        results["parts"], parts = _parts(plan, inputs, result, outputs, log)
    if targets:
        results["targets"] = targets
    writer.targets(results)
    if writer.report is not None:
        results["core"] = writer.report.numbers
    writer.plot(result)
    writer.slices(result, slices)
    writer.chimerax(result)
    record = summary.record(plan, inputs.volume, result, results, workers, inputs.files)
    summary.tell(log, record, of_group=plan.label is not None)
    writer.record_and_log(record, workers)
    return record, writer.report_summary, parts


def _parts(plan, inputs, result, outputs, log):
    """Fit the parts of the model and write their files; returns their table, and of a class what was fitted."""
    from occupy_jit.reports.parts_files import rounded

    with log.timed("fit the model"):
        fitted, rows = model_parts.find(plan.options, inputs, result, log)
    model_parts.write(plan, fitted, rows, outputs, log)
    return rounded(rows), None if plan.label is None else model_parts.for_group(fitted)


def _measure(plan, log):
    """The full scale alone; returns what the outcome holds."""
    warmup.start()
    from occupy_jit.estimation.scale.estimate import measure_full_scale
    from occupy_jit.files.maps.reading import read_map

    check_memory(plan)
    if plan.halves:
        return _measure_halves(plan, log)
    with log.timed("read"):
        volume = read_map(plan.path, plan.options.voxel_size, may_be_constant=True)
    if volume.minimum == volume.maximum:
        raise InputError(f"{shown(plan.path)}: every value is {volume.minimum:g}: no particles belong to it, or the "
                         "file is no map")
    mask = _reference_mask(plan, volume)
    _wait_for_kernels(log)
    with log.timed("measure full scale"), _named(plan):
        found = measure_full_scale(volume, plan.settings, overwrite=True, reference_mask=mask,
                                   thread_count=thread_count(plan.options.threads))
    return _told_full_scale(plan, found, log)


def _measure_halves(plan, log):
    """The full scale of a map with half maps: that of the whole estimate, without what comes after."""
    from occupy_jit.estimation.scale.estimate import estimate
    from occupy_jit.estimation.scale.result import FullScale
    from occupy_jit.files.maps.reading import read_map

    with log.timed("read"):
        volume = read_map(plan.path, plan.options.voxel_size)
        mean, difference, _ = _halves(plan, volume)
        mask = _reference_mask(plan, volume)
        _wait_for_kernels(log)
    with log.timed("measure full scale"), _named(plan):
        result = estimate(volume, plan.settings, with_confidence=False, keep_lowpass=False, overwrite=True,
                          half_difference=difference, half_mean=mean, overwrite_halves=True,
                          reference_mask=mask, thread_count=thread_count(plan.options.threads))
    return _told_full_scale(plan, FullScale(result.full_scale, result.full_scale_corner, result.tile, result.zero,
                                            result.tau, result.full_scale_quantile), log)


def _told_full_scale(plan, found, log):
    log.detail(f"{plan.label}: full scale of its own {found.value:.6g}")
    return {"full_scale": found}
