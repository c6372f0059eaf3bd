"""Control groups, version 1 and 2, around this process: their limits on processors and memory.

Standard library only. Missing or unexpected files mean no limit.
"""

import math
import os
from typing import Any


def cpu_quota(proc: str = "/proc/self") -> Any:
    """Number of CPUs that the control groups of this process allow, rounded up; None without a quota.

    Parameters
    ----------
    proc : str
        Directory with the files ``cgroup`` and ``mountinfo`` of the process.
    """
    quotas = []
    for directory, version in _groups("cpu", proc):
        try:
            if version == 2:
                quota, period = _words(directory, "cpu.max")
            else:
                quota, period = _words(directory, "cpu.cfs_quota_us") + _words(directory, "cpu.cfs_period_us")
            if float(quota) > 0 and float(period) > 0:
                quotas.append(math.ceil(float(quota) / float(period)))
        except (OSError, ValueError):
            continue  # no such file or "max": no limit at this level
    return min(quotas, default=None)


def memory_left(proc: str = "/proc/self") -> Any:
    """Bytes left by the tightest control group around this process; None without a limit.

    Parameters
    ----------
    proc : str
        As for `cpu_quota`.
    """
    left = []
    for directory, version in _groups("memory", proc):
        limit_name, used_name = (("memory.max", "memory.current") if version == 2 else
                                 ("memory.limit_in_bytes", "memory.usage_in_bytes"))
        limit = _number(directory, limit_name)
        if limit is not None and limit < 1 << 60:  # version 1 writes a huge number for no limit
            # used memory includes page cache, which the kernel can free
            used = (_number(directory, used_name) or 0) - _reclaimable(directory)
            left.append(min(limit, max(0, limit - used)))
    return min(left, default=None)


def _groups(controller, proc):
    """Directories of the groups of this process and of all enclosing groups, each with its version."""
    try:
        with open(os.path.join(proc, "cgroup")) as file:
            memberships = [line.rstrip("\n").split(":", 2) for line in file]
        with open(os.path.join(proc, "mountinfo")) as file:
            mounts = [line.split() for line in file]
    except (OSError, UnicodeDecodeError):
        return
    for membership in memberships:
        if len(membership) != 3:
            continue
        _, controllers, path = membership
        # Version 2 names no controllers; in version 1 only the hierarchy of this controller matters.
        version = 2 if not controllers else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        for root, mount in _mount_points(mounts, version, controller):
            parts = [part for part in _below(path, root).split("/") if part not in ("", ".", "..")]
            for depth in range(len(parts), -1, -1):
                yield os.path.join(mount, *parts[:depth]), version


def _mount_points(mounts, version, controller):
    """Yield (root, mount point) of the control group file systems among the lines of mountinfo."""
    for fields in mounts:
        if "-" not in fields[6:]:
            continue
        separator = fields.index("-", 6)
        kind, options = fields[separator + 1], fields[separator + 3:]
        if (kind == "cgroup2" if version == 2 else
                kind == "cgroup" and controller in ",".join(options).split(",")):
            yield fields[3], fields[4]


def _below(path, root):
    """`path` relative to `root`; "" if it lies elsewhere, as in a container that sees only its own group."""
    if root == "/":
        return path
    return path[len(root):] if (path + "/").startswith(root + "/") else ""


def _words(directory, name):
    with open(os.path.join(directory, name)) as file:
        return file.read().split()


def _number(directory, name):
    try:
        words = _words(directory, name)
    except OSError:
        return None
    return int(words[0]) if len(words) == 1 and words[0].isdigit() else None


def _reclaimable(directory):
    """Bytes of cached files, active or not, which the kernel frees on demand."""
    try:
        words = _words(directory, "memory.stat")
        counts = dict(zip(words[::2], words[1::2], strict=True))
        hierarchical = "total_" if "total_inactive_file" in counts else ""
        return sum(int(counts.get(hierarchical + name, 0)) for name in ("inactive_file", "active_file"))
    except (OSError, ValueError):
        return 0
