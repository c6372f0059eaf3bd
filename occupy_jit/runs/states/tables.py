"""The tables of states, and their record. Other programs rely on the names of columns, which must not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from occupy_jit.reports.table import csv_of_cells

if TYPE_CHECKING:
    from occupy_jit.estimation.states.ensemble import StatesResult

STATES, OF_VOLUMES, OF_PARTS = "states.csv", "states_volumes.csv", "states_parts.csv"
ORDER, GRAPH, CURVES = "states_order.csv", "states_graph.csv", "states_curves.csv"
OCCUPANCIES, ERRORS, NOISE = "occupancies.csv", "errors.csv", "errors_noise.csv"
_DIGITS = 5


def tables_of(result: StatesResult, maps: Sequence[str], counts: Sequence[float] | None = None) -> dict[str, Any]:
    """Name -> (description, text) of every table.

    Parameters
    ----------
    result : occupy_jit.estimation.states.ensemble.StatesResult
    maps : sequence of str
        Paths of the volumes, as in the tables.
    counts : sequence of float, optional
        Particles of every volume, if known.

    Returns
    -------
    dict
    """
    made, n = result.composition, result.n_states
    states = [(s + 1, int(made.volumes[s]), "" if counts is None else _count(made.particles[s]),
               _cell(made.share[s]), _cell(made.se_share[s])) for s in range(n)]
    label = result.partition.label
    volumes = [(name, int(label[k]) + 1, _cell(result.partition.probability[k, label[k]]),
                "" if counts is None else _count(counts[k]))
               for k, name in enumerate(maps)]
    parts = [(row["state"], row["part"], _cell(row["occupancy"]), _cell(row["se"]), row["call"]) for row in result]
    order = [(r.part, r.other, r.relation, _cell(r.evidence), r.states, _cell(r.chance)) for r in result.relations]
    graph = [(e.before + 1, e.after + 1, " ".join(e.adds), " ".join(e.loses), " ".join(e.unsure))
             for e in result.graph.edges]
    tables = {
        STATES: ("table of states", csv_of_cells(("state", "volumes", "particles", "share", "se"), states)),
        OF_VOLUMES: ("state of every volume", csv_of_cells(("map", "state", "probability", "particles"), volumes)),
        OF_PARTS: ("parts in every state", csv_of_cells(("state", "part", "occupancy", "se", "call"), parts)),
        ORDER: ("order of the parts", csv_of_cells(("part", "other", "relation", "evidence", "states", "chance"),
                                                           order)),
        GRAPH: ("order of the states", csv_of_cells(("from", "to", "adds", "loses", "undecided"), graph)),
        OCCUPANCIES: ("occupancies of volumes and parts", _matrix(result.parts, maps, result.occupancy)),
        ERRORS: ("their standard errors", _matrix(result.parts, maps, result.se)),
        NOISE: ("their standard errors by noise", _matrix(result.parts, maps, result.se_noise)),
    }
    if result.is_continuous:
        tables[CURVES] = ("parts along the directions of a continuum",
                          csv_of_cells(("direction", "part", "point", "position", "occupancy", "se"), _curves(result)))
    return tables


def _curves(result):
    return [(curve.direction + 1, result.parts[curve.part], point + 1, _cell(curve.position[point]),
             _cell(curve.occupancy[point]), _cell(curve.se[point]))
            for curve in result.continuum.curves for point in range(len(curve.position))]


def _matrix(parts, maps, values):
    return csv_of_cells(("map", *parts), [(name, *map(_cell, row)) for name, row in zip(maps, values, strict=True)])


def _cell(value):
    """A number with five decimal places; empty if unknown."""
    return "" if not np.isfinite(value) else f"{value:.{_DIGITS}f}"


def _count(value):
    return str(int(value)) if float(value).is_integer() else f"{value:g}"
