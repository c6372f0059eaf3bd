"""The JSON record of a run, for other programs, and for repeating the run.

Keys keep their order; floats are written with all bits; NaN and infinity,
which JSON lacks, become null, with a list of them at the end of the record. The text is plain ASCII.
"""

import dataclasses
import json
import math
import os
from typing import IO, Any

from occupy_jit import __version__
from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import read_text

#: Number of the layout. It increases when a reader of the old layout could misread the new one.
FORMAT = 1

_PROGRAM = "occupy_jit"
_LARGEST = 1 << 29  # bytes
_NOT_FINITE = "not_finite"


def _plain(value, where, replaced):
    """`value` in JSON types; `replaced` collects the places of non-finite numbers."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, os.PathLike):
        return os.fsdecode(value)
    elif hasattr(value, "tolist"):  # a numpy array or scalar, without importing numpy
        value = value.tolist()  # pyright: ignore[reportAttributeAccessIssue]
        if value is None or isinstance(value, (bool, str)):
            return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        replaced["/".join(where)] = str(float(value))
        return None
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"keys of a record are text, not those of {'/'.join(where) or 'this one'}: {list(value)}")
        return {key: _plain(item, (*where, key), replaced) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, (*where, str(index)), replaced) for index, item in enumerate(value)]
    raise TypeError(f"{'/'.join(where)}: a {type(value).__name__} cannot be recorded")


def _lines(value, indent=""):
    """JSON text with one key per line, and lists of plain values on one line."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        items = (f"{deeper}{json.dumps(key)}: {_lines(item, deeper)}" for key, item in value.items())
        return "{\n" + ",\n".join(items) + "\n" + indent + "}"
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return "[\n" + ",\n".join(deeper + _lines(item, deeper) for item in value) + "\n" + indent + "]"
    return json.dumps(value, allow_nan=False)


def write_record(file: IO[str], record: dict[str, Any]) -> None:
    """Write a record as JSON.

    Parameters
    ----------
    file : text file
    record : dict
        Text keys; values are None, bool, int, float, str, paths, dicts, lists, tuples, dataclasses, numpy scalars and
        arrays. ``occupy_jit`` (this program's version) and ``format`` are put in front.

    Raises
    ------
    TypeError
        A value of another type (a mistake of the caller).
    """
    replaced = {}
    content = _plain({key: item for key, item in record.items() if key not in (_PROGRAM, "format", _NOT_FINITE)}, (),
                     replaced)
    content = {_PROGRAM: __version__, "format": FORMAT, **content}  # pyright: ignore[reportGeneralTypeIssues]
    if replaced:
        content[_NOT_FINITE] = replaced
    file.write(_lines(content) + "\n")


def _no_constant(name):
    raise ValueError(f"{name} is not a JSON number")


def read_record(path: str, pipe: bool = False) -> dict[str, Any]:
    """Read a record back.

    Parameters
    ----------
    path : str
    pipe : bool
        Whether it may be a pipe.

    Returns
    -------
    dict
        As written; non-finite numbers are None, and ``not_finite`` maps their places ("results/sigma")
        to their values ("nan").

    Raises
    ------
    InputError
        No such file, not JSON, not a record of this program, or of a newer layout than this program knows.
    """
    name = shown(path)
    foreign = f"{name}: is not a record of OccuPy; give an occupy_<name>.json that a run wrote"

    def look(start):
        # so that a map given by mistake is not read completely
        if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            raise InputError(foreign)

    raw = read_text(path, "record of OccuPy", _LARGEST, pipe=pipe, look=look)
    if not raw:
        raise InputError(foreign)
    try:
        record = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InputError(foreign) from error
    except (ValueError, RecursionError) as error:
        line = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{name}: damaged{line}: not valid JSON; run the program again to make it anew") from error
    layout = record.get("format")
    if not isinstance(record.get(_PROGRAM), str) or isinstance(layout, bool) or not isinstance(layout, int) \
            or layout < 1:
        raise InputError(foreign)
    if layout > FORMAT:
        raise InputError(f"{name}: was written by a newer version ({shown(record[_PROGRAM])}, layout {layout}, here "
                         f"{FORMAT}); install that version to use it")
    return record
