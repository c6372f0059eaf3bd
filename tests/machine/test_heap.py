"""Memory that is kept for the next array, in a process of its own: the setting is the whole process's."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of glibc")

_FAULTS = """
import resource
import sys

import numpy as np

from occupy_jit.machine.heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.empty(2**18, np.float32).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fresh = faults()
assert keep_freed_memory()
faults()
print(fresh, faults())
"""


def test_arrays_reuse_memory_where_a_variable_had_forbidden_it():
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, "-c", _FAULTS], env=environment, capture_output=True, text=True, check=True)
    fresh, kept = map(int, done.stdout.split())
    assert fresh > 20 * 200, "most pages of every array (1 MiB, 256 pages) are touched for the first time"
    assert kept < fresh / 20
