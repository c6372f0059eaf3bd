"""The half maps that belong to a map, by name. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occupy_jit.errors import InputError
from occupy_jit.files.names import half_names
from occupy_jit.files.names.paths import file_identity, shown

if TYPE_CHECKING:
    from occupy_jit.settings import Options


def half_maps_of(path: str, options: Options, of_group: bool = False) -> tuple[Any, ...]:
    """Paths of the two half maps of a map, which may be the first of them; empty if not requested.

    For a map of a group they must have its name, because others may belong to other maps.

    Raises
    ------
    InputError
        The names are not sufficient.
    """
    if not options.half_maps:
        return ()
    if options.half_maps != ("auto",):
        first, second = options.half_maps
        # a half map as input stands for the mean
        return (path, second) if file_identity(first) == file_identity(path) else (first, second)
    partner = half_names.partner(path)
    if partner is not None:
        return path, partner
    pairs = half_names.pairs_beside(path, named_alike=of_group)
    if len(pairs) == 1:
        return pairs[0]
    found = f"none {'of its name ' if of_group else ''}is beside it"
    if pairs:
        found = f"{len(pairs)} pairs are beside it, such as {shown(pairs[0][0])} and {shown(pairs[1][0])}"
    what_to_do = "name both: --half-maps H1 H2"
    if of_group:
        what_to_do = "name them like the map, with half1_ and half2_ in it, or leave --half-maps out"
    raise InputError(f"{shown(path)}: --half-maps auto cannot find its half maps by name: {found}; {what_to_do}")
