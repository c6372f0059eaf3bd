"""The one decorator of every kernel.

The cache is in `cache`, parallel calls from Python (`launch`, `parallel_region`, `threads`) in `launch`.
"""

import functools
import gc
from collections.abc import Callable
from typing import Any

# Import of numba creates very many permanent objects: garbage collection in the meantime only takes time.
_collecting = gc.isenabled()
gc.disable()
try:
    import numba
finally:
    if _collecting:
        gc.enable()

from occupy_jit.kernels.jit import cache as _cache  # noqa: E402
from occupy_jit.kernels.jit.launch import forked, launch, parallel_region, threads  # noqa: E402

__all__ = ["forked", "kernel", "launch", "parallel_region", "threads"]


def kernel(function: Callable[..., Any] | None = None, *, parallel: bool = False) -> Callable[..., Any]:
    """Compile `function` with the settings of all kernels.

    No fastmath: the bits must be those of the formula. ``error_model="numpy"`` avoids a branch per division,
    ``nogil`` allows callers to use their own threads. With
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
