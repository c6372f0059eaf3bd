"""Number of threads. Standard library only, so that the number is known before numba loads."""

import os

from occupy_jit.machine import cgroups


def thread_count(requested: int | None = None) -> int:
    """Return the number of threads that may run at once here.

    The minimum of all limits: the request, the CPUs that this process may use,
    its cgroup's CPU quota (rounded up), and the variables ``SLURM_CPUS_PER_TASK``,
    ``NUMBA_NUM_THREADS`` and ``OMP_NUM_THREADS`` if set. numba considers only the second
    of these; on a shared node the others keep a job from using the cores of other jobs.

    Parameters
    ----------
    requested : int, optional
        Request of the user; no limit if None.

    Returns
    -------
    int
        At least 1.
    """
    limits = [requested, _affinity(), cgroups.cpu_quota()]
    limits += [environment_number(name) for name in ("SLURM_CPUS_PER_TASK", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")]
    return max(1, min(limit for limit in limits if limit is not None))


def _affinity():
    """Number of CPUs this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def environment_number(name: str) -> int | None:
    """Positive integer in an environment variable; None if there is none.

    ``OMP_NUM_THREADS`` may list a number for each level of nesting; the first is the outermost.
    """
    try:
        value = int(os.environ.get(name, "").split(",")[0])
    except ValueError:
        return None
    return value if value > 0 else None
