"""Common results of fits of one model to maps on one grid: computed for the first map, kept for the others.

Positions of atoms, their grid, the columns of the parts and the surroundings of ligands depend on the model and on the
grid, not on the density. The kept arrays are identical to those that each fit would compute: the results of
a fit are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Preparation:
    """Keeps results for a model and a grid, until another model or grid follows.

    Parameters
    ----------
    keep : bool
        False for a single map: everything is computed when needed, and freed after use.

    Examples
    --------
    >>> from occupy_jit.estimation.parts.preparation import Preparation
    >>> preparation = Preparation()
    >>> for path in ("a.mrc", "b.mrc"):                                                  # doctest: +SKIP
    ...     occupy_jit.occupancy_of_parts(occupy_jit.read_map(path), model, preparation=preparation)
    """

    def __init__(self, keep: bool = True) -> None:
        self._keep = keep
        self._model: Any = None
        self._about: Any = None
        self._made: dict[Any, Any] = {}

    def begin(self, model: object, about: object) -> None:
        """Forget results for another model or grid.

        Parameters
        ----------
        model : AtomicModel
            The same object is the same model.
        about : object
            Everything else that determines the results; compared by value.
        """
        if model is not self._model or about != self._about:
            self._model, self._about, self._made = model, about, {}

    def once(self, name: object, make: Callable[[], Any]) -> Any:
        """Result of a name, computed now if it is missing."""
        if name in self._made:
            return self._made[name]
        made = make()
        if self._keep:
            self._made[name] = made
        return made

    def __contains__(self, name: object) -> bool:
        return name in self._made
