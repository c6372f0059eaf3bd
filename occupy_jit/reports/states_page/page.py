"""The page of states: one HTML file that shows an ensemble of volumes, without a network.

It has the style of the report of one map. Tables and the graph are plain HTML; one script draws interactive parts,
and a content security policy allows it by its digest.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from occupy_jit.reports import colours
from occupy_jit.reports.page import page as report
from occupy_jit.reports.states_page import data, family, graph, views, words

if TYPE_CHECKING:
    from occupy_jit.reports.states_page.views import Views

_SCRIPTS = ("states.js", "heat.js", "matrix.js", "plots.js")
_RELATIONS_SHOWN = 60


def render(record: dict[str, Any], reports: dict[str, str] | None = None, maps: Views | None = None) -> bytes:
    """The page of states.

    Parameters
    ----------
    record : dict
        As `occupy_jit.runs.states.states_record.record_of` gives it, with ``left_out``.
    reports : dict, optional
        Relative addresses of the reports of volumes.
    maps : Views, optional
        The mean maps of the states.

    Returns
    -------
    bytes
        HTML.
    """
    script, said = _script(), words.sentences(record)
    shown = None if maps is None else views.shown(maps, [part["part"] for part in record["parts"]])
    text = _environment().get_template("states.html.j2").render(
        program=report.PROGRAM, css=report.asset("report.css"), more_css=_asset("states.css"), script=script,
        script_hash=Markup(report.policy_hash(script)), strong=said[0], rest=" ".join(said[1:]), record=record,
        note=words.shares_note(record), states=[_state(row) for row in record["states"]],
        graph=Markup(_drawing(record, shown)),
        order=[row | {"chance": row.get("chance")} for row in record["order"][:_RELATIONS_SHOWN]],
        more_order=max(0, len(record["order"]) - _RELATIONS_SHOWN), rows=_cells(record),
        methods=words.methods(record, report.PROGRAM), stops=colours.SCALE, maps=_maps(shown),
        counted=any(row["particles"] is not None for row in record["states"]), blocks=bool(record.get("without_model")),
        payload=data.payload(record, reports or {}) | {"stops": colours.SCALE})
    return text.encode("utf-8", "backslashreplace")


def _drawing(record, shown):
    """The graph of states, or the continuous family."""
    pictures = () if shown is None else shown["pictures"]
    return family.drawing(record, pictures) if record["kind"] == "continuous" else graph.drawing(record, pictures)


def _maps(shown):
    """Data of the mean maps for the template."""
    if shown is None:
        return None
    return {"meta": shown["meta"], "data": {name: Markup(text) for name, text in shown["data"].items()}}


def _state(row):
    se = "" if row["se"] is None else f" ± {100 * row['se']:.0f}"
    return row | {"percent": "–" if row["share"] is None else f"{100 * row['share']:.0f}{se}",
                  "composition": words.composition(row, 12),
                  "particles": "–" if row["particles"] is None else f"{row['particles']:,.0f}"}


def _cells(record):
    """The heat map of states as a table."""
    called = [{part: call for call in ("present", "absent", "undecided") for part in row[call]}
              for row in record["states"]]
    found = record["occupancy"]
    return [{"part": part["part"], "atoms": part["atoms"],
             "cells": [_cell(values[k], errors[k], calls[part["part"]]) for values, errors, calls in
                       zip(found["of_states"], found["se_of_states"], called, strict=True)]}
            for k, part in enumerate(record["parts"])]


def _cell(value, error, call):
    if value is None:
        return {"text": "–", "call": call}
    return {"text": f"{value:.2f}" + ("" if error is None else f" ± {error:.2f}"), "call": call}


@cache
def _environment():
    return jinja2.Environment(loader=jinja2.FunctionLoader(_read), autoescape=True, undefined=jinja2.StrictUndefined,
                              trim_blocks=True)


@cache
def _read(name):
    return resources.files("occupy_jit.reports.states_page").joinpath("assets", name).read_text("utf-8")  # pyright: ignore[reportCallIssue]


def _asset(name):
    text = _read(name).strip()
    assert "</" not in text, name
    return Markup(text)


@cache
def _script():
    """All scripts in one, in a scope of their own; those of the viewer have a separate scope."""
    viewer = ["function startMaps(hooks) {", *report.viewer_scripts(), _asset("maps.js"), "}"]
    return Markup('"use strict";(() => {\n' + "\n".join([*map(_asset, _SCRIPTS), *viewer, _asset("start.js")])
                  + "\n})();")
