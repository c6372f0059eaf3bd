"""Order of the parts of a model, for outputs that show only some of them."""

from collections.abc import Sequence
from typing import Any

SHOWN = 24
"""Rows of a displayed table of parts; the files have all."""


def surest_differences(found: Any) -> list[Any]:
    """For every part that differs between classes, the two classes with the most significant difference.

    Otherwise all pairs of classes of a few parts would leave no room for other parts.

    Parameters
    ----------
    found : occupy_jit.estimation.comparison.parts.ClassParts

    Returns
    -------
    list of PartDifference
        The most significant first, larger ones first among equals.
    """
    rows = {}
    for row in found.significant:
        rows.setdefault(row.part, row)
    return list(rows.values())


def those_that_differ_first(found: Any) -> list[int]:
    """Numbers of the parts with atoms: first those that differ, the most significant first, then the others as in the
    model."""
    place = {row.part: at for at, row in enumerate(surest_differences(found))}
    order = [k for k in range(len(found.names)) if found.atoms[k]]
    return sorted(order, key=lambda k: place.get(found.names[k], len(place)))  # stable


def lowest(rows: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Rows of parts with the lowest occupancies, in order; all if there are no more than `most`.

    Parameters
    ----------
    rows : sequence of dict
        With ``occupancy``, which is None outside the map; these come last.
    most : int

    Returns
    -------
    list of dict
    """
    if len(rows) <= most:
        return list(rows)
    value = [float("inf") if row["occupancy"] is None else row["occupancy"] for row in rows]
    return [rows[k] for k in sorted(sorted(range(len(rows)), key=value.__getitem__)[:most])]
