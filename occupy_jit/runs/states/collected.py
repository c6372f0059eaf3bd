"""States from the tables of a run on many maps with a model, without reading the maps."""

from __future__ import annotations

import glob
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from occupy_jit.errors import InputError
from occupy_jit.estimation.states.ensemble import Ensemble, analyse
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import Outputs
from occupy_jit.reports.runlog import RunLog
from occupy_jit.runs.many_maps import maps_table
from occupy_jit.runs.many_maps.report_index import write_collected_index
from occupy_jit.runs.states.chosen_particles import query_of
from occupy_jit.runs.states.findings import Findings
from occupy_jit.runs.states.outputs import close, write_all
from occupy_jit.runs.states.run import particles_of
from occupy_jit.runs.states.states_record import RECORD
from occupy_jit.runs.states.volumes import Volumes, names_of

if TYPE_CHECKING:
    import logging

    from occupy_jit.settings import Options

_OF_MODEL = 0.5
"""Assumed share of the model in an error, if the table does not separate it: errors of fits with wrong models of
simulated maps are about half noise at the signal-to-noise ratios of classes."""


def has_tasks(directory: str) -> bool:
    """Whether a directory has tables of array tasks."""
    return bool(glob.glob(os.path.join(glob.escape(directory), f"{maps_table.NAME}_task*.json")))


def run(options: Options, listener: logging.Handler | None = None) -> int:
    """Divide the maps of an earlier run into states; see `occupy_jit.runs.states.run.run`."""
    from occupy_jit.runs.plan.plan import check_plot

    check_plot(options)
    log = RunLog(listener)
    directory = options.collect
    rows = _rows(directory)
    log.header(options.command_line, [directory])
    ensemble, volumes = _ensemble(rows, directory)
    for name, reason in volumes.left_out:
        log.warning(f"{shown(name)}: {reason}; left out")
    maps = [row["map"] for row in rows]
    place = [maps.index(path) for path in volumes.paths]
    particles = particles_of(options, maps)
    query_of(options, ensemble.parts)
    number, counts = None if options.states is True else options.states, None
    if particles is not None:
        counts = particles.count[place]
    result = analyse(ensemble, number, counts, _reference(options, ensemble))
    options = options if "output_dir" in options.given else replace(options, output_dir=directory)
    with Outputs() as outputs:
        found = Findings(result, ensemble.volumes, volumes, particles, place, {},
                         kept_means=_kept_means(directory, ensemble.volumes, result))
        written = write_all(found, outputs, options, log)
    if options.report:
        write_collected_index(directory, rows)  # now also links to the page of states
    log.wrote(written)
    close(result, counts is not None, written, log)
    return int(bool(volumes.left_out))


def _kept_means(directory, names, result):
    """Mean maps of an earlier run on the same states in this directory; empty for other states."""
    path = os.path.join(directory, RECORD)
    if not os.path.exists(path):
        return ()
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
        before = {volume["map"]: volume["state"] for volume in told["volumes"]}
        means = [os.path.join(directory, state["mean"]) for state in told["states"] if state["mean"]]
    except (OSError, ValueError, KeyError, TypeError):
        return ()  # of another program, or damaged: do not use it
    now = {name: int(state) + 1 for name, state in zip(names, result.partition.label, strict=True)}
    same = before == now and len(means) == result.n_states and all(map(os.path.exists, means))
    return tuple(means) if same else ()


def _rows(directory):
    path = maps_table.table_paths(directory)["table as JSON"]
    if not os.path.exists(path):
        raise InputError(f"{shown(directory)}: contains no table of maps ({os.path.basename(path)}); give the output "
                         "directory of a run of many maps with --model")
    return maps_table.read_table(path)[0]


def _ensemble(rows, directory):
    """Occupancies of the parts that all maps have, with the volumes."""
    done = [row for row in rows if row["status"] == maps_table.DONE]
    left_out = [(row["map"], "was not finished") for row in rows if row["status"] != maps_table.DONE]
    found = [{part["part"]: (part["occupancy"], part["error"]) for part in row["parts"] if part.get("kind") == "model"}
             for row in done]
    parts = list(dict.fromkeys(name for parts_of_map in found for name in parts_of_map))
    if not parts:
        raise InputError(f"{shown(directory)}: the maps were run without --model: there are no parts that could "
                         "define states")
    values = np.array([[parts_of_map.get(name, (None, None)) for name in parts] for parts_of_map in found], float)
    raw, error = values[..., 0], values[..., 1]
    there = np.isfinite(raw).all(0) & np.isfinite(error).all(0)
    if not there.any():
        raise InputError(f"{shown(directory)}: the maps have no part in common: were they run with one model?")
    names = [name for name, ok in zip(parts, there, strict=True) if ok]
    raw, error = raw[:, there], error[:, there]
    atoms = _atoms(done, names)
    se_model = _OF_MODEL * np.median(error, axis=0)
    noise = np.sqrt(np.maximum(error**2 - se_model**2, (0.25 * error) ** 2))
    volumes = Volumes([row["map"] for row in done], [], left_out)
    return Ensemble(names_of(volumes.paths), names, atoms, raw, noise, np.eye(len(names)), se_model), volumes


def _atoms(rows, names):
    """Size of every part if the table has it, else 1."""
    size = {part["part"]: part["atoms"] for row in rows for part in row["parts"] if part.get("atoms")}
    return np.array([float(size.get(name, 1)) for name in names])


def _reference(options, ensemble):
    unknown = [name for name in options.reference_part if name not in ensemble.parts]
    if unknown:
        raise InputError(f"there is no part {unknown[0]}, which --reference-part names")
    return [ensemble.parts.index(name) for name in options.reference_part] or None
