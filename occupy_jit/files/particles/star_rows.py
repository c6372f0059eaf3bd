"""Rows of particles in a STAR file of RELION, as bytes, so that copies are unchanged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import open_input

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALUE = re.compile(rb"""'(?:[^']|'(?!\s))*'(?=\s|$)|"(?:[^"]|"(?!\s))*"(?=\s|$)|\S+""")
_OF_PARTICLES = (b"_rlnImageName", b"_rlnMicrographName", b"_rlnCoordinateX")


@dataclass
class StarRows:
    """A STAR file with its table of particles in rows.

    Attributes
    ----------
    path : str
    before, after : bytes
        Everything before the first row and after the last.
    rows : list of bytes
        With their ends of line.
    columns : list of bytes
    """

    path: str
    before: bytes
    after: bytes
    rows: list
    columns: list

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, column: bytes) -> list[bytes]:
        """Texts of a column: list of bytes.

        Raises
        ------
        InputError
            There is no such column, or a row has a wrong number of values.
        """
        if column not in self.columns:
            raise InputError(f"{shown(self.path)}: its table of particles has no column {column.decode()}")
        place, width, found = self.columns.index(column), len(self.columns), []
        for number, row in enumerate(self.rows, 1):
            values = row.split()
            if len(values) != width:
                values = _VALUE.findall(row)
            if len(values) != width:
                raise InputError(f"{shown(self.path)}: row {number} of the particles has {len(values)} values for "
                                 f"{width} columns; the file is damaged")
            found.append(values[place])
        return found

    def subset(self, chosen: Sequence[int]) -> bytes:
        """The file with only these rows: bytes.

        Parameters
        ----------
        chosen : sequence of int
            Numbers of rows, from 0.
        """
        rows = [self.rows[index] for index in chosen]
        # the last row of a file may lack its end of line
        rows = [row if row.endswith(b"\n") else row + b"\n" for row in rows]
        return b"".join([self.before, *rows, self.after])


def read_rows(path: str) -> StarRows:
    """Find the table of particles of a STAR file.

    Raises
    ------
    InputError
        The file has none.
    """
    with open_input(path, "STAR file") as file:
        lines = file.read().splitlines(keepends=True)
    best = None
    for loop in _loops(lines):
        columns, first, last = loop
        if any(name in columns for name in _OF_PARTICLES) and (best is None or last - first > best[2] - best[1]):
            best = loop
    if best is None:
        raise InputError(f"{shown(path)}: holds no table of particles (a loop with {_OF_PARTICLES[0].decode()}); give "
                         "the particles.star or run_itNNN_data.star")
    columns, first, last = best
    return StarRows(path, b"".join(lines[:first]), b"".join(lines[last:]), lines[first:last], columns)


def _loops(lines):
    """Columns, first line and the line after the last, of every loop."""
    at = 0
    while at < len(lines):
        if lines[at].strip().lower() != b"loop_":
            at += 1
            continue
        at += 1
        columns = []
        while at < len(lines) and (not lines[at].strip() or lines[at].lstrip()[:1] in (b"_", b"#")):
            if lines[at].lstrip().startswith(b"_"):
                columns.append(lines[at].split()[0])
            elif not lines[at].strip() and columns:
                break
            at += 1
        first = at
        while at < len(lines) and lines[at].strip() and not _ends(lines[at]):
            at += 1
        yield columns, first, at


def _ends(line):
    start = line.lstrip()[:5].lower()
    return start.startswith((b"data_", b"loop_", b"#"))
