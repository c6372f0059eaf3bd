"""Volumes that are made some sections at a time, where they are looked at: there is never all of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Sections:
    """A volume of which sections are made when they are asked for, by ``volume[first:last]`` alone.

    Parameters
    ----------
    shape : (nz, ny, nx)
    make : callable
        From first and last (exclusive) to those sections, a (last - first, ny, nx) float32 array. May be called from
        several threads at a time, hence must not start threads itself.
    """

    def __init__(self, shape: tuple[Any, ...], make: Callable[..., Any]) -> None:
        self.shape = tuple(shape)
        self.size = self.shape[0] * self.shape[1] * self.shape[2]
        self._make = make

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice) -> np.ndarray:
        first, last, _ = which.indices(self.shape[0])
        return self._make(first, last)
