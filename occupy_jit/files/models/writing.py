"""Writing of atomic models with other occupancies."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import OccupyError
from occupy_jit.files.models.reading import require_extra

if TYPE_CHECKING:
    from occupy_jit.files.models.reading import AtomicModel

_TOKEN = re.compile(rb"'(?:[^'\n]|'(?=\S))*'|\"(?:[^\"\n]|\"(?=\S))*\"|\S+")


def with_occupancies(model: AtomicModel, occupancy: np.ndarray) -> bytes:
    """The mmCIF text of a model with other occupancies, and everything else unchanged if the table allows it.

    Parameters
    ----------
    model : AtomicModel
    occupancy : ndarray (atoms,), float64
        Of the atoms of the model. They are clipped to 0..1 and multiplied by the shares of alternates; atoms that do
        not count (waters, hydrogens) keep their occupancies.

    Returns
    -------
    bytes
    """
    values = dict(zip(model.row.tolist(), (np.clip(occupancy, 0, 1) * model.weight).tolist(), strict=True))
    lines, columns, start, n_rows = _table_lines(model.text)
    # the table continues after a comment or a blank line
    if lines is None or b"_atom_site.occupancy" not in columns or max(values, default=0) >= n_rows:  # pyright: ignore[reportOperatorIssue]
        return _rewritten(model.text, values)
    place = columns.index(b"_atom_site.occupancy")
    for row, value in values.items():
        lines[start + row] = _replace_token(lines[start + row], place, value)
    return b"".join(lines)


def _table_lines(text):
    """Lines of the text, columns of the table of atoms, and its first line and length; None if rows are not lines."""
    lines = text.splitlines(keepends=True)
    at = next((i for i, line in enumerate(lines) if line.strip().startswith(b"_atom_site.")), None)
    if at is None or at == 0 or lines[at - 1].strip().lower() != b"loop_":
        return None, None, None, 0
    columns = []
    while at < len(lines) and lines[at].strip().startswith(b"_"):
        columns.append(lines[at].split()[0])
        at += 1
    start = at
    ends = (b"#", b"loop_", b"data_", b";", b"_")
    while at < len(lines) and lines[at].strip() and not lines[at].lstrip().startswith(ends):
        at += 1
    if any(len(_TOKEN.findall(line)) != len(columns) for line in lines[start:at]):
        return None, None, None, 0
    return lines, columns, start, at - start


def _replace_token(line, place, value):
    """Replace a token by a number, adjusting blanks around it to keep the length if possible."""
    found = next(itertools.islice(_TOKEN.finditer(line), place, None))
    old = found.group()
    decimals = max(2, len(old.partition(b".")[2])) if old not in (b"?", b".") else 2
    new = b"%.*f" % (min(decimals, 6), value)
    rest = line[found.end():]
    blanks = len(rest) - len(rest.lstrip(b" "))
    change = len(new) - len(old)
    if change < 0 and blanks:
        new += b" " * -change
    elif change > 0:
        rest = rest[min(change, max(blanks - 1, 0)):]
    return line[:found.start()] + new + rest


def _rewritten(text, values):
    """The same if rows are not lines: written by gemmi."""
    gemmi = require_extra()
    document = gemmi.cif.read_string(text)
    for block in document:
        if not block.find_values("_atom_site.Cartn_x"):
            continue
        table = block.find_mmcif_category("_atom_site.")
        tags = list(table.tags)
        if "_atom_site.occupancy" not in tags:
            loop = table.loop
            if loop is None:
                raise OccupyError("the table of atoms has no column for occupancies")
            loop.add_columns(["_atom_site.occupancy"], "1.00")
            table = block.find_mmcif_category("_atom_site.")
            tags = list(table.tags)
        column = tags.index("_atom_site.occupancy")
        for row, value in values.items():
            table[row][column] = f"{value:.2f}"
        break
    return document.as_string().encode()
