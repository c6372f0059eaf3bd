"""Several maps: one bad map does not stop the others. Says nothing itself: outcomes tell how each map went."""

import os

from occupy_jit.errors import UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs.many_maps.report_index import index_of
from occupy_jit.runs.one_map.outcome import failed
from occupy_jit.runs.one_map.run import run_one
from occupy_jit.runs.plan.names import names_for
from occupy_jit.runs.plan.plan import both_would_write, check_names, check_options, masks, plan_map


def plan_all(maps, settings, options, listener=None):
    """Check all maps, before anything is run.

    Parameters
    ----------
    maps : sequence of str
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    listener : logging.Handler, optional
        Is told what is wrong with inputs.

    Returns
    -------
    plans : list of Plan
    refused : list of Outcome
        Of the inputs that cannot be used.

    Raises
    ------
    OccupyError
        Where nothing can be run: names of outputs that must not be, a directory that cannot be made.
    """
    check_options(options)
    index = index_of(options, len(maps))
    plans, refused = [], []
    for path in maps:
        try:
            plans.append(plan_map(path, settings, options, page=index[0].path if index else None))
        except UsageError:
            raise
        except Exception as error:  # whatever one map brings up, the others still run
            refused.append(failed(path, error, RunLog(listener)))
    check_names([*((plan.path, plan.outputs) for plan in plans), ("all maps", index)],
                [*masks(options), *maps, *(path for plan in plans for path in plan.also_read)])
    return plans, refused


def check_maps(maps, options, tables):
    """Raise UsageError where results of two maps, or those of a map and a table, would have one name.

    For maps of which this process plans a share only; `plan_all` checks all names of those that it plans.

    Parameters
    ----------
    maps : sequence of str
    options : occupy_jit.settings.Options
    tables : sequence of str
        Names of the tables of all maps.
    """
    tables = tuple(map(os.path.abspath, tables))
    taken = {}
    for path in maps:
        names = names_for(path, options.output_dir, options.output_map)
        if os.path.abspath(names.path("occupy_", ".json")) in tables:
            raise UsageError(f"{shown(path)}: its record would have the name of the table of all maps; rename it")
        other = taken.setdefault(names.scale, path)
        if other is not path:
            raise both_would_write(path, other, names.scale)


def in_turn(work, plans, listener=None):
    """Run plans one after the other in this process: the simplest of the executors.

    Parameters
    ----------
    work : callable
        `run_one` or `measure_one` of `occupy_jit.runs.one_map.run`: (plan, listener) -> Outcome.
    plans : sequence of Plan
    listener : logging.Handler, optional
        Gets the lines of every log. An executor that works elsewhere hands over those of each outcome when it comes.

    Yields
    ------
    Outcome
        As they come; another executor may change the order.
    """
    for plan in plans:
        yield work(plan, listener)


def run_all(plans, listener=None, executor=in_turn):
    """Run plans; an iterator of outcomes, as they come.

    Parameters
    ----------
    plans : sequence of Plan
    listener : logging.Handler, optional
        Gets the lines of every log.
    executor : callable
        As `in_turn`.

    Yields
    ------
    Outcome
    """
    return executor(run_one, plans, listener)


def in_order(outcomes, maps):
    """Outcomes in the order in which the maps were given."""
    place = {path: index for index, path in enumerate(maps)}
    return sorted(outcomes, key=lambda outcome: place[outcome.path])
