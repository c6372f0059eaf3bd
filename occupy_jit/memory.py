"""How much memory a run needs, and how much there is. Standard library only."""

import math
import os

BASE_BYTES = 190_000_000
"""Interpreter, libraries and compiled kernels."""

# Volumes that are alive at the same time, in units of the float32 map. Measured as peak resident size.
_PLAIN = 3.2
_WITH_CONFIDENCE = 4.2


def needed(shape, modifies=False, keeps=False, masks=0):
    """Bytes of memory that a run takes at its peak.

    Parameters
    ----------
    shape : (nz, ny, nx)
    modifies : bool
        Whether a modified map or the confidence is wanted.
    keeps : bool
        Whether the low-passed map stays until the end (--save-all-maps, --plot).
    masks : int
        Masks in memory at the same time.
    """
    volumes = (_WITH_CONFIDENCE if modifies else _PLAIN) + (1 if keeps else 0) + masks
    return int(BASE_BYTES + volumes * 4 * math.prod(shape))


def available():
    """Bytes that this process may still take: free memory, or less where a cgroup limits it; None if unknown."""
    limits = [limit for limit in (_free(), _cgroup_rest()) if limit is not None]
    return min(limits) if limits else None


def _free():
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _cgroup_rest(proc="/proc/self/cgroup", root="/sys/fs/cgroup"):
    """What the tightest cgroup, version 1 or 2, on the way up from this process leaves."""
    rest = None
    try:
        with open(proc) as file:
            entries = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    for entry in entries:
        if len(entry) != 3:
            continue
        _, controllers, path = entry
        if controllers == "":
            base, limit_name, used_name = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit_name, used_name = os.path.join(root, "memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts), -1, -1):
            directory = os.path.join(base, *parts[:depth])
            limit = _number(os.path.join(directory, limit_name))
            used = _number(os.path.join(directory, used_name))
            if limit is not None and limit < 1 << 60:
                # what is used holds page cache that the kernel gives back: inactive files
                free = limit - (used or 0) + _inactive(directory)
                rest = free if rest is None else min(rest, free)
    return rest


def _number(path):
    try:
        with open(path) as file:
            text = file.read().strip()
        return int(text) if text.isdigit() else None
    except OSError:
        return None


def _inactive(directory):
    try:
        with open(os.path.join(directory, "memory.stat")) as file:
            for line in file:
                if line.startswith(("inactive_file ", "total_inactive_file ")):
                    return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0
