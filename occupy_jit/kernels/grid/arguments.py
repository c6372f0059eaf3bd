"""Checks and conversion of array arguments of kernels."""

from typing import Any

import numpy as np
from numba.core import types
from numba.core.errors import TypingError


def as_volume(array: np.ndarray, name: str = "volume", ndim: int = 3) -> np.ndarray:
    """Return `array` as a C-contiguous float32 array, converted at most once.

    Raises
    ------
    TypeError
        If it is not a real-valued numpy array of `ndim` dimensions.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected a numpy array, got {type(array).__name__}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if array.ndim != ndim:
        raise TypeError(f"{name}: expected {ndim} dimensions, got shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.float32)


def require_volume(numba_type: Any, name: str = "volume", ndim: int = 3) -> None:
    """Inside a caller's compiled code: refuse, at compile time, all but C-contiguous float32 volumes."""
    if not (isinstance(numba_type, types.Array) and numba_type.dtype == types.float32
            and numba_type.ndim == ndim and numba_type.layout == "C"):
        raise TypingError(f"{name}: expected a C-contiguous float32 array of {ndim} dimensions, got {numba_type}")
