"""Several maps: one bad map does not stop the others. Says nothing itself: outcomes tell how each map went."""

from occupy_jit.errors import UsageError
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs.one_map import run_one
from occupy_jit.runs.outcome import failed
from occupy_jit.runs.plan import check_names, check_options, masks, plan_map
from occupy_jit.runs.report_index import index_of


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
    plans, refused = [], []
    for path in maps:
        try:
            plans.append(plan_map(path, settings, options))
        except UsageError:
            raise
        except Exception as error:  # whatever one map brings up, the others still run
            refused.append(failed(path, error, RunLog(listener)))
    check_names([*((plan.path, plan.outputs) for plan in plans), ("all maps", index_of(options, len(maps)))],
                [*masks(options), *maps])
    return plans, refused


def in_turn(work, plans, listener=None):
    """Run plans one after the other in this process: the simplest of the executors.

    Parameters
    ----------
    work : callable
        `run_one` or `measure_one` of `occupy_jit.runs.one_map`: (plan, listener) -> Outcome.
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
