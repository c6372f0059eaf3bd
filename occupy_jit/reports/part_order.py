"""Which parts of a model are told of first, where there are more than anybody reads."""

from collections.abc import Sequence
from typing import Any

SHOWN = 24
"""Rows of a table of parts that is read as it stands; the others are in the tables as files."""


def surest_differences(found: Any) -> list[Any]:
    """Of every part that differs between classes, the two classes between which that is surest.

    All pairs of classes of a few parts that differ much would leave no place for the other parts.

    Parameters
    ----------
    found : occupy_jit.estimation.comparison.parts.ClassParts

    Returns
    -------
    list of PartDifference
        Surest first, larger ones first among those that are as sure.
    """
    rows = {}
    for row in found.significant:
        rows.setdefault(row.part, row)
    return list(rows.values())


def those_that_differ_first(found: Any) -> list[int]:
    """Numbers of the parts that have atoms: those that differ, surest first, then the others as in the model."""
    place = {row.part: at for at, row in enumerate(surest_differences(found))}
    order = [k for k in range(len(found.names)) if found.atoms[k]]
    return sorted(order, key=lambda k: place.get(found.names[k], len(place)))  # stable


def lowest(rows: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Rows of parts with the lowest occupancies, in their order; all where there are no more than `most`.

    Parameters
    ----------
    rows : sequence of dict
        With ``occupancy``, which is None outside of the map: those come last.
    most : int

    Returns
    -------
    list of dict
    """
    if len(rows) <= most:
        return list(rows)
    value = [float("inf") if row["occupancy"] is None else row["occupancy"] for row in rows]
    return [rows[k] for k in sorted(sorted(range(len(rows)), key=value.__getitem__)[:most])]
