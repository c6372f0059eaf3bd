"""The parts of a model in all classes: common scale, comparison and output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occupy_jit.reports.part_order import SHOWN, surest_differences, those_that_differ_first
from occupy_jit.reports.table import rounded
from occupy_jit.runs.classes import ligands
from occupy_jit.runs.plan.output_kinds import Role, output_of

if TYPE_CHECKING:
    from occupy_jit.estimation.comparison.parts import ClassParts
    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.classes.group import Group
    from occupy_jit.runs.plan.names import Names
    from occupy_jit.runs.plan.output_kinds import Output
    from occupy_jit.settings import Options


def planned(names: Names, options: Options, number: int) -> list[Output]:
    """The files about the parts of a model in several classes.

    Parameters
    ----------
    names : occupy_jit.runs.plan.names.Names
        Of the group.
    options : occupy_jit.settings.Options
    number : int
        Of classes.

    Returns
    -------
    list of Output
    """
    if options.model is None or number < 2:
        return []
    outputs = [output_of(Role.CLASS_PARTS, names),
               output_of(Role.CLASS_PART_DIFFERENCES, names), *ligands.planned(names, options)]
    return outputs + ([output_of(Role.CLASS_PARTS_PLOT, names)] if options.plot else [])


def compare(group: Group, options: Options, log: RunLog) -> ClassParts | None:
    """Put the parts of all classes on one scale and test their differences.

    Parameters
    ----------
    group : occupy_jit.runs.classes.group.Group
        With finished classes.
    options : occupy_jit.settings.Options
    log : occupy_jit.reports.runlog.RunLog

    Returns
    -------
    occupy_jit.estimation.comparison.parts.ClassParts or None
        None without a model, or with one class.
    """
    usable = group.usable
    if options.model is None or len(usable) < 2:
        return None
    from occupy_jit.estimation.comparison.parts import compare_parts

    found = compare_parts([entry.parts for entry in usable], [entry.label for entry in usable], options.reference_part)
    for sentence in found.warnings:
        log.warning(sentence)
    return found


def reference_in_words(found: ClassParts) -> str:
    """The definition of occupancy 1 in all classes."""
    names = [name for name, full in zip(found.names, found.reference, strict=True) if full]
    more = "" if len(names) <= 12 else f" and {len(names) - 12} more"
    return f"{', '.join(names[:12])}{more}" + (", their mean" if len(names) > 1 else "")


def columns_of(found: ClassParts, label: str) -> dict[str, float]:
    """Occupancy and error of every part in one class, as columns of the table of classes."""
    if found is None or label not in found.classes:
        return {}
    row = found.classes.index(label)
    cells = {}
    for k, name in enumerate(found.names):
        there = found.atoms[k] > 0
        cells[f"occupancy of {name}"] = round(float(found.occupancy[row, k]), 4) if there else None
        cells[f"error of {name}"] = round(float(found.se[row, k]), 4) if there else None
    return cells


def _cells(row):
    return {"class" if name == "map" else name: value for name, value in row._asdict().items()}


def rows_of(found: ClassParts) -> tuple[Any, ...]:
    """Both tables as rows: every part in every class, and every part in every pair of classes."""
    values = rounded(map(_cells, found))
    for row in values:
        if not row["atoms"]:
            row |= dict.fromkeys(("occupancy", "se", "dB", "se_dB", "cc"))
    return values, rounded(map(_cells, found.differences))


def write(group: Group, found: ClassParts, outputs: Outputs) -> None:
    """Write the tables and the chart, if planned."""
    from occupy_jit.reports.parts_files import table_csv

    for role, rows in zip((Role.CLASS_PARTS, Role.CLASS_PART_DIFFERENCES), rows_of(found), strict=True):
        with outputs.open(group.path_of(role), "w") as file:
            file.write(table_csv(rows))
    path = group.path_of(Role.CLASS_PARTS_PLOT)
    if path is not None:
        from occupy_jit import __version__
        from occupy_jit.reports.part_charts import class_chart

        with outputs.open(path) as file:
            class_chart(file, found, name=group.name, version=__version__)


def record_of(found: ClassParts) -> dict[str, dict[str, Any]]:
    """Entries on parts in the record of the group."""
    values, differences = rows_of(found)
    return {"class_parts": {
        "reference": [name for name, full in zip(found.names, found.reference, strict=True) if full],
        "correction": "Holm", "level": found.level, "comparisons": len(differences), "parts": values,
        "differences": differences, "warnings": found.warnings}}


def show(found: ClassParts, log: RunLog) -> None:
    """Both tables, for the terminal and the log."""
    differences = surest_differences(found)
    sure = {row.part: row.p_corrected for row in differences}
    order = those_that_differ_first(found)
    rows = [("part", *found.classes, "differs")]
    for k in order[:SHOWN]:
        name = found.names[k]
        rows.append((name + (", reference" if found.reference[k] else ""),
                     *(f"{o:.3f} ± {s:.3f}" for o, s in zip(found.occupancy[:, k], found.se[:, k], strict=True)),
                     p_in_words(sure[name]) if name in sure else "-"))
    log.table("parts of the model in the classes", rows)
    if len(order) > SHOWN:
        others = max(0, len(differences) - SHOWN)
        log.say(f"and {len(order) - SHOWN} more, of which {others or 'none'} {'differ' if others > 1 else 'differs'}, "
                "in the table of parts in classes")
    log.say(f"occupancy 1, in all classes: {reference_in_words(found)}")
    if not differences:
        log.say(f"no part differs significantly between any two classes, in {len(found.differences)} comparisons")
        return
    log.table("parts that differ between classes", [("part", "more in", "than in", "difference", "p")] + [
        (row.part, row.more, row.less, f"{row.difference:.3f} ± {row.se:.3f}", p_in_words(row.p_corrected))
        for row in differences[:SHOWN]])
    more = len(found.significant) - len(differences[:SHOWN])
    if more:
        log.say(f"and {more} more, including other classes of the same parts, in the table of differences of parts")
    log.say(f"p is corrected for {len(found.differences)} comparisons (Holm, family-wise error rate "
            f"{found.level:.0%}); errors of the model common to all classes are excluded")


def p_in_words(p: float) -> str:
    """A p value as text."""
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"
