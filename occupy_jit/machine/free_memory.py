"""Memory available to this process. Standard library only."""

import os

from occupy_jit.machine.cgroups import memory_left


def available(proc: str = "/proc") -> int | None:
    """Bytes that this process may still allocate; None if unknown.

    The minimum of the free memory, the rest in the control groups around this process, and the limit on
    address space (``ulimit -v``).

    Parameters
    ----------
    proc : str
        The proc file system.
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
    """Rest of ``ulimit -v``. Address space is larger than memory, so this is an upper limit."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        with open(statm) as file:
            return max(0, limit - int(file.read().split()[0]) * resource.getpagesize())
    except (ImportError, OSError, ValueError, IndexError):
        return None
