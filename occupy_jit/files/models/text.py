"""The mmCIF text of an atomic model: read from a file of any kind, or made from a PDB file or of an assembly."""

import bz2
import gzip
import re
import zlib

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown

_LARGEST_FILE = 2 << 30


def read_bytes(path):
    """What the file holds, unpacked.

    Raises
    ------
    InputError
        It is missing, damaged, empty, or no text.
    """
    name = shown(path)
    try:
        with open(path, "rb") as file:
            head = file.read(3)
        opener = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}.get(head[:2], open)
        with opener(path, "rb") as file:
            text = file.read(_LARGEST_FILE)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name}: is a directory; give the model's file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name}: the compressed file is damaged ({one_line(error)}); get it again") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or one_line(error)}") from error
    if not text.strip():
        raise InputError(f"{name}: is empty; give an atomic model (mmCIF or PDB)")
    if b"\0" in text[:4096]:
        raise InputError(f"{name}: is no text; give an atomic model (mmCIF or PDB)")
    return text


def looks_like_cif(text):
    """Whether a text is mmCIF, and not PDB."""
    return bool(re.search(rb"^\s*_atom_site\.", text, re.MULTILINE) or re.match(rb"(\s|#[^\n]*\n)*data_", text))


def one_line(error):
    """What an exception says, in one line of bearable length."""
    return " ".join(str(error).split())[:200]


def through_gemmi(gemmi, text, is_cif, assembly, path):
    """The mmCIF text of a PDB file or of an assembly, the number of copies, and what assemblies there are."""
    if is_cif:
        structure = gemmi.make_structure_from_block(block_with_atoms(gemmi.cif.read_string(text), path))
    else:
        if not re.search(rb"^(ATOM  |HETATM)", text, re.MULTILINE):
            raise InputError(f"{path}: holds no atoms: neither the ATOM records of a PDB file nor the _atom_site table "
                             "of an mmCIF file; give an atomic model")
        structure = gemmi.read_pdb_string(text)
    structure.setup_entities()
    assemblies = {a.name: max((len(g.operators) for g in a.generators), default=1) for a in structure.assemblies}
    copies = 1
    if assembly is not None:
        named = {a.name: a for a in structure.assemblies}
        if assembly not in named:
            there = "it names " + ", ".join(named) if named else "the file names none"
            raise InputError(f"{path}: has no assembly {assembly}, which --assembly names: {there}")
        copies = max(len(g.operators) for g in named[assembly].generators)
        made = gemmi.make_assembly(named[assembly], structure[0], gemmi.HowToNameCopiedChain.AddNumber)
        while len(structure) > 1:
            del structure[1]
        for chain in [c.name for c in structure[0]]:
            structure[0].remove_chain(chain)
        for chain in made:
            structure[0].add_chain(chain)
    for model in structure:
        for chain in model:
            chain.name = chain.name or "_"
    return structure.make_mmcif_document().as_string().encode(), copies, assemblies


def block_with_atoms(document, path):
    """The first block of a document that has a table of atoms."""
    for block in document:
        if block.find_values("_atom_site.Cartn_x"):
            return block
    raise InputError(f"{path}: holds no atoms (no _atom_site table); give an atomic model, not a map, a dictionary or "
                     "structure factors")


def assemblies_of(gemmi, block):
    """Name of every assembly and the largest number of operators that any of its chains gets."""
    try:
        structure = gemmi.make_structure_from_block(block) if block.find_values("_pdbx_struct_assembly.id") else None
    except (ValueError, RuntimeError):
        structure = None
    if structure is None:
        return {}
    return {a.name: max((len(g.operators) for g in a.generators), default=1) for a in structure.assemblies}
