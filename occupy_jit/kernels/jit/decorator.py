"""The one decorator of every kernel, and the checks of what goes into kernels.

The cache is in `cache`, parallel calls from Python (`launch`, `parallel_region`, `threads`) in `launch`.
"""

import functools
import gc

# Importing numba makes very many objects, all of which stay: looking for garbage meanwhile takes time and finds none.
_collecting = gc.isenabled()
gc.disable()
try:
    import numba
    import numpy as np
    from numba.core import types
    from numba.core.errors import TypingError
finally:
    if _collecting:
        gc.enable()

from occupy_jit.kernels.jit import cache as _cache  # noqa: E402
from occupy_jit.kernels.jit.launch import forked, launch, parallel_region, threads  # noqa: E402

__all__ = ["as_volume", "forked", "kernel", "launch", "parallel_region", "require_volume", "threads"]


def kernel(function=None, *, parallel=False):
    """Compile `function` as every kernel here is compiled.

    No fastmath: the bits must be those of the formula. ``error_model="numpy"`` so that a division
    does not cost a branch, ``nogil`` so that callers may use threads of their own. With
    ``NUMBA_DISABLE_JIT=1`` the function itself.

    Parallel kernels are called from Python through `launch`, and have a method ``serial()`` that
    returns the same kernel without threads.
    """
    def decorate(f):
        compiled = numba.njit(f, parallel=parallel, nogil=True, error_model="numpy")
        if compiled is f:
            return f
        if parallel:
            compiled.serial = functools.cache(lambda: kernel(f))
        return _cache.install(compiled, "parallel" if parallel else "serial")
    return decorate if function is None else decorate(function)


def as_volume(array, name="volume", ndim=3):
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


def require_volume(numba_type, name="volume", ndim=3):
    """Inside a caller's compiled code: refuse, at compile time, all but C-contiguous float32 volumes."""
    if not (isinstance(numba_type, types.Array) and numba_type.dtype == types.float32
            and numba_type.ndim == ndim and numba_type.layout == "C"):
        raise TypingError(f"{name}: expected a C-contiguous float32 array of {ndim} dimensions, got {numba_type}")
