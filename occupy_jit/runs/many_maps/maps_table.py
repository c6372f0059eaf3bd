"""The table of a run on many maps: one row per map, for pandas, R and spreadsheets, and the same as JSON.

``occupy_summary.csv`` is wide: each part (a target mask, a part of a model) has its own columns.
``occupy_summary_parts.csv`` is long: one row for each map and part. Both are plain CSV, UTF-8, with a comma, a decimal
point, empty cells for missing values, and names of columns that R does not change. Nothing in them depends on
when or where a map was run, so that a resumed run writes the same bytes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.reports.record import read_record, write_record
from occupy_jit.reports.table import csv_text, harmless

if TYPE_CHECKING:
    from occupy_jit.runs.many_maps.array_task import ArrayTask
    from occupy_jit.runs.one_map.outcome import Outcome

NAME = "occupy_summary"

_PAUSE = 5.0  # seconds between two versions of a table that grows

DONE, FAILED, NOT_RUN = "done", "failed", "not run"

#: Column -> its place in the record of a run.
_FROM_RECORD = {
    "box_x": ("input", "shape_zyx", 2),
    "box_y": ("input", "shape_zyx", 1),
    "box_z": ("input", "shape_zyx", 0),
    "voxel_size_angstrom": ("input", "voxel_size_angstrom"),
    "lowpass_angstrom": ("derived", "lowpass_angstrom"),
    "full_scale": ("results", "full_scale"),
    "zero_level": ("results", "zero_level"),
    "noise_floor": ("results", "noise_floor"),
    "noise_of_scale": ("results", "noise_of_scale"),
    "visible_from": ("results", "visible_from"),
    "noise_hides_parts": ("results", "noise_hides_parts"),
    "occupied_above_scale": ("results", "occupied_above_scale"),
    "occupied_volume_angstrom3": ("results", "occupied_volume_angstrom3"),
    "mean_scale": ("results", "mean_scale_of_occupied"),
    "weaker_than_half": ("results", "core", "weaker_than_half"),
    "weaker_than_half_at_least": ("results", "core", "weaker_than_half_at_least"),
}
_FIRST = ("number", "name", "map", "status", "exit_status", "message")


def row(number: int, path: str, status: str, exit_status: int = 0, message: str = "",
        record: dict[str, Any] | None = None, parts: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """One row of the table.

    Parameters
    ----------
    number : int
        Position among all maps, from 1.
    path : str
    status : {"done", "failed", "not run"}
    exit_status : int
    message : str
        Why it failed.
    record : dict, optional
        Of the run, as in its JSON file.
    parts : sequence of dict
        With ``part`` (a name), ``occupancy``, ``error``, and whatever else there is.

    Returns
    -------
    dict
        In plain types; ``parts`` is a list.
    """
    cells = {"number": number, "name": _stem(path), "map": _text(path), "status": status, "exit_status": exit_status,
             "message": _text(message.splitlines()[0]) if message else ""}
    for column, place in _FROM_RECORD.items():
        cells[column] = _at(record, place)
    verdicts = (record or {}).get("verdicts") or ()
    cells["verdicts"] = ";".join(dict.fromkeys(item["code"] for item in verdicts))
    cells["parts"] = [dict(part) for part in parts]
    return cells


def _stem(path):
    from occupy_jit.runs.plan.names import names_for

    return _text(names_for(path, "").stem)


def _text(value):
    """Text that UTF-8 can represent, because a file name may contain other bytes."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _at(record, place):
    value = record
    for key in place:
        try:
            value = value[key]
        except (TypeError, KeyError, IndexError):
            return None
    return value


def write_table(directory: str, rows: list[dict[str, Any]], name: str = NAME, array: dict[str, Any] | None = None
               ) -> None:
    """Write the table as CSV and JSON, and the parts, if any, as a separate CSV.

    Parameters
    ----------
    directory : str
        It exists.
    rows : list of dict
        From `row`.
    name : str
        Of the files, without suffix.
    array : dict, optional
        The task and the array of this process.
    """
    planned = table_paths(directory, name)
    with Outputs() as outputs:
        with outputs.open(planned["table of maps"], "w") as file:
            file.write(csv_text(wide(rows), _FIRST + tuple(_FROM_RECORD) + ("verdicts",)))
        long = parts_long(rows)
        if long:
            with outputs.open(planned["table of parts"], "w") as file:
                file.write(csv_text(long, ("number", "name", "map", "part")))
        with outputs.open(planned["table as JSON"], "w") as file:
            count = {status: sum(r["status"] == status for r in rows) for status in (DONE, FAILED, NOT_RUN)}
            write_record(file, {"table": NAME, "array": array, "count": count, "maps": rows})


class Table:
    """The growing table, written now and then, so that a killed run leaves its results.

    Parameters
    ----------
    directory : str
        It exists before the first `add`.
    maps : sequence of str
        All maps, in order; the table also lists those that were not run.
    mine : sequence of str
        The maps of this table.
    task : occupy_jit.runs.many_maps.array_task.ArrayTask, optional
    outcomes : sequence of occupy_jit.runs.one_map.outcome.Outcome
        Outcomes that are known already.
    """

    def __init__(self, directory: str, maps: Sequence[str], mine: Sequence[str], task: ArrayTask | None = None,
                 outcomes: Sequence[Outcome] = ()) -> None:
        numbers = {path: number for number, path in enumerate(maps, 1)}
        self._directory = directory
        self._rows = {path: row(numbers[path], path, NOT_RUN) for path in mine}
        self._name = NAME if task is None else task.table_name
        self._array = None if task is None else task.description(maps)
        self._written = time.monotonic()
        for outcome in outcomes:
            self._take(outcome)

    def _take(self, outcome):
        number = self._rows[outcome.path]["number"]
        if outcome.status:
            self._rows[outcome.path] = row(number, outcome.path, FAILED, outcome.status, outcome.message)
        else:
            self._rows[outcome.path] = row(number, outcome.path, DONE, record=outcome.record,
                                           parts=parts_of(outcome.record))

    def add(self, outcome: Any) -> None:
        """Add an outcome to the table."""
        self._take(outcome)
        if time.monotonic() - self._written > _PAUSE:
            self.write()

    def write(self) -> None:
        """Write the table as it is now."""
        write_table(self._directory, list(self._rows.values()), self._name, self._array)
        self._written = time.monotonic()


def parts_of(record: Any) -> Any:
    """Target masks and parts of a model from a record, as rows of the long table."""
    found = record.get("results") or {}
    targets = found.get("targets") or ()
    names = [_stem(target["mask"]) for target in targets]
    masks = [{"part": name if names.count(name) == 1 else _text(target["mask"]), "kind": "mask",
              "occupancy": target["occupancy"], "error": target["error"]}
             for name, target in zip(names, targets, strict=True)]
    return masks + [{"part": harmless(row["part"]), "kind": "model", "occupancy": row["occupancy"], "error": row["se"]}
                    for row in found.get("parts") or ()]


def table_paths(directory: Any, name: str = NAME) -> dict[Any, Any]:
    """Role -> path of the files that `write_table` writes."""
    start = os.path.join(directory, name)
    return {"table of maps": f"{start}.csv", "table of parts": f"{start}_parts.csv", "table as JSON": f"{start}.json"}


def read_table(path: str) -> tuple[Any, Any]:
    """Rows and array of a table as JSON.

    Raises
    ------
    InputError
    """
    record = read_record(path)
    rows = record.get("maps")
    if record.get("table") != NAME or not isinstance(rows, list) or not all(
            isinstance(r, dict) and {"number", "status", "parts"} <= r.keys() for r in rows):
        raise InputError(f"{shown(path)}: is not a table of maps; give the directory of tables that OccuPy has written")
    return rows, record.get("array")


def wide(rows: Any) -> Any:
    """Rows with the parts as columns: ``occupancy_NAME`` and ``error_NAME``."""
    columns = _column_names(rows)
    flat = []
    for cells in rows:
        line = {key: value for key, value in cells.items() if key != "parts"}
        for part in cells["parts"]:
            line[f"occupancy_{columns[part['part']]}"] = part.get("occupancy")
            line[f"error_{columns[part['part']]}"] = part.get("error")
        flat.append(line)
    return flat


def _column_names(rows):
    """Part -> a unique column name that R and others accept."""
    names, taken = {}, set()
    for part in dict.fromkeys(part["part"] for cells in rows for part in cells["parts"]):
        name = re.sub(r"[^0-9A-Za-z_.]+", "_", part).strip("_") or "part"
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        names[part] = unique
    return names


def parts_long(rows: Any) -> list[Any]:
    """One row for each map and part."""
    return [{"number": cells["number"], "name": cells["name"], "map": cells["map"], **part}
            for cells in rows for part in cells["parts"]]
