"""Files on ligands: a table, attributes and a tour of the sites for ChimeraX."""

import re
from collections.abc import Sequence
from typing import Any

from occupy_jit.reports.chimerax import cannot_open, placed, script_path
from occupy_jit.reports.parts_files import can_be_named
from occupy_jit.reports.table import csv_text, rounded

COLUMNS = ("part", "occupancy", "low", "high", "call", "detection_limit", "dB", "displaced_angstrom",
           "relative_to_chain", "relative_low", "relative_high", "chain", "atoms", "cc", "cc_low", "cc_high", "copies",
           "copies_mean", "differs", "remark")
_ATTRIBUTES = (("ligandOccupancy", "occupancy"), ("ligandLow", "low"), ("ligandHigh", "high"),
               ("ligandLimit", "detection_limit"))
_MODEL_NUMBER, _MAP_NUMBER = 90, 1
_NEAR = 5  # Å: surroundings shown with the ligand
_FRAMES = 60  # frames frames of the way to the next site


def table_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows (dict) rounded to significant digits, in the order of the columns.

    Parameters
    ----------
    rows : sequence of dict
        Of ligands; those of several maps also have a class.

    Returns
    -------
    list of dict
    """
    return rounded([{name: row[name] for name in ("class", *COLUMNS) if name in row} for row in rows])


def table_csv(rows: Sequence[dict[str, Any]], of: str | None = None) -> str:
    """Text of ligands_<name>.csv: one line per ligand, and per class or state for several maps.

    Parameters
    ----------
    rows : sequence of dict
        Of `table_rows`; may be empty.
    of : {"class", "state"}, optional
        First column of rows of classes or states.

    Returns
    -------
    str
    """
    # booleans are 1 or 0 here
    return csv_text(({name: int(value) if isinstance(value, bool) else value for name, value in row.items()}
                     for row in rows), ([] if of is None else [of]) + list(COLUMNS))


def attributes(rows: Sequence[dict[str, Any]], residues: Sequence[Sequence[tuple[Any, ...]]]) -> str:
    """Text of ligands_<name>.defattr: results for each ligand as attributes of its residues.

    Parameters
    ----------
    rows : sequence of dict
        Rounded.
    residues : sequence of sequence of (chain, number)
        Of each row.

    Returns
    -------
    str
    """
    lines = []
    for attribute, column in _ATTRIBUTES:
        lines += [f"attribute: {attribute}", "recipient: residues"]
        lines += [f"\t/{chain}:{number}\t{row[column]:.3f}" for row, own in zip(rows, residues, strict=True)
                  for chain, number in own if row[column] is not None and can_be_named(chain, number)]
    return "\n".join(lines) + "\n"


def in_words(row: dict[str, Any]) -> str:
    """A ligand in one line."""
    text = f"{row['occupancy']:.2f} ({row['low']:.2f} to {row['high']:.2f}), {row['call']}"
    if row["call"] == "absent":
        text += f"; {row['detection_limit']:.2f} would be seen"
    return text + (f"; {row['remark']}" if row["remark"] else "")


def copies_in_words(copies: dict[str, Any]) -> str:
    """Comparison of copies of one ligand in one line."""
    sites = copies["sites"]
    text = (f"mean {copies['occupancy']:.2f} ± {copies['se']:.2f}, {copies['filled']:.1f} of {len(sites)} sites filled "
            "in the mean; ")
    if copies["equal"]:
        return text + f"equal within their errors (p {copies['p_equal']:.2g})"
    if not copies["differing"]:
        return text + f"not all equal (p {copies['p_equal']:.2g})"
    return text + f"not equal (p {copies['p_equal']:.2g}): {', '.join(copies['differing'][:12])} differ from the others"


def script(name: str, map_path: str, model_path: str, rows: Sequence[dict[str, Any]],  # noqa: PLR0913 (everything that one script shows)
           residues: Sequence[Sequence[tuple[Any, ...]]], *, directory: str, level: float, version: str,
           grid: tuple[Any, ...] | None = None) -> str:
    """Text of ligands_<name>.cxc: map and model, and a named view of each site.

    Parameters
    ----------
    name : str
        Of the map.
    map_path, model_path : str
    rows : sequence of dict
        Rounded.
    residues : sequence of sequence of (chain, number)
        Of each row.
    directory : str
        Of the script.
    level : float
        Of the surface.
    version : str
    grid : (voxel size, (x, y, z)), optional
        As for `occupy_jit.reports.chimerax.script`.

    Returns
    -------
    str
    """
    name = "".join(char if char.isprintable() else "?" for char in name)
    lines = [f"# OccuPy {version}: the ligands of {name}, site by site."]
    for path in (map_path, model_path):
        reason = cannot_open(path, directory)
        if reason is not None:
            return "\n".join([*lines, f"# It shows nothing: {reason.replace(';', ',')}", ""])
    me = f"#{_MODEL_NUMBER}"
    lines += [f'open "{script_path(map_path, directory)}" id {_MAP_NUMBER}',
              f'open "{script_path(model_path, directory)}" id {_MODEL_NUMBER}',
              *placed([_MAP_NUMBER], grid),
              f"volume #{_MAP_NUMBER} level {level:.6g} style mesh color #7f8c99", f"hide {me} atoms",
              f"show {me} cartoons", f"color {me} #b0b8c0", "lighting soft"]
    tour = []
    for number, (row, own) in enumerate(zip(rows, residues, strict=True), 1):
        named = [f"/{chain}:{residue}" for chain, residue in own if can_be_named(chain, residue)]
        if not named:
            continue
        site = " | ".join(f"{me}{residue}" for residue in named)
        lines += ["# " + "".join(char if char.isprintable() else "?" for char in f"{row['part']}: {in_words(row)}"),
                  f"show {site} atoms", f"style {site} stick", f"color {site} {_colour(row['call'])}",
                  f"show ({site}) :<{_NEAR} atoms", f"view {site} pad 0.6", f"view name site{number}"]
        label = re.sub(r"[^\w /.+:-]", "?", f"{row['part']} {row['occupancy']:.2f} {row['call']}")
        lines.append(f'label {me}{named[0]} residues text "{label}" height 1.2')
        tour.append(f"view site{number} {_FRAMES}; wait {2 * _FRAMES}")
    if tour:
        lines += ["# 'view site1' goes to the first site, 'ligandtour' to one after the other.",
                  f"alias ligandtour {'; '.join(tour)}", "view site1"]
    return "\n".join([*lines, ""])


def _colour(call):
    """Colours of Okabe and Ito, for colour-blind readers."""
    return {"present": "#009e73", "absent": "#d55e00"}.get(call, "#e69f00")
