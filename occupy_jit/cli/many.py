"""Many maps: their sources, executors, messages, and the table of all."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from occupy_jit.cli import parser
from occupy_jit.cli.gathering import Gathering, gathered
from occupy_jit.cli.progress import ProgressLine
from occupy_jit.errors import OccupyError
from occupy_jit.files.names.paths import shown
from occupy_jit.reports.answer import of_maps
from occupy_jit.runs.closing import page_line
from occupy_jit.runs.one_map.outcome import worst
from occupy_jit.runs.plan.output_kinds import Role

if TYPE_CHECKING:
    from occupy_jit.cli.console import Console
    from occupy_jit.settings import Options, Settings

# Up to this number each map is listed again at the end; beyond it only failed maps.
_NAMED = 20


def with_maps(options: Options, console: Console) -> Options:
    """The same options with all maps by name: directories and lists are expanded, EMDB entries downloaded.

    Raises
    ------
    OccupyError
        An input cannot be read or downloaded.
    """
    from occupy_jit.runs.plan.inputs import expand

    found = expand(options.input_map)
    if found.ours:
        console.say(f"{len(found.ours)} maps that OccuPy wrote are not used as inputs, the first: "
                    f"{shown(found.ours[0])}")
    maps = found.maps
    if options.emdb:
        # the first of two half maps stands for both
        maps += tuple(entry.half_maps[0] if entry.half_maps else entry.map for entry in fetched(options, console))
    if options.cluster is not None:
        options = parser.absolute(options)
        maps = tuple(map(os.path.abspath, maps))
    options = replace(options, input_map=maps, emdb=())
    parser.check_number(options)
    return options


def fetched(options: Options, console: Console) -> list[Any]:
    """Entries of the EMDB, downloaded if necessary: list of `occupy_jit.files.download.emdb.Entry`."""
    from occupy_jit.files.download import emdb

    directory = options.emdb_dir or os.environ.get("OCCUPY_EMDB_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "occupy_jit", "emdb")
    archive = os.environ.get("OCCUPY_EMDB_URL") or emdb.ARCHIVE
    line = ProgressLine(wanted=console.level <= logging.INFO)

    def say(text):
        line.clear()
        console.say(text)

    try:
        return [emdb.fetch_entry(number, directory, half_maps=bool(options.half_maps), archive=archive,
                                 progress=line.download, say=say)
                for number in dict.fromkeys(map(emdb.number_of, options.emdb))]
    finally:
        line.clear()


def told_of_finished(number: int, planned: Any, console: Console) -> None:
    """Print how many maps an earlier run finished."""
    console.say(f"{number} of {planned} maps are finished already")


def run_maps(settings: Settings, options: Options, console: Console) -> int:
    """Run several independent maps, or the share of this task in the maps of an array.

    Parameters
    ----------
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
        With all maps by name.
    console : occupy_jit.cli.console.Console

    Returns
    -------
    int
        Exit status.
    """
    from occupy_jit.runs.many_maps import array_task, maps_table
    from occupy_jit.runs.many_maps.run import plan_batch
    from occupy_jit.runs.plan.plan import described
    from occupy_jit.runs.workers.engines import executor_for

    task = array_task.from_environment(os.environ) if options.array else None
    line = ProgressLine(wanted=console.level <= logging.INFO)
    listener = console if console.level <= logging.DEBUG else Gathering(console, line, level=logging.WARNING)
    with gathered(listener):
        batch = plan_batch(settings, options, task, listener)
    if options.dry_run:
        for plan in batch.plans:
            console.write("\n".join(described(plan)))
        return worst(batch.outcomes)
    if options.resume:
        planned = len(batch.plans)
        told_of_finished(batch.take_up(), planned, console)
    total = len(batch.maps)
    line.maps(*_count(batch.outcomes), total)
    try:
        # closed at once, so that the table is also written if a signal ends the loop
        running = batch.run(executor_for(options, console.say), listener)
        with gathered(listener), contextlib.closing(running) as outcomes:
            for outcome in outcomes:
                line.clear()
                console.say(_told(outcome, len(batch.outcomes), total))
                line.maps(*_count(batch.outcomes), total)
    except OccupyError:  # common files may be lost, but not the finished maps
        line.clear()
        _tell_all(batch, console)
        raise
    finally:
        line.clear()
    _tell_all(batch, console)
    index = batch.write_index()
    for output in index:
        console.say(f"wrote {shown(output.path)}  {output.what}")
    rows = [maps_table.row(0, outcome.path, maps_table.DONE, record=outcome.record,
                           parts=maps_table.parts_of(outcome.record))
            for outcome in batch.outcomes if outcome.status == 0 and outcome.record is not None]
    _close(rows, index[0].path if index else None, batch.table_path, console)
    return worst(batch.outcomes)


def _close(rows, index, table, console):
    """The last lines: the main result for all maps, and the files to open."""
    hides = any(row.get("noise_hides_parts") for row in rows)
    share = "weaker_than_half_at_least" if hides else "weaker_than_half"
    said = of_maps([(row["name"], row.get(share), row["parts"]) for row in rows], at_least=hides)
    look = [page_line(index)] if index is not None else []
    if os.path.exists(table):
        look.append(f"  {shown(os.path.abspath(table))}  has a row for each map")
    console.say(*([said] if said else []), *(["To look at the result:", *look] if rows and look else []))


def _count(outcomes):
    """Numbers of finished and failed maps."""
    done = sum(outcome.status == 0 for outcome in outcomes)
    return done, len(outcomes) - done


def _told(outcome, number, total):
    """One line about a map."""
    name = shown(os.path.basename(outcome.path))
    if outcome.status:
        return f"[{number}/{total}] {name}: failed"
    results = outcome.record["results"]
    codes = ", ".join(dict.fromkeys(item["code"] for item in outcome.record["verdicts"]))
    return (f"[{number}/{total}] {name}: full scale {results['full_scale']:.4g}, "
            f"{results['occupied_volume_angstrom3']:.0f} Å^3, mean scale {results['mean_scale_of_occupied']:.2f}"
            + (f"  ({codes})" if codes else ""))


def _tell_all(batch, console):
    """Final status; with --quiet the errors are already on standard error."""
    outcomes = batch.outcomes
    failed = [outcome for outcome in outcomes if outcome.status]
    lines = [f"\n{len(outcomes) - len(failed)} of {len(outcomes)} maps done"]
    named = outcomes if len(outcomes) <= _NAMED else failed[:_NAMED]
    names = [shown(os.path.basename(outcome.path)) for outcome in named]
    width = max(map(len, names), default=0)
    lines += [f"  {name:{width}}  {outcome.status}  {outcome.message.splitlines()[0]}"
              for name, outcome in zip(names, named, strict=True)]
    if len(outcomes) > _NAMED < len(failed):
        lines.append(f"  and {len(failed) - _NAMED} more failed")
    if os.path.exists(batch.table_path):
        lines.append(f"wrote {shown(batch.table_path)}  table of maps")
    console.say("\n".join(lines))


def collect(directory: Any, console: Console) -> Any:
    """Merge the tables of the tasks of an array; returns the exit status: the worst of all maps."""
    from occupy_jit.runs.many_maps import array_task, maps_table

    found = array_task.collect(directory)
    table, index = array_task.write_collected(directory, found)
    for path in found.older:
        console.write(f"OccuPy: warning: {shown(path)}: belongs to another array; left out", aside=True)
    done = sum(line["status"] == maps_table.DONE for line in found.rows)
    console.say(f"{done} of {len(found.rows)} maps done", f"wrote {shown(table)}  table of maps")
    if index is not None:
        console.say(f"wrote {shown(index)}  {Role.REPORT_INDEX.value}")
    for line in found.rows:
        if line["status"] == maps_table.FAILED:
            console.write(f"  {line['map']}  {line['exit_status']}  {line['message']}",
                          aside=console.level > logging.INFO)
    if found.unfinished:
        console.write(f"OccuPy: error: {shown(directory)}: {found.unfinished}; submit the array again with --resume",
                      aside=True)
    _close([row for row in found.rows if row["status"] == maps_table.DONE], index, table, console)
    return max([int(bool(found.unfinished)), *(line["exit_status"] for line in found.rows)])
