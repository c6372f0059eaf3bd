"""Maps that an earlier run finished, for --resume."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from occupy_jit import __version__
from occupy_jit.errors import InputError, OccupyError
from occupy_jit.files.checksum import checksum_of, stamp
from occupy_jit.reports.record import read_record
from occupy_jit.runs.plan.output_kinds import Role
from occupy_jit.settings import recorded

if TYPE_CHECKING:
    from occupy_jit.runs.plan.plan import Plan

# Options that change neither results nor files; the output directory is compared separately.
_FREE = frozenset({"output_dir", "threads"})
# Written after the record, in the same moment.
_LAST = frozenset({Role.LOG.value, Role.RECORD.value})


def finished(plan: Plan) -> dict[str, Any] | None:
    """The record of an earlier run with the same plan, if all of its files exist.

    The comparison includes the version of the program, settings, options, names of outputs, and every input file: its
    size and time, and its checksum if the time differs. An output that is newer than the record (a run that was killed
    between two renames, or a file that somebody replaced) is compared by its checksum.

    Parameters
    ----------
    plan : occupy_jit.runs.plan.plan.Plan

    Returns
    -------
    dict or None
    """
    path = plan.path_of(Role.RECORD)
    if path is None or not os.path.exists(path):
        return None
    try:
        record = read_record(path)
        same = (record["occupy_jit"] == __version__ and _same_request(record, plan) and _same_outputs(record, plan)
                and all(_unchanged(entry) for entry in _files_read(record, plan))
                and all(_there(entry, os.stat(path).st_ctime_ns) for entry in record["outputs"]))
    except (InputError, OSError, KeyError, TypeError, AttributeError, ValueError):
        return None  # not a record of this program, or of another version: run the map
    return record if same else None


def _same_request(record, plan):
    return (record["settings"] == _as_recorded(recorded(plan.settings))
            and _compared(record["options"]) == _compared(_as_recorded(recorded(plan.options))))


def _as_recorded(values):
    return json.loads(json.dumps(values))


def _compared(options):
    """Options that affect results, with file names relative to the current directory."""
    return {name: _named(value) for name, value in options.items() if name not in _FREE}


def _named(value):
    if isinstance(value, list):
        return [_named(item) for item in value]
    return os.path.abspath(value) if isinstance(value, str) else value


def _same_outputs(record, plan):
    planned = [(output.what, os.path.abspath(output.path)) for output in plan.outputs]
    return [(entry["role"], os.path.abspath(entry["path"])) for entry in record["outputs"]] == planned


def _files_read(record, plan):
    """Entries of the record for every input file of the plan; KeyError if one is missing."""
    entries = {entry["path"]: entry for entry in (record["input"], *record["also_read"])}
    return [entries[os.path.abspath(path)] for path in (plan.path, *plan.also_read)]


def _unchanged(entry):
    """Whether an input file is unchanged: by its file system data, or else by checksum."""
    now = stamp(entry["path"])
    if now["bytes"] is None or now["bytes"] != entry["bytes"]:
        return False
    return all(entry.get(name) == value for name, value in now.items()) or _has_checksum(entry)


def _there(entry, recorded_ns):
    """Whether an output exists unchanged."""
    status = os.stat(entry["path"])
    # names and permissions also change the second time: then compare the checksum, if there is one
    last = status.st_mtime_ns if entry.get("sha256") is None else max(status.st_mtime_ns, status.st_ctime_ns)
    return last <= recorded_ns or _has_checksum(entry) or entry["role"] in _LAST


def _has_checksum(entry):
    if entry.get("sha256") is None:
        return False
    try:
        return checksum_of(entry["path"]) == entry["sha256"]
    except OccupyError:
        return False
