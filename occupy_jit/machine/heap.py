"""Memory that was given back is touched again page by page; here the C library is told to keep some. Standard library
only.
"""

import ctypes

# Of mallopt, in malloc.h of glibc
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 32 * 1024 * 1024  # glibc takes no larger one


def keep_freed_memory() -> bool:
    """Let arrays of up to 32 MiB reuse memory of arrays that are gone, as they do where no variable forbids it.

    glibc raises its own thresholds while a program runs, unless MALLOC_TRIM_THRESHOLD_ is set. Workers of dask run
    with it, to give memory back between tasks of a kind that needs it seldom; then every array is made of fresh
    pages, and the system's work on them takes as long as half of the work on a small map.

    Returns
    -------
    bool
        False where the C library does not have this.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # musl, macOS
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_KEPT))
