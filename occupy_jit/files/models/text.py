"""The mmCIF text of an atomic model: read from a file of any kind, or made from a PDB file or of an assembly."""

import re

from occupy_jit.errors import InputError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.streams import TEXT_PIECE, read_text

_LARGEST = 1 << 30
"""Bytes of text: some ten million atoms."""

_PDB_RECORD = re.compile(rb"^(ATOM  |HETATM|HEADER|TITLE |COMPND|SOURCE|KEYWDS|EXPDTA|AUTHOR|REVDAT|JRNL  |REMARK|"
                         rb"DBREF|SEQADV|SEQRES|MODRES|HET   |HETNAM|FORMUL|HELIX |SHEET |SSBOND|LINK  |CRYST1|ORIGX|"
                         rb"SCALE|MTRIX|MODEL |ANISOU|CONECT|USER  )", re.MULTILINE)


def read_bytes(path):
    """What the file holds, unpacked.

    Raises
    ------
    InputError
        It is missing, damaged, empty, too large, or no text.
    """
    name = shown(path)

    def look(start):
        # of a short file the reader says better what is missing
        if len(start) == TEXT_PIECE and not (looks_like_cif(start) or _PDB_RECORD.search(start)):
            raise InputError(f"{name}: does not begin as an atomic model does; give an mmCIF or PDB file")

    text = read_text(path, "atomic model (mmCIF or PDB)", _LARGEST, unpack=True, look=look)
    if not text.strip():
        raise InputError(f"{name}: is empty; give an atomic model (mmCIF or PDB)")
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
