"""Numbers of threads, and parallel kernels among host threads and forks of a caller's program."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occupy_jit.machine import cgroups, threads
from tests import kernel_package as package

VARIABLES = ("SLURM_CPUS_PER_TASK", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


@pytest.fixture
def cpus(monkeypatch):
    """Eight CPUs, no quota, no variables."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8), raising=False)
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: None)
    return monkeypatch


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A package whose parallel kernel and its serial form are compiled and kept."""
    root = package.make(tmp_path_factory.mktemp("threads"))
    package.run(root, "a = np.zeros(4)\ntiny.fill(a, 1.0)\ntiny.fill.serial()(a, 1.0)\nanswer()")
    return root


# ---------------------------------------------------------------------- how many


@pytest.mark.parametrize("variables, requested, expected", [
    ({}, None, 8),
    ({}, 3, 3),
    ({}, 64, 8),
    ({}, 0, 1),
    ({"SLURM_CPUS_PER_TASK": "2"}, None, 2),  # smaller than the affinity mask
    ({"SLURM_CPUS_PER_TASK": "32"}, None, 8),  # larger
    ({"SLURM_CPUS_PER_TASK": "2"}, 4, 2),
    ({"OMP_NUM_THREADS": "4,2"}, None, 4),
    ({"NUMBA_NUM_THREADS": "5", "OMP_NUM_THREADS": "6"}, None, 5),
    ({"SLURM_CPUS_PER_TASK": "", "OMP_NUM_THREADS": "many", "NUMBA_NUM_THREADS": "-1"}, None, 8),
])
def test_least_of_all_limits(cpus, variables, requested, expected):
    for name, value in variables.items():
        cpus.setenv(name, value)
    assert threads.thread_count(requested) == expected


@given(limits=st.lists(st.one_of(st.none(), st.integers(1, 300)), min_size=6, max_size=6))
@settings(deadline=None, max_examples=50)
def test_no_limit_is_exceeded(limits):
    requested, affinity, quota, *values = limits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda process: range(affinity or 16), raising=False)
        patch.setattr(cgroups, "cpu_quota", lambda: quota)
        for name, value in zip(VARIABLES, values, strict=True):
            patch.setenv(name, "" if value is None else str(value))
        assert threads.thread_count(requested) == min(x for x in (affinity or 16, requested, quota, *values) if x)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_affinity_mask_of_a_real_process():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " \
           "from occupy_jit.machine.threads import thread_count; print(thread_count())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1\n"


def test_counting_loads_neither_numpy_nor_numba():
    code = "import sys; from occupy_jit.machine.threads import thread_count; thread_count(); " \
           "print([name for name in ('numpy', 'numba') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


# ---------------------------------------------------------------------- numba's threads


def test_limits_are_set_and_put_back(root):
    answer = package.run(root, """
import numba
seen = [numba.get_num_threads()]
with _jit.threads(1) as number:
    seen += [number, numba.get_num_threads()]
    with _jit.threads(1000) as number:
        seen += [number, numba.get_num_threads()]
    seen.append(numba.get_num_threads())
    with _jit.threads(None) as number:
        seen.append(number)
try:
    with _jit.threads(0) as number:
        seen.append(number)
        raise KeyError
except KeyError:
    seen.append(numba.get_num_threads())
answer(seen=seen)
""", {"NUMBA_NUM_THREADS": "3"})
    assert answer["seen"] == [3, 1, 1, 3, 3, 1, 1, 1, 3]


@pytest.mark.parametrize("layer", [pytest.param("workqueue", marks=pytest.mark.slow), None])
def test_host_threads(root, layer):
    # With workqueue numba aborts the process here unless calls wait for each other.
    answer = package.run(root, """
import threading
right = []
def work(start):
    out = np.zeros(100_000)
    for i in range(100):
        with _jit.threads(2):
            _jit.launch(tiny.fill, out, float(start))
        right.append(out[0] == start and out[-1] == start + out.size - 1)
hosts = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for host in hosts:
    host.start()
for host in hosts:
    host.join()
answer(right=sum(map(bool, right)))
""", {"NUMBA_THREADING_LAYER": layer})
    assert answer["right"] == 400


FORK = """
import time
def child(before=lambda: None):
    pid = os.fork()
    if pid == 0:
        try:
            out = np.zeros(1000)
            with _jit.threads(2):
                _jit.launch(tiny.fill, out, 1.0)
            with _jit.parallel_region() as parallel:
                (tiny.fill if parallel else tiny.fill.serial())(out, 2.0)
            fresh = _jit.kernel(tiny.total.py_func)(volume)
            right = out[-1] == 1001 and fresh == 828 and _jit.forked()
        finally:
            os._exit(0 if right else 3)
    for _ in range(600):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.05)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "hangs"
out = np.zeros(1000)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("layer", ["omp", "workqueue", None])
def test_fork_of_a_program_that_ran_kernels(root, layer):
    # With omp numba kills a child that enters a parallel kernel.
    answer = package.run(root, FORK + """
_jit.launch(tiny.fill, out, 1.0)
first = child()
_jit.launch(tiny.fill, out, 1.0)
answer(status=[first, child()], parent=bool(out[-1] == 1000), forked=_jit.forked())
""", {"NUMBA_THREADING_LAYER": layer})
    assert (answer["status"], answer["parent"], answer["forked"]) == ([0, 0], True, False)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("layer", ["workqueue", None])
def test_fork_while_other_threads_run_kernels_and_compile(root, layer):
    answer = package.run(root, FORK + """
import threading
stop = threading.Event()
def work(step):
    while not stop.is_set():
        step()
big = np.zeros(200_000)
hosts = [threading.Thread(target=work, args=(step,)) for step in (
    lambda: _jit.launch(tiny.fill, big, 1.0), lambda: _jit.kernel(tiny.doubled.py_func)(volume))]
_jit.launch(tiny.fill, out, 1.0)
for host in hosts:
    host.start()
status = [child() for _ in range(5)]
stop.set()
for host in hosts:
    host.join()
answer(status=status)
""", {"NUMBA_THREADING_LAYER": layer})
    assert answer["status"] == [0] * 5


def test_layer_that_is_not_installed(root):
    answer = package.run(root, """
out = np.zeros(1000)
with _jit.threads(2) as number:
    _jit.launch(tiny.fill, out, 1.0)
answer(right=bool(out[-1] == 1000), number=number)
""", {"NUMBA_THREADING_LAYER": "tbb"})
    assert answer["right"]
    if answer["lines"]:
        assert answer["number"] == 1 and "on one thread" in answer["lines"][0] and len(answer["lines"]) == 1


def test_regions_nest(root):
    answer = package.run(root, """
out = np.zeros(10)
with _jit.parallel_region() as outer, _jit.parallel_region() as inner:
    _jit.launch(tiny.fill, out, 1.0)
answer(flags=[outer, inner], last=out[-1])
""")
    assert (answer["flags"], answer["last"]) == ([True, True], 10)
