"""Outcome of one map: everything that the caller, in this process or another, needs."""

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
    """Outcome of a run on one map. Plain values only, so that it can be sent between processes.

    Attributes
    ----------
    path : str
        The input.
    status : int
        Exit status: 0, or that of the error.
    message : str
        "done", or the error and what to do.
    kind : {"done", "error", "internal error"}
        The last is a bug of the program.
    record : dict or None
        Content of the JSON file.
    report : dict or None
        Summary of the report, see `occupy_jit.reports.page.page.render`.
    full_scale : occupy_jit.estimation.scale.result.FullScale or None
        If only full scale was requested.
    parts : occupy_jit.estimation.parts.result.PartsResult or None
        For a class: data for the comparison with others, without the model.
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
        For an internal error.
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
    """Outcome of a finished run.

    Parameters
    ----------
    path : str
    log : occupy_jit.reports.runlog.RunLog
    **found
        Further attributes.
    """
    return Outcome(path, 0, "done", "done", **_told(log), **found)


def failed(path: str, error: Any, log: RunLog, label: str | None = None) -> Outcome:
    """Outcome of a run that ended with an exception, which is also logged.

    Parameters
    ----------
    path : str
    error : Exception
    log : occupy_jit.reports.runlog.RunLog
    label : str, optional
        Name of the map in its group, which continues without it.
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
