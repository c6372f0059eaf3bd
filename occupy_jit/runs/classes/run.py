"""Several maps on one common scale: the classes of a 3D classification, or maps given together.

Each map has its own zero level and noise floor; the full scale is the largest of all, so that occupancies can be
compared between them. Two passes: the first measures the full scale of each map, the second runs each map with the
common one. Comparisons then read the written scale maps slab by slab, and so do
the references of a classification, together with the mean map: memory does not grow with the number of
classes.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs.classes.group import find_group, plan_group
from occupy_jit.runs.classes.outputs import marked_unfinished, write_group
from occupy_jit.runs.one_map.run import measure_one, run_one
from occupy_jit.runs.plan.plan import check_options, described, would_write
from occupy_jit.runs.workers.engines import in_turn

if TYPE_CHECKING:
    import logging

    from occupy_jit.settings import Options, Settings

# A class whose full scale is this many times that of the others may be an artefact that lowers all other scales.
_SUSPICIOUS_RATIO = 1.5
# Share of an equal share of the particles, below which a class is almost empty.
_FEW = 0.1


def run(settings: Settings, options: Options, listener: logging.Handler | None = None,
        executor: Callable[..., Any] = in_turn) -> int:
    """Run the classes of a classification, or several maps, on one common scale.

    Parameters
    ----------
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
        With ``relion_classes``, run_itNNN_model.star of RELION (its classes are modified with ``amplify``, and a
        negative amount, unless the options say otherwise), or with several maps as ``input_map``.
    listener : logging.Handler, optional
        Receives the lines of the log.
    executor : callable
        Like `occupy_jit.runs.workers.engines.in_turn`.

    Returns
    -------
    int
        0, or the worst exit status of any class.

    Raises
    ------
    OccupyError
        No class can be used, or common files cannot be read or written.
    """
    log = RunLog(listener)
    group, settings = _planned(settings, options, log, header=True)
    _measure(group, log, listener, executor)
    with marked_unfinished(group, options):
        _run_classes(group, log, listener, executor)
        write_group(group, settings, options, log)
    return _status(group)


def describe(settings: Settings, options: Options, listener: logging.Handler | None = None) -> tuple[Any, Any]:
    """What `run` would do: lines of text, and the exit status as far as it is known beforehand."""
    group, _ = _planned(settings, options, RunLog(listener), header=False)
    lines = [line for entry in group.usable for line in described(entry.plan)]
    return [*lines, f"{group.name}: for all classes", *would_write(group.outputs)], _status(group)


def _planned(settings, options, log, header):
    """The checked group, and its settings."""
    check_options(options)
    settings, group = find_group(settings, options)
    if header:
        log.header(options.command_line, options.input_map if group.model is None else [group.model.path])
    for note in group.notes:
        log.say(note)
    if options.relion_classes is not None and settings.amplify and settings.amplify_amount > 0:
        log.warning(f"amount {settings.amplify_amount:g} makes the classes alike, and harder to separate in the next "
                    "classification; a negative --amplify-amount helps it")
    plan_group(group, settings, options, log)
    return group, settings


def _status(group):
    return max(entry.status for entry in group.classes)


def _by_class(group, work, plans, log, listener, executor):
    """Run `work` on every usable class; yields (class, outcome) for those that did not fail."""
    entries = {entry.path: entry for entry in group.usable}
    for outcome in executor(work, plans, listener):
        entry = entries[outcome.path]
        log.absorb(outcome)
        if outcome.status:
            entry.status, entry.problem = outcome.status, outcome.message
        else:
            yield entry, outcome
    group.require_usable()


def _measure(group, log, listener, executor):
    """First pass: the full scale of every class, and the class with the largest (the first of equals)."""
    plans = [entry.plan for entry in group.usable]
    for entry, outcome in _by_class(group, measure_one, plans, log, listener, executor):
        entry.own = outcome.full_scale
        if entry.own is None:
            _leave_out_constant(group, entry, log)
    _leave_out_junk(group, log)
    group.require_usable()
    highest = max(group.usable, key=lambda entry: entry.own.value)
    if not highest.own.value > 0:
        raise InputError(f"{group.name}: nothing stands above solvent in any class; check that the contrast is not "
                         "inverted")
    group.brightest = highest
    log.say(f"common full scale {highest.own.value:.6g}, of {highest.label}")
    others = [entry.own.value for entry in group.usable if entry is not highest]
    if others and highest.own.value > _SUSPICIOUS_RATIO * median(others) > 0:
        ratio = highest.own.value / median(others)
        log.verdict("full-scale-of-one", f"{highest.label} alone sets full scale, {ratio:.1f} times the median of the "
                                         "others: leave it out (-i with --common-scale) unless it is a better class")


def _leave_out_constant(group, entry, log):
    """Leave out a constant map: an empty class in a classification, otherwise an error."""
    problem = f"{shown(entry.path)}: every value is the same"
    if group.model is not None:
        entry.leave_empty(f"{problem}: no particles belong to it", log)
    else:
        entry.leave_out(InputError(f"{problem}: the file is not a map"), log)


def _leave_out_junk(group, log):
    """Leave out classes with hardly any particles whose map is noise, or far stronger than the others.

    Noise would set full scale and lower the scale of the others.
    """
    from occupy_jit.estimation.scale.facts import NOISE_LIMIT

    few = _FEW / len(group.classes)
    others = [entry.own.value for entry in group.usable if entry.share is None or entry.share >= few]
    if not others:
        return
    for entry in group.usable:
        if entry.share is None or entry.share >= few:
            continue
        if entry.own.noise > NOISE_LIMIT * entry.own.quantile:
            why = "its map is noise"
        elif entry.own.value > _SUSPICIOUS_RATIO * median(others) > 0:
            why = f"its full scale is {entry.own.value / median(others):.1f} times that of the others"
        else:
            continue
        entry.leave_empty(f"it has {entry.share:.2%} of the particles, and {why}", log)


def _run_classes(group, log, listener, executor):
    """Second pass: every class with the common full scale."""
    plans = [entry.plan.with_full_scale(group.common, entry.own.corner) for entry in group.usable]
    for entry, outcome in _by_class(group, run_one, plans, log, listener, executor):
        entry.record, entry.report = outcome.record, outcome.report
        entry.parts, entry.targets = outcome.parts, outcome.targets
