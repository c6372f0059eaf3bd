"""How much memory there is for this process. Standard library only."""

import os

from occupy_jit.machine.cgroups import memory_left


def available(proc: str = "/proc") -> int | None:
    """Bytes that this process may still take; None if unknown.

    The least of the memory that is free, what the control groups around this process leave, and the limit on
    address space (``ulimit -v``).

    Parameters
    ----------
    proc : str
        Where the kernel tells of memory and processes.
    """
    here = os.path.join(proc, "self")
    limits = (_free(os.path.join(proc, "meminfo")), memory_left(here), _address_space(os.path.join(here, "statm")))
    return min((limit for limit in limits if limit is not None), default=None)


def _free(meminfo):
    try:
        with open(meminfo) as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _address_space(statm):
    """What ``ulimit -v`` leaves. Address space is more than memory: what does not fit here fits nowhere."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        with open(statm) as file:
            return max(0, limit - int(file.read().split()[0]) * resource.getpagesize())
    except (ImportError, OSError, ValueError, IndexError):
        return None
