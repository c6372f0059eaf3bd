"""Several maps: one bad map does not stop the others. Prints nothing: outcomes describe each map."""

import logging
import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from occupy_jit.errors import UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs.many_maps import maps_table, resume
from occupy_jit.runs.many_maps.array_task import ArrayTask
from occupy_jit.runs.many_maps.report_index import index_of, write_index
from occupy_jit.runs.one_map.outcome import Outcome, failed
from occupy_jit.runs.one_map.run import run_one
from occupy_jit.runs.one_map.writing import make_directory
from occupy_jit.runs.plan.names import names_for
from occupy_jit.runs.plan.output_kinds import Output, Role
from occupy_jit.runs.plan.plan import Plan, both_would_write, check_names, check_options, masks, plan_map
from occupy_jit.runs.workers.engines import Executor
from occupy_jit.settings import Options, Settings


def plan_all(maps: Sequence[str], settings: Settings, options: Options, listener: logging.Handler | None = None
             ) -> tuple[list[Plan], list[Outcome]]:
    """Check all maps before the run.

    Parameters
    ----------
    maps : sequence of str
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options
    listener : logging.Handler, optional
        Receives errors about inputs.

    Returns
    -------
    plans : list of Plan
    refused : list of Outcome
        Outcomes of unusable inputs.

    Raises
    ------
    OccupyError
        If nothing can be run: impossible output names, or a directory that cannot be created.
    """
    check_options(options)
    index = index_of(options, len(maps))
    plans, refused = [], []
    for path in maps:
        try:
            plans.append(plan_map(path, settings, options, page=index[0].path if index else None,
                                  of_several=len(maps) > 1))
        except UsageError:
            raise
        except Exception as error:  # after any error of one map, the others still run
            refused.append(failed(path, error, RunLog(listener)))
    check_names([*((plan.path, plan.outputs) for plan in plans), ("all maps", index)],
                [*masks(options), *maps, *(path for plan in plans for path in plan.also_read)])
    return plans, refused


def check_maps(maps: Sequence[str], options: Options, tables: Iterable[str]) -> None:
    """Raise UsageError if results of two maps, or of a map and a table, would have the same name.

    For maps of which this process plans only a share; `plan_all` checks the names of its own maps.

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
        if os.path.abspath(Role.RECORD.path(names)) in tables:
            raise UsageError(f"{shown(path)}: its record would get the name of the table of all maps; rename it")
        other = taken.setdefault(Role.SCALE.path(names), path)
        if other is not path:
            raise both_would_write(path, other, Role.SCALE.path(names))


def without_finished(plans: Sequence[Plan]) -> tuple[list[Outcome], list[Plan]]:
    """Separate maps that an earlier run finished from the others.

    Parameters
    ----------
    plans : sequence of Plan

    Returns
    -------
    finished : list of Outcome
    rest : list of Plan
    """
    finished, rest = [], []
    for plan in plans:
        record = resume.finished(plan)
        if record is None:
            rest.append(plan)
        else:
            finished.append(Outcome(plan.path, 0, "done", "done", record=record, written=plan.outputs))
    return finished, rest


@dataclass
class Batch:
    """Independent maps, or the share of them that a task of an array runs.

    Attributes
    ----------
    options : Options
        With all maps by name.
    maps : tuple of str
        The maps of this process, in order.
    task : ArrayTask or None
    plans : list of Plan
        Of the remaining maps.
    outcomes : list of Outcome
        Of refused, earlier finished, and finished maps.
    """

    options: Options
    maps: tuple[str, ...]
    task: ArrayTask | None
    plans: list[Plan]
    outcomes: list[Outcome]

    @property
    def table_path(self) -> str:
        """str : Name of the table of these maps."""
        name = maps_table.NAME if self.task is None else self.task.table_name
        return maps_table.table_paths(self.options.output_dir, name)["table of maps"]

    def take_up(self) -> int:
        """Leave out the maps that an earlier run finished; returns their number."""
        finished, self.plans = without_finished(self.plans)
        self.outcomes += finished
        return len(finished)

    def run(self, executor: Executor, listener: logging.Handler | None = None) -> Generator[Outcome, None, None]:
        """Run the maps, and keep the table of all maps up to date.

        Parameters
        ----------
        executor : Executor
        listener : logging.Handler, optional
            Receives the lines of every log.

        Yields
        ------
        Outcome
            As they come.
        """
        table = self._table()
        if table is not None:
            table.write()  # a run that is killed early leaves at least the names
        try:
            for outcome in executor(run_one, by_grid(self.plans), listener):
                self.outcomes.append(outcome)
                if table is not None:
                    table.add(outcome)
                yield outcome
        finally:
            self.outcomes = in_order(self.outcomes, self.maps)
            if table is not None:
                table.write()

    def _table(self) -> maps_table.Table | None:
        """The table, in an existing directory; None if nothing can be run, except in an array."""
        if not self.plans and self.task is None and not any(outcome.status == 0 for outcome in self.outcomes):
            return None
        make_directory(self.options.output_dir)
        return maps_table.Table(self.options.output_dir, self.options.input_map, self.maps, self.task, self.outcomes)

    def write_index(self) -> tuple[Output, ...]:
        """Write the index of the reports and return its file; for an array, collect its tasks first."""
        return write_index(self.outcomes, self.options) if self.task is None else ()


def plan_batch(settings: Settings, options: Options, task: ArrayTask | None = None,
               listener: logging.Handler | None = None) -> Batch:
    """Check all maps of a batch before the run.

    Parameters
    ----------
    settings : Settings
    options : Options
        With all maps by name.
    task : ArrayTask, optional
        The array task of this process.
    listener : logging.Handler, optional
        Receives errors about inputs.

    Returns
    -------
    Batch

    Raises
    ------
    OccupyError
        If nothing can be run, as in `plan_all`.
    """
    maps = options.input_map
    check_maps(maps, options, maps_table.table_paths(options.output_dir).values())
    mine = maps if task is None else tuple(maps[index] for index in task.share(len(maps)))
    plans, refused = plan_all(mine, settings, options, listener)
    return Batch(options, mine, task, plans, refused)


def by_grid(plans: Sequence[Plan]) -> list[Plan]:
    """Plans ordered by grid, if common results of fits are kept."""
    grids = list(dict.fromkeys(map(_grid, plans)))
    return sorted(plans, key=lambda plan: plan.keeps and grids.index(_grid(plan)))


def _grid(plan):
    return plan.header.shape, plan.header.voxel_size


def in_order(outcomes: Iterable[Outcome], maps: Sequence[str]) -> list[Outcome]:
    """Outcomes in the order of the maps."""
    place = {path: index for index, path in enumerate(maps)}
    return sorted(outcomes, key=lambda outcome: place[outcome.path])
