"""Biological assemblies: those that a file defines, and building one of them.

Files are often edited without their assemblies: waters are removed, chains renamed. Chains that an assembly names
and the model lacks are left out.
"""

from typing import Any

from occupy_jit.errors import InputError

_DESCRIBED = {"_pdbx_struct_assembly.": ("details", "method_details", "oligomeric_details", "oligomeric_count"),
              "_pdbx_struct_oper_list.": ("type",)}


def copies_of(structure: Any) -> dict[str, Any]:
    """Name of every assembly, and its largest number of copies of a chain: operators add up over its rows.

    Parameters
    ----------
    structure : gemmi.Structure

    Returns
    -------
    dict
    """
    return {assembly.name: max(_operators(assembly).values(), default=1) for assembly in structure.assemblies}


def _operators(assembly):
    """Number of operators of every chain that an assembly names."""
    number = {}
    for generator in assembly.generators:
        for name in dict.fromkeys([*generator.chains, *generator.subchains]):
            number[name] = number.get(name, 0) + len(generator.operators)
    return number


def structure_of(gemmi: Any, block: Any) -> Any:
    """The structure of an mmCIF block, with assemblies even if the file describes them in few columns.

    gemmi ignores tables that lack one of its columns, even descriptive ones.
    """
    for category, names in _DESCRIBED.items():
        table = block.find_mmcif_category(category)
        if not len(table):
            continue
        there = {tag[len(category):] for tag in table.tags}
        missing = [name for name in names if name not in there]
        if missing and table.loop is not None:
            table.loop.add_columns([category + name for name in missing], "?")
        elif missing:
            block.set_pairs(category, {name: None for name in missing})
    return gemmi.make_structure_from_block(block)


def named_in(gemmi: Any, block: Any) -> dict[str, int]:
    """As `copies_of`, from the mmCIF block; empty without readable assemblies."""
    try:
        structure = structure_of(gemmi, block) if block.find_values("_pdbx_struct_assembly.id") else None
    except (ValueError, RuntimeError):
        structure = None
    return {} if structure is None else copies_of(structure)


def make(gemmi: Any, structure: Any, name: str, path: str, remarks: list[str]) -> int:
    """Replace the model of a structure by an assembly.

    Parameters
    ----------
    gemmi : module
    structure : gemmi.Structure
        It is changed: one model, the assembly.
    name : str
        Of the assembly.
    path : str
        For messages.
    remarks : list of str
        Missing chains are added to the remarks.

    Returns
    -------
    int
        Number of copies.

    Raises
    ------
    InputError
        There is no such assembly, or the model has none of its chains.
    """
    named = {assembly.name: assembly for assembly in structure.assemblies}
    if name not in named:
        there = "it names " + ", ".join(named) if named else "the file defines none"
        raise InputError(f"{path}: has no assembly {name}, which --assembly names: {there}")
    assembly, model = named[name], structure[0]
    absent = _keep_what_is_there(assembly, model)
    copies = max(_operators(assembly).values(), default=0)
    if not copies:
        raise InputError(f"{path}: assembly {name} cannot be made: " + (
            f"the model has none of its chains ({', '.join(absent[:10])})" if absent else "it defines no operators")
            + "; leave out --assembly, or use the file as it was deposited")
    if absent:
        remarks.append(f"assembly {name} is made without chains that the model lacks: "
                       + ", ".join(absent[:10]) + (f" and {len(absent) - 10} more" if len(absent) > 10 else ""))
    made = gemmi.make_assembly(assembly, model, gemmi.HowToNameCopiedChain.AddNumber)
    while len(structure) > 1:
        del structure[1]
    for chain in [c.name for c in model]:
        model.remove_chain(chain)
    for chain in made:
        model.add_chain(chain)
    return copies


def _keep_what_is_there(assembly, model):
    """Remove names from an assembly that the model lacks; returns them.

    They are those of the file (label_asym_id), or, in some files of programs, those of the authors.
    """
    of_file = {residue.subchain for chain in model for residue in chain}
    of_authors = {chain.name for chain in model}
    absent = []
    for generator in assembly.generators:
        wanted = list(dict.fromkeys([*generator.subchains, *generator.chains]))
        by_file = [name for name in generator.subchains if name in of_file]
        by_authors = [name for name in wanted if name in of_authors]
        if len(by_authors) > len(by_file):
            generator.subchains, generator.chains = [], by_authors
        else:
            generator.subchains, generator.chains = by_file, []
        kept = generator.subchains or generator.chains
        absent += [name for name in wanted if name not in kept and name not in absent]
    return absent
