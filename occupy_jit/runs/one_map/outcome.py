"""What became of one map: everything a caller, in this process or another, needs to tell of it and to go on."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import explain

if TYPE_CHECKING:
    from occupy_jit.estimation.parts.result import PartsResult
    from occupy_jit.estimation.scale.result import FullScale
    from occupy_jit.reports.runlog import RunLog


@dataclass(frozen=True)
class Outcome:
    """Of a run on one map. Plain values only, so that it can be sent from one process to another.

    Attributes
    ----------
    path : str
        The input.
    status : int
        Exit status: 0, or that of what went wrong.
    message : str
        "done", or what went wrong and what to do.
    kind : {"done", "error", "internal error"}
        The last is a defect of the program.
    record : dict or None
        What the JSON file holds.
    report : dict or None
        Summary of the report, see `occupy_jit.reports.page.page.render`.
    full_scale : occupy_jit.estimation.scale.result.FullScale or None
        Where it alone was asked for.
    parts : occupy_jit.estimation.parts.result.PartsResult or None
        Of a class: for the comparison with the others, without the model.
    targets : sequence of dict
        Occupancies inside target masks, as `occupy_jit.estimation.regions.occupancy_in_masks.occupancy_of_masks`
        returns them.
    lines : tuple of logging.LogRecord
        The log of the run.
    verdicts : tuple of (code, sentence)
    warnings : tuple of str
    timings : dict
        Seconds by name.
    written : tuple of occupy_jit.runs.plan.plan.Output
        Files that have their final names.
    traceback : str or None
        Of an internal error.
    """

    path: str
    status: int
    message: str
    kind: str
    record: dict | None = None
    report: dict | None = None
    full_scale: FullScale | None = None
    parts: PartsResult | None = None
    targets: tuple = ()
    lines: tuple = ()
    verdicts: tuple = ()
    warnings: tuple = ()
    timings: dict | None = None
    written: tuple = ()
    traceback: str | None = None


def done(path: str, log: RunLog, **found: Any) -> Outcome:
    """Outcome of a run that came to its end.

    Parameters
    ----------
    path : str
    log : occupy_jit.reports.runlog.RunLog
    **found
        Further attributes.
    """
    return Outcome(path, 0, "done", "done", **_told(log), **found)


def failed(path: str, error: Any, log: RunLog, label: str | None = None) -> Outcome:
    """Outcome of a run that an exception ended; the log tells it.

    Parameters
    ----------
    path : str
    error : Exception
    log : occupy_jit.reports.runlog.RunLog
    label : str, optional
        What a map of a group is called there: the others go on without it.
    """
    status, kind, message = explain(error)
    trace = None if kind == "error" else "".join(traceback.format_exception(error)).rstrip()
    log.error(message if label is None else f"{label}: {message}; left out", kind, trace)
    return Outcome(path, status, message, kind, traceback=trace, **_told(log))


def _told(log):
    return {"lines": tuple(log.lines), "verdicts": tuple(log.verdicts), "warnings": tuple(log.warnings),
            "timings": dict(log.timings)}


def worst(outcomes: list[Outcome]) -> int:
    """Exit status of several outcomes: the worst."""
    return max((outcome.status for outcome in outcomes), default=0)
