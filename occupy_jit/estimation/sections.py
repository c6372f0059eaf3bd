"""Volumes that are computed some sections at a time, when needed, and never as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Sections:
    """A volume whose sections are computed on request, by ``volume[first:last]`` only.

    Parameters
    ----------
    shape : (nz, ny, nx)
    make : callable
        From first and last (exclusive) to those sections, a (last - first, ny, nx) float32 array. May be called from
        several threads at a time, so it must not start threads itself.
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
