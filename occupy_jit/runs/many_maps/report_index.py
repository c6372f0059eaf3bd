"""Pages that link to the reports of many maps: the index of a batch, and the page of a classification."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.runs.plan.names import Names
from occupy_jit.runs.plan.output_kinds import Role, output_of, path_of

if TYPE_CHECKING:
    from occupy_jit.estimation.comparison.parts import ClassParts
    from occupy_jit.runs.classes.group import Group
    from occupy_jit.runs.one_map.outcome import Outcome
    from occupy_jit.runs.plan.output_kinds import Output
    from occupy_jit.settings import Options


def index_of(options: Options, number: int) -> tuple[Output, ...]:
    """The index that a run on this many maps writes.

    Returns
    -------
    tuple of Output
        Empty for one map, and without reports.
    """
    if not options.report or number < 2:
        return ()
    return (output_of(Role.REPORT_INDEX, Names(options.output_dir, "", "")),)


def write_index(outcomes: Sequence[Outcome], options: Options) -> tuple[Output, ...]:
    """Write the index of the reports of several maps, if there are reports.

    Parameters
    ----------
    outcomes : sequence of occupy_jit.runs.one_map.outcome.Outcome
        In the order of the maps. The summary of an earlier report is read from its file.
    options : occupy_jit.settings.Options

    Returns
    -------
    tuple of Output
        The written files; empty if no map has a report.
    """
    planned = index_of(options, len(outcomes))
    if not planned:
        return ()
    entries = [_entry(outcome, options) for outcome in outcomes]
    if all(entry.summary is None for entry in entries):
        return ()
    from occupy_jit.reports.page.index import render_index

    html = render_index(entries, _states_page(options.output_dir))
    with Outputs() as outputs, outputs.open(planned[0].path) as file:
        file.write(html)
    return planned


def write_collected_index(directory: str, rows: Sequence[dict[str, Any]]) -> str | None:
    """Write the index of the reports of all tasks of an array in a directory.

    Parameters
    ----------
    directory : str
    rows : sequence of dict
        The table of all maps, with ``name``, ``map``, ``exit_status`` and ``message``.

    Returns
    -------
    str or None
        What was written; None if no map has a report.
    """
    paths = [Role.REPORT.path(Names(directory, row["name"], "")) for row in rows]
    if not any(map(os.path.exists, paths)):
        return None
    from occupy_jit.reports.page.index import Entry, read_summary, render_index

    entries = []
    for row, path in zip(rows, paths, strict=True):
        name = os.path.basename(row["map"])
        summary = read_summary(path) if not row["exit_status"] and os.path.exists(path) else None
        if summary is None:
            problem = row["message"].replace(row["map"], name) or "there is no report of it"
            entries.append(Entry(name, problem=problem))
        else:
            entries.append(Entry(summary["name"], summary, os.path.basename(path)))
    index = Role.REPORT_INDEX.path(Names(directory, "", ""))
    with Outputs() as outputs, outputs.open(index) as file:
        file.write(render_index(entries, _states_page(directory)))
    return index


def _states_page(directory):
    """Name of the page of states beside the index; None without one."""
    path = Role.STATES_PAGE.path(Names(directory, "", ""))
    return os.path.basename(path) if os.path.exists(path) else None


def _entry(outcome, options):
    from occupy_jit.reports.page.index import Entry, read_summary

    name = os.path.basename(outcome.path)
    if outcome.status:
        return Entry(name, problem=_without_folder(outcome.message.splitlines()[0], outcome.path, options))
    path = path_of(outcome.written, Role.REPORT)
    summary = outcome.report
    if summary is None and path is not None and os.path.exists(path):
        summary = read_summary(path)
    if summary is None:
        return Entry(name, problem="there is no report of it")
    return Entry(summary["name"], summary, os.path.basename(path))  # pyright: ignore[reportCallIssue]


def _without_folder(text, path, options):
    """A message without the folder of its file, because people share reports."""
    folder = os.path.dirname(path)
    return text if options.report_paths or not folder else text.replace(shown(path), shown(os.path.basename(path)))


def write_class_page(group: Group, rows: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]],  # noqa: PLR0913 (everything that one page shows)
                     union_angstrom3: float, parts: ClassParts | None, targets: Sequence[dict[str, Any]],
                     options: Options, outputs: Outputs) -> None:
    """Write the page of a classification, if planned.

    Parameters
    ----------
    group : occupy_jit.runs.classes.group.Group
    rows, differences : sequence of dict
        The tables of the classes and of their differences.
    union_angstrom3 : float
        Volume that any class occupies.
    parts : occupy_jit.estimation.comparison.parts.ClassParts or None
        Of a model.
    targets : sequence of dict
        The table of differences in target masks.
    options : occupy_jit.settings.Options
    outputs : occupy_jit.files.output.transaction.Outputs
    """
    path = group.path_of(Role.CLASS_PAGE)
    if path is None:
        return
    from occupy_jit.reports.page.index import Entry, render_classes

    entries, told = [], []
    for entry, row in zip(group.classes, rows, strict=True):
        problem = None
        if entry.problem is not None:
            problem = _without_folder(entry.problem.splitlines()[0], entry.path or "", options)
            entries.append(Entry(entry.label, problem=problem))
        else:
            report = os.path.basename(entry.plan.path_of(Role.REPORT))
            entries.append(Entry(entry.label, entry.report, report))
        told.append({**row, "problem": problem})
    html = render_classes(group.name, entries, told, differences, union_angstrom3 / 1000, parts, targets)
    with outputs.open(path) as file:
        file.write(html)
