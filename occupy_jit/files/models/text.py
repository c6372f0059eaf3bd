"""The mmCIF text of an atomic model: read from a file, or made from a PDB file or an assembly."""

import re
from typing import Any

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import TEXT_PIECE, read_text

_LARGEST = 1 << 30
"""Bytes of text: some ten million atoms."""

_PDB_RECORD = re.compile(rb"^(ATOM  |HETATM|HEADER|TITLE |COMPND|SOURCE|KEYWDS|EXPDTA|AUTHOR|REVDAT|JRNL  |REMARK|"
                         rb"DBREF|SEQADV|SEQRES|MODRES|HET   |HETNAM|FORMUL|HELIX |SHEET |SSBOND|LINK  |CRYST1|ORIGX|"
                         rb"SCALE|MTRIX|MODEL |ANISOU|CONECT|USER  )", re.MULTILINE)


def read_bytes(path: str) -> bytes:
    """Unpacked content of the file.

    Raises
    ------
    InputError
        It is missing, damaged, empty, too large, or not text.
    """
    name = shown(path)

    def look(start):
        # for a short file the reader gives a better message
        if len(start) == TEXT_PIECE and not (looks_like_cif(start) or _PDB_RECORD.search(start)):
            raise InputError(f"{name}: does not begin as an atomic model does; give an mmCIF or PDB file")

    text = read_text(path, "atomic model (mmCIF or PDB)", _LARGEST, unpack=True, look=look)
    if not text.strip():
        raise InputError(f"{name}: is empty; give an atomic model (mmCIF or PDB)")
    return text


def looks_like_cif(text: bytes) -> bool:
    """Whether a text is mmCIF rather than PDB."""
    return bool(re.search(rb"^\s*_atom_site\.", text, re.MULTILINE) or re.match(rb"(\s|#[^\n]*\n)*data_", text))


def one_line(error: Any) -> Any:
    """Text of an exception in one short line."""
    return " ".join(str(error).split())[:200]


def block_with_atoms(document: Any, path: str) -> Any:
    """The first block of a document that has a table of atoms."""
    for block in document:
        if block.find_values("_atom_site.Cartn_x"):
            return block
    raise InputError(f"{path}: holds no atoms (no _atom_site table); give an atomic model, not a map, a dictionary or "
                     "structure factors")
