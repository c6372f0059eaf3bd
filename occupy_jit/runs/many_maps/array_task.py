"""One task of a SLURM array: its share of the maps, and the merged tables of all tasks."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from occupy_jit.errors import InputError, UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.runs.many_maps import maps_table
from occupy_jit.runs.many_maps.report_index import write_collected_index


@dataclass(frozen=True)
class ArrayTask:
    """Place of this process in an array: tasks ``first``, ``first + step`` ... ``last``.

    Attributes
    ----------
    task, first, last, step : int
    job : str or None
        Number of the job of the array.
    """

    task: int
    first: int
    last: int
    step: int
    job: str | None = None

    @property
    def tasks(self) -> range:
        """range : Of all tasks."""
        return range(self.first, self.last + 1, self.step)

    def share(self, number: int) -> Any:
        """Indices of the maps, out of `number`, that this task runs: every map belongs to exactly one task.

        Neighbours in the list go to different tasks, because similar maps are often neighbours.
        """
        return range(self.tasks.index(self.task), number, len(self.tasks))

    @property
    def table_name(self) -> str:
        """str : Name of the table of this task, without suffix."""
        return f"{maps_table.NAME}_task{self.task:05d}"

    def description(self, maps: Sequence[str]) -> dict[Any, Any]:
        """Entries in the table that allow the tables of an array to be merged.

        Parameters
        ----------
        maps : sequence of str
            All maps of the array.
        """
        names = "\0".join(os.path.abspath(path) for path in maps)
        return {**asdict(self), "maps": len(maps),
                "list_sha256": hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()}


def from_environment(environment: Mapping[str, Any]) -> ArrayTask:
    """The task of this process in the environment of SLURM.

    Parameters
    ----------
    environment : mapping
        With ``SLURM_ARRAY_TASK_ID``, ``_MIN``, ``_MAX``, ``_STEP`` and ``_COUNT``.

    Returns
    -------
    ArrayTask

    Raises
    ------
    UsageError
        This is not a task of an array, or the array has gaps.
    """
    prefix = "SLURM_ARRAY_TASK_"
    if f"{prefix}ID" not in environment:
        raise UsageError(f"this is not a task of a SLURM array ({prefix}ID is not set); submit a script with sbatch "
                         "--array=1-N")
    values = {}
    for name in ("ID", "MIN", "MAX", "STEP", "COUNT"):
        text = environment.get(prefix + name, "")
        if text.isdigit():
            values[name] = int(text)
        elif text or name in ("ID", "MIN", "MAX"):
            raise UsageError(f"{prefix}{name} is {text!r}, not a number; submit with sbatch --array=1-N")
    task, first, last = values["ID"], values["MIN"], values["MAX"]
    step = values.get("STEP") or 1
    found = ArrayTask(task, first, last, step, environment.get("SLURM_ARRAY_JOB_ID"))
    if task not in found.tasks or values.get("COUNT", len(found.tasks)) != len(found.tasks):
        raise UsageError(f"the array has gaps ({values.get('COUNT')} tasks from {first} to {last} in steps of "
                         f"{step}), and maps of missing tasks would not run; submit a whole range, --array=1-N: with "
                         "--resume finished maps are skipped")
    return found


@dataclass(frozen=True)
class Collected:
    """Rows of all tasks of an array, in the order of the maps.

    Attributes
    ----------
    rows : list of dict
    missing_tasks : list of int
        Tasks without a table.
    older : list of str
        Tables that belong to another array, which are left out.
    """

    rows: list[dict]
    missing_tasks: list[int]
    older: list[str]

    @property
    def unfinished(self) -> str:
        """str : Missing maps and tasks in words; empty if all maps were run."""
        not_run = sum(line["status"] == maps_table.NOT_RUN for line in self.rows)
        missing = ", ".join(map(str, self.missing_tasks))
        told = [f"{not_run} maps were not run"] if not_run else []
        return " and ".join([*told, *([f"no table of the tasks {missing}"] if missing else [])])


def collect(directory: str) -> Collected:
    """Merge the tables of the tasks of an array.

    If a directory holds tables of several arrays (other maps, or another number of tasks), those of the one that
    wrote last are used.

    Raises
    ------
    InputError
        There are none, or one is damaged.
    """
    if not os.path.isdir(directory):
        raise InputError(f"{shown(directory)}: no such directory; give the output directory of the array")
    paths = sorted(glob.glob(os.path.join(glob.escape(directory), f"{maps_table.NAME}_task*.json")))
    if not paths:
        raise InputError(f"{shown(directory)}: contains no table of a task ({maps_table.NAME}_taskN.json); give the "
                         "output directory of an array")
    arrays = {}
    for path in paths:
        rows, array = maps_table.read_table(path)
        try:
            key = tuple(array[name] for name in ("first", "last", "step", "maps", "list_sha256"))
            task = ArrayTask(**{name: array[name] for name in ("task", "first", "last", "step")})
            arrays.setdefault(key, []).append((os.path.getmtime(path), path, task, rows))
        except (TypeError, KeyError):
            raise InputError(f"{shown(path)}: is not the table of a task; remove it, and run that task again"
                             ) from None
    newest = max(arrays.values(), key=lambda tables: max(tables, key=lambda item: item[0])[0])
    older = [path for tables in arrays.values() if tables is not newest for _, path, _, _ in tables]
    there = {task.task for _, _, task, _ in newest}
    rows = sorted((line for _, _, _, lines in newest for line in lines), key=lambda line: line["number"])
    return Collected(rows, [number for number in newest[0][2].tasks if number not in there], older)


def write_collected(directory: str, found: Collected) -> tuple[str, str | None]:
    """Write the table of all maps of an array, and the index of their reports.

    Parameters
    ----------
    directory : str
        Of the collected tables.
    found : Collected

    Returns
    -------
    table : str
    index : str or None
        None if no map has a report.
    """
    maps_table.write_table(directory, found.rows)
    return maps_table.table_paths(directory)["table of maps"], write_collected_index(directory, found.rows)
