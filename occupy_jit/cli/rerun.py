"""Repetition of a run from its record: the same inputs, settings and options, except those given on the command
line."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from occupy_jit import __version__
from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.settings import Options, Settings, from_record, names


def repeated(values: dict, options: Options) -> tuple[Settings, Options]:
    """Settings and options of the recorded run.

    Parameters
    ----------
    values : dict
        Settings on the command line, by name; they override recorded ones.
    options : occupy_jit.settings.Options
        Given options also override recorded ones.

    Returns
    -------
    settings : occupy_jit.settings.Settings
    options : occupy_jit.settings.Options

    Raises
    ------
    InputError
        The record cannot be used, or an input has changed.
    UsageError
        A recorded value is out of its range.
    """
    from occupy_jit.reports.record import read_record

    name = shown(options.rerun)
    record = read_record(options.rerun, pipe=True)
    if record.get("finished") is False:
        raise InputError(f"{name}: is the record of an unfinished run on several maps; run them again")
    _require_known_version(record["occupy_jit"], name)
    try:
        sources, digests = _inputs(record)
        recorded = record["settings"], record["options"]
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{name}: is not the record of a run; give the occupy_NAME.json of a run") from None
    try:
        old_settings, old_options = (from_record(kind, old) for kind, old in zip((Settings, Options), recorded,
                                                                                 strict=True))
        anew = {field: values[field] for field in names(Settings) if field in values}
        settings = Settings(**{**old_settings, **anew})
        changed = replace(options, **{field: value for field, value in old_options.items()
                                      if field not in options.given})
        given = options.given.union(record.get("given", ()))
        if not all(isinstance(path, str) for path in (*digests, *given)):
            raise TypeError("names are text")
        _require_possible_names(name, [*digests, *old_options.values()])
    except (TypeError, AttributeError):
        raise InputError(f"{name}: contains settings or options that this version does not have; run the map again "
                         "with -i") from None
    _check_unchanged(digests)
    return settings, replace(changed, rerun=None, given=given, **sources)  # pyright: ignore[reportReturnType]


def _require_known_version(version, name):
    """Refuse the record of a newer program, whose settings are unknown here."""
    if _numbers(version) > _numbers(__version__):
        raise InputError(f"{name}: was written by OccuPy {shown(version)}, newer than this one ({__version__}); "
                         "install that version to repeat the run")


def _require_possible_names(name, values):
    """Refuse text that cannot be a file name because it contains a null character."""
    for value in values:
        for text in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(text, str) and "\0" in text:
                raise InputError(f"{name}: contains {shown(text)}, which is not a possible file name; correct it")


def _numbers(version):
    """A version as comparable numbers."""
    return [int(number) for number in re.findall(r"[0-9]{1,9}", version.partition("+")[0])[:3]]


def _inputs(record):
    """Options for the inputs of a recorded run, and the checksum of each file."""
    if "inputs" not in record:
        entry = record["input"]
        return {"input_map": (entry["path"],)}, {entry["path"]: entry["sha256"]}
    entry = record["inputs"]
    digests = {run["input"]["path"]: run["input"]["sha256"] for run in record["runs"]}
    star = entry["relion_classes"]
    if star is not None:
        digests[star] = entry["sha256"]
        return {"relion_classes": star}, digests
    maps = tuple(path for path in entry["maps"] if path is not None)
    return {"input_map": maps, "common_scale": len(maps) > 1}, digests


def _check_unchanged(digests):
    from occupy_jit.files.checksum import checksum_of

    for path, digest in digests.items():
        if not os.path.exists(path):
            raise InputError(f"{shown(path)}: the input of the recorded run no longer exists; restore it")
        if digest is not None and checksum_of(path, InputError) != digest:
            raise InputError(f"{shown(path)}: has changed since the recorded run (its checksum differs); restore "
                             "the original, or run it with -i")
