"""The numbers of a page of states, packed for its scripts."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

STEP = 0.001
"""Step of packed occupancies and errors: a tenth of a usual error or less."""

UNKNOWN = -32768
_LIMIT = 32767


def packed(matrix: list[list[float | None]]) -> str:
    """A matrix as base64 of little-endian 16-bit integers, in steps of `STEP`.

    Parameters
    ----------
    matrix : list of list of float or None
        None if unknown.

    Returns
    -------
    str
        Row by row, with `UNKNOWN` for None.
    """
    values = np.array(matrix, dtype=float)
    steps = np.clip(np.round(np.nan_to_num(values, nan=0.0) / STEP), -_LIMIT, _LIMIT)
    return base64.b64encode(np.where(np.isfinite(values), steps, UNKNOWN).astype("<i2").tobytes()).decode()


def leaves(tree: list[dict[str, Any]], number: int) -> list[int]:
    """Leaves of a tree from one side to the other, so that no branches cross.

    Parameters
    ----------
    tree : list of dict
        Merges, as in SciPy's linkage.
    number : int
        Of leaves.

    Returns
    -------
    list of int
        All leaves; separate trees follow each other.
    """
    below, merged = [[k] for k in range(number)], set()
    for merge in tree:
        below.append(below[merge["one"]] + below[merge["other"]])
        merged |= {merge["one"], merge["other"]}
    return [leaf for node, found in enumerate(below) if node not in merged for leaf in found]


def joined(rows: list[list[float | None]]) -> list[dict[str, Any]]:
    """A tree of rows: those that differ least are joined first (average linkage).

    Parameters
    ----------
    rows : list of list of float or None
        Occupancies of states; unknown ones do not count.

    Returns
    -------
    list of dict
        Merges of "one" and "other" at a "height", their mean difference, as in SciPy's linkage.
    """
    values, tree = np.array(rows, dtype=float), []
    if len(values) < 2:
        return tree
    apart = np.abs(values[:, None] - values[None])
    known = np.isfinite(apart)
    distance = np.where(known, apart, 0).sum(-1) / np.maximum(known.sum(-1), 1)
    np.fill_diagonal(distance, np.inf)
    node, size = list(range(len(values))), [1] * len(values)
    for number in range(len(values), 2 * len(values) - 1):
        a, b = divmod(int(np.argmin(distance)), len(node))
        a, b = min(a, b), max(a, b)
        tree.append({"one": node[a], "other": node[b], "height": round(float(distance[a, b]), 4)})
        mean = (size[a] * distance[a] + size[b] * distance[b]) / (size[a] + size[b])
        distance[a], distance[:, a] = mean, mean
        distance[a, a] = np.inf
        distance = np.delete(np.delete(distance, b, 0), b, 1)
        node[a], size[a] = number, size[a] + size[b]
        del node[b], size[b]
    return tree


def payload(record: dict[str, Any], reports: dict[str, str]) -> dict[str, Any]:
    """Data for the scripts of the page.

    Parameters
    ----------
    record : dict
        As `occupy_jit.runs.states.states_record.record_of` gives it.
    reports : dict
        Relative addresses of the reports of volumes.
    """
    parts = [part["part"] for part in record["parts"]]
    volumes = [volume["map"] for volume in record["volumes"]]
    number = {name: k for k, name in enumerate(parts)}
    kinds = sorted({row["relation"] for row in record["order"]})
    found, continuum = record["occupancy"], record["continuum"]
    states = joined(found["of_states"])
    return {
        "kind": record["kind"], "threshold": record["threshold"], "step": STEP, "unknown": UNKNOWN,
        "parts": parts, "atoms": [part["atoms"] for part in record["parts"]], "volumes": volumes,
        "state": [volume["state"] - 1 for volume in record["volumes"]],
        "reports": [reports.get(name) for name in volumes],
        "states": [{name: row[name] for name in ("share", "se", "volumes", "particles")} for row in record["states"]],
        "graph": [[edge["from"], edge["to"], *(" ".join(edge[name]) for name in ("adds", "loses", "undecided"))]
                  for edge in record["graph"]],
        "calls": [_calls(row, parts) for row in record["states"]],
        "of_volumes": packed(found["of_volumes"]), "se_of_volumes": packed(found["se_of_volumes"]),
        "of_states": packed(found["of_states"]), "se_of_states": packed(found["se_of_states"]),
        "volume_tree": _tree(record["volume_tree"]), "part_tree": _tree(record["part_tree"]),
        "state_tree": _tree(states), "state_leaves": leaves(states, len(record["states"])),
        "volume_leaves": leaves(record["volume_tree"], len(volumes)),
        "part_leaves": leaves(record["part_tree"], len(parts)), "relations": kinds,
        "order": [[number[row["part"]], number[row["other"]], kinds.index(row["relation"]), row["evidence"],
                   row["states"], row.get("chance")] for row in record["order"]],
        "coordinate": None if record["kind"] != "continuous" else [row[0] for row in continuum["coordinates"]],
    }


def _calls(row, parts):
    """Calls of a state, one letter per part."""
    present, absent = set(row["present"]), set(row["absent"])
    return "".join("p" if part in present else "a" if part in absent else "u" for part in parts)


def _tree(merges):
    return [[merge["one"], merge["other"], merge["height"]] for merge in merges]
