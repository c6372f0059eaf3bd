"""Files on the parts of a model: tables, ChimeraX attributes and commands."""

import re
from collections.abc import Sequence
from typing import Any

from occupy_jit.reports.chimerax import COLOURS, cannot_open, scale_key, scale_values, script_path
from occupy_jit.reports.table import csv_text, rounded

ATTRIBUTE = "occupancyFit"
_MODEL_NUMBER = 90  # far from the numbers of maps, which begin at 1
_TRANSPARENCY = 60  # percent, of the map, to show the model inside


def table_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Text of parts_<name>.csv: one line per part.

    Parameters
    ----------
    rows : sequence of dict
        All with the same keys.

    Returns
    -------
    str
    """
    # booleans are 1 or 0 here
    return csv_text({name: int(value) if isinstance(value, bool) else value for name, value in row.items()}
                    for row in rounded(rows))


def can_be_named(chain: str, number: str) -> bool:
    """Whether ChimeraX can specify a residue; others cannot have an attribute there."""
    return bool(re.fullmatch(r"\w+", chain, re.ASCII) and re.fullmatch(r"-?\d+[A-Za-z]?", number))


def attributes(residues: Sequence[tuple[Any, ...]]) -> str:
    """Text of parts_<name>.defattr: the occupancy of every residue as an attribute for ChimeraX.

    Parameters
    ----------
    residues : sequence of (chain, number, occupancy)
        Residues that fail `can_be_named` are left out.

    Returns
    -------
    str
    """
    lines = [f"attribute: {ATTRIBUTE}", "recipient: residues"]
    lines += [f"\t/{chain}:{number}\t{occupancy:.3f}" for chain, number, occupancy in residues
              if can_be_named(chain, number) and occupancy == occupancy]
    return "\n".join(lines) + "\n"


def script_lines(model_path: str, attributes_path: str | None, directory: str, lowest: float) -> str:
    """Commands that open the model in the map, coloured by its occupancies; for the end of the script.

    ChimeraX has only one colour key, so the colours of model and map have the same values.

    Parameters
    ----------
    model_path : str
    attributes_path : str or None
        None without attributes, because ChimeraX refuses an empty file.
    directory : str
        Of the script.
    lowest : float
        Occupancy of the first colour.

    Returns
    -------
    str
    """
    for path in (model_path, attributes_path):
        reason = None if path is None else cannot_open(path, directory)
        if reason is not None:
            return f"# Left out: the model: {reason.replace(';', ',')}\n"
    me = f"#{_MODEL_NUMBER}"
    lines = ["# The model, coloured by the occupancy of its parts (residues, if those were fitted), in the map.",
             f'open "{script_path(model_path, directory)}" id {_MODEL_NUMBER}',
             f"hide {me} atoms", f"show {me} cartoons", f"show {me} & ligand atoms",
             f"transparency #1-{_MODEL_NUMBER - 1} {_TRANSPARENCY}"]
    if attributes_path is not None:
        values = scale_values(lowest)
        palette = ":".join(f"{value:g},{colour}" for value, colour in zip(values, COLOURS, strict=True))
        lines += [f'open "{script_path(attributes_path, directory)}" models {me}',
                  f"color byattribute r:{ATTRIBUTE} {me} palette {palette} range {lowest:g},1", *scale_key(values),
                  '2dlabels text "model: occupancy" size 16 xpos 0.68 ypos 0.17']
    return "\n".join([*lines, ""])
