"""Threads of work outside of the kernels: transforms, and loops over the parts of a model."""

from occupy_jit.kernels.jit.launch import threads_in_force
from occupy_jit.machine.threads import thread_count


def threads_allowed() -> int:
    """How many threads work outside of the kernels may use here.

    Returns
    -------
    int
        The number that `occupy_jit.kernels.jit.launch.threads` has put in force, but no more than the machine allows
        this process.
    """
    asked, there = threads_in_force(), thread_count()
    return there if asked is None else min(asked, there)
