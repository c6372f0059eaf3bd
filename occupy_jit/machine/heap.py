"""Setting of the C library to keep freed memory, because fresh memory is slow. Standard library only.
"""

import ctypes

# Of mallopt, in malloc.h of glibc
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 32 * 1024 * 1024  # upper limit of glibc


def keep_freed_memory() -> bool:
    """Let arrays of up to 32 MiB reuse memory of freed arrays, as they do by default.

    glibc raises its own thresholds while a program runs, unless MALLOC_TRIM_THRESHOLD_ is set. Workers of dask run
    with it, to return memory between tasks; then every array consists of fresh
    pages, which takes the system half as long as the work on a small map.

    Returns
    -------
    bool
        False if the C library does not support this.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # musl, macOS
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_KEPT))
