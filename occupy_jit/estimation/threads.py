"""Threads outside the kernels: transforms, and loops over the parts of a model."""

from occupy_jit.kernels.jit.launch import threads_in_force
from occupy_jit.machine.threads import thread_count


def threads_allowed() -> int:
    """Number of threads for work outside the kernels.

    Returns
    -------
    int
        The number set by `occupy_jit.kernels.jit.launch.threads`, but no more than the machine allows
        this process.
    """
    asked, there = threads_in_force(), thread_count()
    return there if asked is None else min(asked, there)
