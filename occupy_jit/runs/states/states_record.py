"""The record of a run on states, with all tables and further data, for programs and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from occupy_jit.estimation.states.ensemble import StatesResult

RECORD = "occupy_states.json"
FORMAT = 1


def record_of(result: StatesResult, maps: Sequence[str], has_particles: bool, files: dict[str, Any]) -> dict[str, Any]:
    """The results in plain values.

    Parameters
    ----------
    result : occupy_jit.estimation.states.ensemble.StatesResult
    maps : sequence of str
        Volumes, as in the tables.
    has_particles : bool
    files : dict
        ``means``, the names of the mean maps, and ``counts``, the particles of every volume if known.

    Returns
    -------
    dict
    """
    made, partition = result.composition, result.partition
    states = []
    for s in range(result.n_states):
        called = {call: [p for p, c in zip(result.parts, made.call[s], strict=True) if c == call]
                  for call in ("present", "absent", "undecided")}
        states.append({"state": s + 1, "volumes": int(made.volumes[s]),
                       "particles": float(made.particles[s]) if files.get("counts") else None,
                       "share": _number(made.share[s]), "se": _number(made.se_share[s]),
                       "evidence": _number(partition.evidence[s]), **called,
                       "mean": None if not files.get("means") else files["means"][s]})
    return {
        "states_format": FORMAT,
        "kind": "continuous" if result.is_continuous else "states",
        "threshold": 0.5,
        "shares_of": "particles" if has_particles else "volumes",
        "states": states,
        "parts": [{"part": name, "atoms": int(round(size)), "reference": bool(full), "growth_of_noise": _number(growth)}
                  for name, size, full, growth in zip(result.parts, result.atoms, result.reference, partition.growth,
                                                      strict=True)],
        "volumes": [{"map": name, "state": int(partition.label[k]) + 1,
                     "probabilities": _row(partition.probability[k]), "full_scale": _number(result.full[k]),
                     "particles": _number(files["counts"][k]) if files.get("counts") else None}
                    for k, name in enumerate(maps)],
        "occupancy": {"of_volumes": _matrix(result.occupancy), "se_of_volumes": _matrix(result.se),
                      "se_noise_of_volumes": _matrix(result.se_noise), "of_states": _matrix(made.occupancy),
                      "se_of_states": _matrix(made.se), "se_noise_of_states": _matrix(made.se_noise),
                      "above_threshold": _matrix(made.above)},
        "volume_tree": _tree(partition.tree), "part_tree": _tree(result.part_tree),
        "order": [{**r._asdict(), "evidence": _number(r.evidence), "chance": _number(r.chance)}
                  for r in result.relations],
        "graph": [{"from": e.before + 1, "to": e.after + 1, "adds": e.adds, "loses": e.loses, "undecided": e.unsure}
                  for e in result.graph.edges],
        "continuum": None if result.continuum is None else _continuum(result),
        "warnings": list(result.warnings),
    }


def _continuum(result):
    found = result.continuum
    return {"preferred": result.is_continuous, "log_odds": _number(found.gain), "directions": found.n_directions,
            "loadings": _matrix(found.loading), "coordinates": _matrix(found.coordinate),
            "curves": [{"direction": c.direction + 1, "part": result.parts[c.part], "position": _row(c.position),
                        "occupancy": _row(c.occupancy), "se": _row(c.se)} for c in found.curves]}


def _tree(merges):
    return [{"one": one, "other": other, "height": _number(height), "log_odds": _number(odds)}
            for one, other, height, odds in merges]


def _number(value):
    """A number rounded to significant digits; None if unknown."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _row(values):
    return [_number(value) for value in values]


def _matrix(values):
    return [_row(row) for row in values]
