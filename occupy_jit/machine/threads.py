"""How many threads to use. Standard library only, so that the command line can say the number before numba loads."""

import math
import os


def thread_count(requested=None):
    """Return the number of threads that may run at once here.

    The least of all limits that apply: what was asked for, the CPUs this process may run on,
    its cgroup's CPU quota (rounded up), and the variables ``SLURM_CPUS_PER_TASK``,
    ``NUMBA_NUM_THREADS`` and ``OMP_NUM_THREADS`` where they are set. numba knows only the second
    of these; on a shared node the others keep a job from taking its neighbours' cores.

    Parameters
    ----------
    requested : int, optional
        What the user asked for; no limit if None.

    Returns
    -------
    int
        At least 1.
    """
    limits = [requested, _affinity(), _cgroup_quota()]
    limits += [_variable(name) for name in ("SLURM_CPUS_PER_TASK", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")]
    return max(1, min(limit for limit in limits if limit is not None))


def _affinity():
    """Number of CPUs this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def _variable(name):
    """Positive integer in the environment variable `name`; None if there is none.

    ``OMP_NUM_THREADS`` may list a number for each level of nesting; the first is the outermost.
    """
    try:
        value = int(os.environ.get(name, "").split(",")[0])
    except ValueError:
        return None
    return value if value > 0 else None


def _cgroup_quota(proc="/proc/self"):
    """CPUs' worth of time that the control groups of this process allow, rounded up; None without a quota.

    Parameters
    ----------
    proc : str
        Directory with the files ``cgroup`` and ``mountinfo`` of the process.
    """
    try:
        with open(os.path.join(proc, "cgroup")) as file:
            memberships = [line.rstrip("\n").split(":", 2) for line in file]
        with open(os.path.join(proc, "mountinfo")) as file:
            mounts = [line.split() for line in file]
    except (OSError, UnicodeDecodeError):
        return None
    quotas = []
    for membership in memberships:
        if len(membership) != 3:
            continue
        _, controllers, path = membership
        # Version 2 names no controllers; of version 1 only the hierarchy with "cpu" matters.
        version = 2 if not controllers else 1
        if version == 1 and "cpu" not in controllers.split(","):
            continue
        for root, mount in _mount_points(mounts, version):
            quotas += _quotas_upwards(mount, _below(path, root), version)
    return min(map(math.ceil, quotas), default=None)


def _mount_points(mounts, version):
    """Yield (root, mount point) of the control group file systems among the lines of mountinfo."""
    for fields in mounts:
        if "-" not in fields[6:]:
            continue
        separator = fields.index("-", 6)
        kind, options = fields[separator + 1], fields[separator + 3:]
        if (kind == "cgroup2" if version == 2 else
                kind == "cgroup" and "cpu" in ",".join(options).split(",")):
            yield fields[3], fields[4]


def _below(path, root):
    """`path` relative to `root`; "" if it lies elsewhere, as in a container that sees only its own group."""
    if root == "/":
        return path.strip("/")
    return path[len(root):].strip("/") if (path + "/").startswith(root + "/") else ""


def _quotas_upwards(mount, path, version):
    """Quotas (in CPUs) of the group `path` below `mount` and of all groups around it; each limits those inside."""
    quotas = []
    parts = [part for part in path.split("/") if part and part != ".."]
    for depth in range(len(parts), -1, -1):
        directory = os.path.join(mount, *parts[:depth])
        try:
            if version == 2:
                quota, period = _words(directory, "cpu.max")
            else:
                quota, period = _words(directory, "cpu.cfs_quota_us") + _words(directory, "cpu.cfs_period_us")
            if float(quota) > 0 and float(period) > 0:
                quotas.append(float(quota) / float(period))
        except (OSError, ValueError):
            continue  # no such file or "max": no limit at this level
    return quotas


def _words(directory, name):
    with open(os.path.join(directory, name)) as file:
        return file.read().split()
