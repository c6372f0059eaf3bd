"""Tables as text: the only place that writes CSV and rounds the numbers of tables.

Plain CSV, UTF-8, with commas, decimal points and empty cells for missing values. A name that a spreadsheet would
take for a formula gets an apostrophe before it: names of maps, chains and masks come from files of other people.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_FORMULA = tuple("=+-@")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?")
#: Decimals of rounded columns; all others are written unchanged.
_DECIMALS = {"occupancy": 4, "se": 4, "dB": 1, "se_dB": 1, "cc": 3, "scale_from_map": 3, "half1": 4, "half2": 4,
             "se_noise": 4, "occupancy_more": 4, "occupancy_less": 4, "difference": 4, "low": 4, "high": 4,
             "detection_limit": 4, "displaced_angstrom": 2, "relative_to_chain": 4, "relative_low": 4,
             "relative_high": 4, "cc_low": 3, "cc_high": 3, "copies_mean": 4}
_PROBABILITIES = frozenset(("p", "p_corrected"))


def harmless(text: object) -> str:
    """Text in one line of UTF-8 that no spreadsheet takes for a formula.

    Parameters
    ----------
    text : object
        Bytes of a file name outside UTF-8 are written as escapes, control characters as "?".

    Returns
    -------
    str
    """
    held = str(text).encode("utf-8", "backslashreplace").decode()
    line = "".join(char if char.isprintable() else "?" for char in held)
    return "'" + line if line.startswith(_FORMULA) else line


def csv_text(rows: Iterable[Mapping[str, Any]], first: Sequence[str] = ()) -> str:
    """A table as CSV.

    Parameters
    ----------
    rows : iterable of mapping
        Column -> value; a row may lack columns.
    first : sequence of str
        Columns that always exist, at the left; the others follow in order of appearance.

    Returns
    -------
    str
    """
    rows = list(rows)
    names = list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
    return csv_of_cells(names, ([row.get(name) for name in names] for row in rows))


def csv_of_cells(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as CSV, from the names of its columns and rows of as many cells.

    Parameters
    ----------
    names : iterable of str
    rows : iterable of iterable
        None is an empty cell; text that is a number is written unchanged.

    Returns
    -------
    str
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, names))
    writer.writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    return harmless(value) if isinstance(value, str) and not _NUMBER.fullmatch(value) else value


def rounded(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows rounded to significant digits, with None for non-finite numbers.

    Parameters
    ----------
    rows : iterable of mapping
        Of parts of a model; probabilities keep three digits.

    Returns
    -------
    list of dict
    """
    return [{name: _rounded(name, value) for name, value in row.items()} for row in rows]


def _rounded(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool) or name not in _DECIMALS and name not in _PROBABILITIES:
        return value
    if value != value:
        return None
    return float(f"{value:.3g}") if name in _PROBABILITIES else round(float(value), _DECIMALS[name])
