"""What fits of one model to maps on one grid have in common: made for the first of them, kept for the others.

Where atoms lie, the grid about them, the columns of the parts and what is beside ligands depend on the model and on the
grid, not on what the map holds. Kept, they are the very same arrays that each fit would make for itself: the results of
a fit do not depend on what was kept, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Preparation:
    """Keeps what was made for a model and a grid, until another model or grid comes.

    Parameters
    ----------
    keep : bool
        False for a single map: everything is made where it is asked for, and freed when it has been used.

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
        """Forget what was made for another model, or about anything else.

        Parameters
        ----------
        model : AtomicModel
            The same object is the same model.
        about : object
            All else that what is kept depends on; equal values are the same.
        """
        if model is not self._model or about != self._about:
            self._model, self._about, self._made = model, about, {}

    def once(self, name: object, make: Callable[[], Any]) -> Any:
        """What was made under a name; it is made now if it is not there."""
        if name in self._made:
            return self._made[name]
        made = make()
        if self._keep:
            self._made[name] = made
        return made

    def __contains__(self, name: object) -> bool:
        return name in self._made
