"""Pages with links to the reports of many maps: an overview of a batch, and the page of a classification.

Static HTML without scripts. Their content comes from the summaries that `occupy_jit.reports.page.page.render`
returns with each report; links are relative, so that a folder of reports can be moved and shared.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from occupy_jit.errors import InputError
from occupy_jit.files.streams import open_input
from occupy_jit.reports import answer, colours
from occupy_jit.reports.page import page, words
from occupy_jit.reports.part_order import SHOWN, surest_differences, those_that_differ_first

_TARGETS_SHOWN = 60
_PARTS_SHOWN = 500  # others on demand
_SUMMARY = re.compile(rb'<script type="application/json" id="summary">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One map of many.

    Attributes
    ----------
    name : str
    summary : dict or None
        None if the map failed.
    file_name : str or None
        Name of its report, in the same directory.
    problem : str or None
        Reason of a failure, in one line.
    """

    name: str
    summary: dict | None = None
    file_name: str | None = None
    problem: str | None = None

    @property
    def address(self) -> str | None:
        """str or None : Relative address of the report."""
        return None if self.file_name is None else "./" + quote(self.file_name, errors="surrogateescape")

    @property
    def rank(self) -> int:
        """int : Failed maps come first, then those with verdicts."""
        if self.summary is None:
            return 0
        return 1 if self.summary["verdicts"] else 2


def render_index(entries: Sequence[Entry], states: str | None = None) -> bytes:
    """Overview of a batch: failures and warnings first, otherwise in the order of the maps.

    Parameters
    ----------
    entries : sequence of Entry
    states : str, optional
        File name of a page of states in the same directory.

    Returns
    -------
    bytes
        HTML.
    """
    entries = list(entries)
    shown = sorted(entries, key=lambda entry: entry.rank)
    counts = [sum(entry.rank == rank for entry in entries) for rank in range(3)]
    text = page.environment().get_template("index.html.j2").render(
        program=page.PROGRAM, css=page.asset("report.css"), title=f"{len(entries)} maps: local scale",
        heading=f"{len(entries)} maps" if len(entries) != 1 else "1 map", counts=counts, entries=_cards(shown),
        classes=None, states=states, parts=_parts_of_maps(entries))
    return text.encode("utf-8", "backslashreplace")


def render_classes(name: str, entries: Sequence[Entry], rows: Sequence[dict[str, Any]],  # noqa: PLR0913 (everything that one page shows)
                   differences: Sequence[dict[str, Any]], union_nm3: float, parts: Any = None,
                   targets: Sequence[dict[str, Any]] = (), most_differences: int = 12) -> bytes:
    """Page of a classification: its classes on one scale, their differences, and links to their reports.

    Parameters
    ----------
    name : str
        Of the classification.
    entries : sequence of Entry
        One for each class.
    rows : sequence of dict
        The table of classes.
    differences : sequence of dict
        The table of differences.
    union_nm3 : float
        Volume that any class occupies.
    parts : occupy_jit.estimation.comparison.parts.ClassParts, optional
        Of a model.
    targets : sequence of dict
        The table of differences in target masks.
    most_differences : int
        Number of differences shown, the largest ones.

    Returns
    -------
    bytes
        HTML.
    """
    prefix = "occupancy in "
    masks = sorted({key.removeprefix(prefix) for row in rows for key in row if key.startswith(prefix)})
    table = []
    for entry, row in zip(entries, rows, strict=True):
        cells = [("mean scale in the union of all classes", row["mean_scale_in_union"], None)]
        cells += [(mask, row.get(f"occupancy in {mask}"), row.get(f"error in {mask}")) for mask in masks]
        table.append({"entry": entry, "name": row["class"], "particles": _text(row["share_of_particles"], ".1%"),
                      "resolution": _text(row["resolution_angstrom"], ".2f"),
                      "weak": "–" if entry.summary is None else _weak(entry.summary),
                      "volume": _text(_per_thousand(row["occupied_volume_angstrom3"]), ",.0f"),
                      "problem": row["problem"], "cells": [_cell(value, error) for _, value, error in cells]})
    large = sorted((row for row in differences if row["volume_angstrom3"] > 0),
                   key=lambda row: -row["volume_angstrom3"])
    text = page.environment().get_template("index.html.j2").render(
        program=page.PROGRAM, css=page.asset("report.css"), title=f"{name}: classes on one scale", heading=name,
        counts=None, entries=_cards(entries), states=None, parts=None, classes={
            "rows": table, "columns": ["mean scale in the union of all classes", *(_base(mask) for mask in masks)],
            "union": f"{union_nm3:,.0f}", "parts": None if parts is None else _parts(parts),
            "differences": [_difference(row) for row in large[:most_differences]],
            "targets": [_target(row) for row in targets[:_TARGETS_SHOWN]], "comparisons": len(targets),
            "more_targets": max(0, len(targets) - _TARGETS_SHOWN),
            "more": max(0, len(large) - most_differences)})
    return text.encode("utf-8", "backslashreplace")


def read_summary(path: str) -> dict[str, Any] | None:
    """Summary from the report of an earlier run.

    Parameters
    ----------
    path : str

    Returns
    -------
    dict or None
        None if the file is not a report, or cannot be read.
    """
    try:
        with open_input(path, "report") as file:
            found = _SUMMARY.search(file.read())
    except InputError:
        return None
    if found is None:
        return None
    try:
        summary = json.loads(found[1])
    except ValueError:
        return None
    wanted = ("name", "sentence", "tone", "weaker_than_half", "scale_of_08_or_more", "median_scale", "verdicts",
              "thumbnail", "occupied_volume_angstrom3", "lowpass_angstrom")
    if not isinstance(summary, dict) or not all(key in summary for key in wanted):
        return None
    return {**summary, "parts": [row for row in summary.get("parts") or () if _is_part(row)]}


def _is_part(row):
    """Whether a row of a possibly edited file is a valid part."""
    return (isinstance(row, dict) and isinstance(row.get("part"), str) and isinstance(row.get("occupancy"), float | int)
            and isinstance(row.get("error"), float | int | None))


def _cards(entries):
    out = []
    for entry in entries:
        summary = entry.summary
        card = {"name": entry.name, "address": entry.address, "problem": entry.problem, "summary": summary, "bar": None}
        if summary is not None:
            card |= {"weak": _weak(summary), "numbers": _numbers(summary)}
            weak, strong = summary["weaker_than_half"], summary["scale_of_08_or_more"]
            card["bar"] = [(colours.of_scale(at), f"{share:.1%}") for at, share in
                           ((0.3, weak), (0.6, max(0.0, 1 - weak - strong)), (0.95, strong))]
            # the address of a picture comes from a possibly edited file
            card["thumbnail"] = summary["thumbnail"] if _is_picture(summary["thumbnail"]) else None
        out.append(card)
    return out


def _parts_of_maps(entries):
    """Parts of a model, or masks, in each map: those that vary most first; None without parts."""
    maps = [(entry, {row["part"]: row for row in entry.summary.get("parts") or ()})
            for entry in entries if entry.summary is not None]
    names = list(dict.fromkeys(name for _, rows in maps for name in rows))
    if not names:
        return None
    told = [(entry.name, None, list(rows.values())) for entry, rows in maps]
    varying = [row.part for row in answer.variations([(name, rows) for name, _, rows in told])]
    names = [*varying, *(name for name in names if name not in set(varying))]
    rows = [{"name": entry.name, "address": entry.address,
             "cells": [_cell(rows[name]["occupancy"], rows[name]["error"]) if name in rows else _cell(None, None)
                       for name in names[:SHOWN]]} for entry, rows in maps]
    return {"names": names[:SHOWN], "rows": rows, "more": max(0, len(names) - SHOWN), "said": answer.of_maps(told)}


def _weak(summary):
    """Weak share of a map; reports of earlier releases do not tell whether it is a lower limit."""
    if not summary.get("noise_hides_parts", False):
        return f"{summary['weaker_than_half']:.0%}"
    return words.at_least(summary.get("weaker_than_half_at_least", 0.0))


def _numbers(summary):
    """The numbers of a map in one line."""
    hides = summary.get("noise_hides_parts", False)
    limit = summary.get("visible_from")
    return " · ".join([f"median scale {summary['median_scale']:.2f}" + (" of the visible part" if hides else ""),
                       f"{words.volume(summary['occupied_volume_angstrom3'], hides)} nm³",
                       *([f"visible from scale {limit:.2f}"] if hides and limit is not None else []),
                       f"low-pass {summary['lowpass_angstrom']:.1f} Å"])


def _is_picture(address):
    return isinstance(address, str) and re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", address) is not None


def _cell(value, error):
    if value is None:
        return {"text": "–", "style": ""}
    colour = colours.of_scale(value)
    return {"text": f"{value:.2f}" + ("" if error is None else f" ± {error:.2f}"),
            "style": Markup(f'style="background:{colour};color:{colours.text_on(colour)}"')}


def _parts(found):
    """Parts of a model in all classes; those that differ come first."""
    surest = surest_differences(found)
    sure = {row.part: row.p_corrected for row in surest}
    rows = [{"name": found.names[k], "reference": bool(found.reference[k]),
             "cells": [_cell(float(o), float(s)) for o, s in zip(found.occupancy[:, k], found.se[:, k], strict=True)],
             "p": _p(sure[found.names[k]]) if found.names[k] in sure else None}
            for k in those_that_differ_first(found)]
    differences = [{"part": row.part, "more": row.more, "less": row.less,
                    "difference": f"{row.difference:.3f} ± {row.se:.3f}", "p": _p(row.p_corrected)}
                   for row in surest]
    names = [name for name, full in zip(found.names, found.reference, strict=True) if full]
    return {"classes": found.classes, "rows": rows[:SHOWN], "others": rows[SHOWN:_PARTS_SHOWN],
            "more": max(0, len(rows) - _PARTS_SHOWN), "differences": differences[:SHOWN],
            "more_differences": len(found.significant) - len(differences[:SHOWN]),
            "reference": ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else ""),
            "comparisons": len(found.differences), "warnings": found.warnings}


def _target(row):
    """A target mask in two classes."""
    error = " (too small for an error)" if row["se"] is None else f" ± {row['se']:.3f}"
    return {"mask": _base(row["mask"]), "more": row["more"], "less": row["less"],
            "difference": f"{row['difference']:.3f}{error}", "p": None if row["p"] is None else _p(row["p_corrected"]),
            "significant": row["significant"]}


def _p(p):
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def _difference(row):
    place = row["centre_xyz_angstrom"]
    return {"more": row["more"], "less": row["less"], "volume": f"{row['volume_angstrom3'] / 1000:,.1f}",
            "share": f"{row['share_of_union']:.1%}",
            "peak": f"{row['peak']:.2f} ± {row['peak_error']:.2f}",
            "place": "–" if place is None else ", ".join(f"{v:.0f}" for v in place)}


def _base(path):
    return path.rsplit("/", 1)[-1]


def _per_thousand(value):
    return None if value is None else value / 1000


def _text(value, form):
    return "–" if value is None else format(value, form)
