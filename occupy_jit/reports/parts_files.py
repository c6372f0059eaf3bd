"""What was found out about the parts of a model, as files: tables, ChimeraX attributes and commands, a picture."""

import re
from collections.abc import Sequence
from typing import IO, Any

from occupy_jit.reports.chimerax import COLOURS, cannot_open, scale_key, scale_values, script_path
from occupy_jit.reports.plot import _agg, _short, _write
from occupy_jit.reports.table import csv_text, rounded

ATTRIBUTE = "occupancyFit"
_MODEL_NUMBER = 90  # far from those of the maps, which are numbered from 1
_MOST_BARS = 200
_TRANSPARENCY = 60  # percent, of the map: the model is inside


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
    # what is true or false is 1 or 0 here
    return csv_text({name: int(value) if isinstance(value, bool) else value for name, value in row.items()}
                    for row in rounded(rows))


def can_be_named(chain: str, number: str) -> bool:
    """Whether ChimeraX has words for a residue: others cannot be given an attribute there."""
    return bool(re.fullmatch(r"\w+", chain, re.ASCII) and re.fullmatch(r"-?\d+[A-Za-z]?", number))


def attributes(residues: Sequence[tuple[Any, ...]]) -> str:
    """Text of parts_<name>.defattr: the occupancy of every residue as an attribute for ChimeraX.

    Parameters
    ----------
    residues : sequence of (chain, number, occupancy)
        Those that `can_be_named` does not hold for are left out.

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

    ChimeraX has one key of colours only: the model's colours stand for the same numbers as the map's.

    Parameters
    ----------
    model_path : str
    attributes_path : str or None
        None where there are none: ChimeraX refuses a file without any.
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


def bar_chart(target: IO[bytes], rows: Sequence[dict[str, Any]], *, name: str, version: str) -> None:
    """Draw parts_<name>.png: the occupancy of every part with its standard error.

    Parameters
    ----------
    target : binary file
    rows : sequence of dict
        Of the table.
    name : str
        Of the map.
    version : str
    """
    figure_class, canvas = _agg()
    there = [row for row in rows if row["atoms"]]
    shown = there[:_MOST_BARS]
    figure = figure_class(figsize=(max(4.0, 0.28 * len(shown) + 1.5), 3.8), dpi=120, layout="constrained")
    canvas(figure)
    axes = figure.add_subplot()
    for full, colour, label in ((True, "#0072b2", "full scale: 1 on average"), (False, "#9aa5b1", "occupancy, fitted")):
        bars = [i for i, row in enumerate(shown) if bool(row["full"]) is full]
        if bars:
            axes.bar(bars, [shown[i]["occupancy"] for i in bars], yerr=[shown[i]["se"] for i in bars], color=colour,
                     capsize=2, error_kw={"linewidth": 0.8}, label=label)
    known = [(i, row["scale_from_map"]) for i, row in enumerate(shown) if row.get("scale_from_map") is not None]
    if known:
        axes.plot(*zip(*known, strict=True), "o", markerfacecolor="white", markeredgecolor="#333333", markersize=3.5,
                  label="scale of the map alone")
    axes.axhline(1, color="#333333", linewidth=0.6, linestyle="--", zorder=0)
    axes.axhline(0, color="#333333", linewidth=0.6)
    labels = [_short(row["part"]) for row in shown]
    axes.set_xticks(range(len(shown)), labels, rotation=0 if max(map(len, labels), default=0) < 3 else 90, fontsize=7)
    axes.margins(x=0.02)
    axes.set_ylabel("occupancy ± standard error")
    title = f"Parts of the model in {name}"
    some = "" if shown == there else f", the first {len(shown)} of {len(there)}"
    axes.set_title(_short(title, 60) + some, fontsize=9)
    figure.legend(loc="outside lower center", ncols=3 if len(shown) > 15 else 1, fontsize=7, frameon=False)
    _write(figure, target, version)


# Okabe and Ito: told apart by colour-blind readers, and by their marks in grey.
_CLASS_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f8c99")
_CLASS_MARKS = "osD^vP*X"


def class_chart(target: IO[bytes], found: Any, *, name: str, version: str) -> None:
    """Draw classparts_<name>.png: the occupancy of every part in every class, with standard errors.

    Parameters
    ----------
    target : binary file
    found : occupy_jit.estimation.comparison.parts.ClassParts
    name : str
        Of the group.
    version : str
    """
    figure_class, canvas = _agg()
    shown = [k for k, atoms in enumerate(found.atoms) if atoms][:100]
    number = len(found.classes)
    differs = {row.part for row in found.significant}
    figure = figure_class(figsize=(max(5.0, (0.25 + 0.09 * number) * len(shown) + 1.5), 4.0), dpi=120,
                          layout="constrained")
    canvas(figure)
    axes = figure.add_subplot()
    for column, k in enumerate(shown):
        if found.names[k] in differs:
            axes.axvspan(column - 0.5, column + 0.5, color="#f3e3b3", linewidth=0)
    axes.axhline(1, color="#333333", linewidth=0.6, linestyle="--")
    axes.axhline(0, color="#333333", linewidth=0.6)
    for c, label in enumerate(found.classes):
        places = [column + 0.7 * ((c + 0.5) / number - 0.5) for column in range(len(shown))]
        axes.errorbar(places, found.occupancy[c, shown], yerr=found.se[c, shown], linestyle="none", capsize=1.5,
                      marker=_CLASS_MARKS[c % len(_CLASS_MARKS)], markersize=4, linewidth=0.8,
                      color=_CLASS_COLOURS[c % len(_CLASS_COLOURS)], label=_short(label))
    axes.set_xlim(-0.6, len(shown) - 0.4)
    axes.set_xticks(range(len(shown)), [_short(found.names[k]) for k in shown], rotation=90, fontsize=7)
    axes.set_ylabel("occupancy")
    axes.set_title(_short(name, 60) + (": shaded where classes differ beyond chance" if differs else ""), fontsize=9)
    axes.legend(fontsize=7, ncols=min(number, 8), loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    _write(figure, target, version)
