"""Particles of the states, and of the volumes selected by a query."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.files.particles.subsets import write_subset
from occupy_jit.queries.query import STATE, Query
from occupy_jit.reports.table import csv_of_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from occupy_jit.files.output.transaction import Outputs
    from occupy_jit.reports.runlog import RunLog
    from occupy_jit.runs.states.findings import Findings
    from occupy_jit.settings import Options

SELECTED = "selected.csv"


def query_of(options: Options, parts: Sequence[str]) -> Query | None:
    """The query of --select, with checked names of parts; None without a query.

    Raises
    ------
    InputError
        It names a part that does not exist.
    """
    if options.select is None:
        return None
    query = Query(options.select)
    unknown = [name for name in query.names if name not in parts and name != STATE]
    if unknown:
        raise InputError(f"--select {query.text}: there is no part {unknown[0]}; there are {', '.join(parts[:20])}"
                         + (" ..." if len(parts) > 20 else ""))
    return query


def write_particles(found: Findings, outputs: Outputs, options: Options, log: RunLog) -> list[tuple[str, str]]:
    """Write the particles of every state, and the selection of the query; returns (path, description) of every file.

    Parameters
    ----------
    found : occupy_jit.runs.states.outputs.Findings
    outputs : occupy_jit.files.output.transaction.Outputs
    options : occupy_jit.settings.Options
    log : occupy_jit.reports.runlog.RunLog
    """
    result, particles = found.result, found.particles
    place = np.asarray(found.place)
    one_by_one = particles is not None and particles.volume is not None
    written = []
    if one_by_one:
        lost = int((~np.isin(particles.volume, place)).sum())
        if lost:
            log.warning(f"{lost} of {len(particles.volume)} particles belong to volumes that were left out, or to "
                        "none, and are in no state")
        for s in range(result.n_states):
            start = os.path.join(options.output_dir, f"particles_state{s + 1}")
            paths, number = write_subset(particles, place[result.partition.label == s], start, outputs)
            written += [(path, f"{number} particles of state {s + 1}") for path in paths]
    query = query_of(options, result.parts)
    if query is not None:
        written += _write_selected(found, query, one_by_one, outputs, options, log)
    return written


def _write_selected(found, query, one_by_one, outputs, options, log):
    """The volumes selected by the query, and their particles."""
    result = found.result
    chosen = [k for k in range(len(found.maps)) if query.holds(_values(result, k))]
    log.say(f"{len(chosen)} of {len(found.maps)} volumes have {query.text}")
    if not chosen:
        log.warning(f"no volume has {query.text}")
    counts = None if not found.whole else found.particles.count
    rows = [(found.maps[k], int(result.partition.label[k]) + 1,
             "" if counts is None else f"{counts[found.place[k]]:.0f}") for k in chosen]
    path = os.path.join(options.output_dir, SELECTED)
    with outputs.open(path, "w") as file:
        file.write(csv_of_cells(("map", "state", "particles"), rows))
    written = [(path, "volumes that were selected")]
    if one_by_one:
        start = os.path.join(options.output_dir, "particles_selected")
        paths, number = write_subset(found.particles, np.asarray(found.place)[chosen], start, outputs)
        written += [(path, f"{number} particles that were selected") for path in paths]
    return written


def _values(result, k):
    """Values of a volume for a query."""
    return {STATE: int(result.partition.label[k]) + 1,
            **{part: float(value) for part, value in zip(result.parts, result.occupancy[k], strict=True)}}
