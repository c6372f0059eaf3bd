"""The estimate of memory against what runs take, and what there is according to files that are made for the test."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from occupy_jit.runs import memory_need as memory
from tests.command import command, environment, run, write

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures resident memory as Linux counts it")


# --- what a run needs -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A map of 160 voxels an edge, 16 MB, in two axis orders."""
    n = 160
    here = tmp_path_factory.mktemp("large")
    random = np.random.default_rng(0)
    data = random.normal(size=(n, n, n)).astype(np.float32) * np.float32(0.1)
    middle = slice(n // 4, 3 * n // 4)
    data[middle, middle, middle] += random.random((n // 2,) * 3, np.float32)
    write(here / "plain.mrc", data, 1.0)
    write(here / "turned.mrc", data, 1.0, (3, 2, 1))
    mask = np.zeros_like(data)
    mask[middle, middle, middle] = 1  # an eighth of the box: content, and more than most targets are
    write(here / "mask.mrc", mask, 1.0)
    return here


def peak(arguments, cwd):
    """Largest resident memory of a process, in bytes."""
    # ru_maxrss of a child starts with what its parent had when it was forked: so a small process stands between them
    between = ("import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]); "
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024); sys.exit(status)")
    ran = subprocess.run([sys.executable, "-S", "-c", between, *command(*arguments)], cwd=cwd, env=environment(),
                         capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@linux
@pytest.mark.parametrize(("name", "options"), [
    ("plain.mrc", []), ("plain.mrc", ["--amplify"]), ("turned.mrc", []), ("turned.mrc", ["--amplify"]),
    ("turned.mrc", ["--amplify", "--save-all-maps", "--plot"]), ("plain.mrc", ["--scale-mode", "resolution"]),
    ("plain.mrc", ["--attenuate-gamma", "2", "--subtraction-mask"]),
    ("plain.mrc", ["--amplify", "--solvent-def", "mask.mrc"]),
    ("plain.mrc", ["--report"]), ("turned.mrc", ["--amplify", "--report"]),
    ("plain.mrc", ["--exclude-solvent", "--match-histogram"]), ("plain.mrc", ["--target-mask", "mask.mrc"])],
    ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_the_estimate_is_right_within_15_percent(name, options, large, tmp_path):
    if "--plot" in options:
        pytest.importorskip("matplotlib")
    options = [str(large / option) if option.endswith(".mrc") else option for option in options]
    arguments = ["-i", large / name, *options, "--output-dir", tmp_path]
    ran = run(*arguments, "--dry-run")
    assert ran.returncode == 0, ran.stderr
    said = float(ran.stdout.split("memory: about ")[1].split(" MB")[0]) * 1e6
    assert said == pytest.approx(peak([*arguments, "--quiet"], tmp_path), rel=0.15)


# --- what there is ----------------------------------------------------------------------------------------------


@pytest.fixture
def groups(tmp_path):
    """Writes the files of control groups; returns what `memory` finds in them."""
    def make(membership, files):
        proc = tmp_path / "cgroup"
        proc.write_text(membership)
        root = tmp_path / "fs"
        root.mkdir()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return memory._cgroup_rest(str(proc), str(root))
    return make


def test_control_group_2(groups):
    assert groups("0::/slurm/job_7\n", {"slurm/job_7/memory.max": "1000000\n",
                                       "slurm/job_7/memory.current": "400000\n"}) == 600_000


def test_control_group_2_counts_files_as_free(groups):
    """Page cache counts as used there, and is given back when somebody needs it."""
    assert groups("0::/a\n", {"a/memory.max": "1000000\n", "a/memory.current": "900000\n",
                             "a/memory.stat": "anon 100000\ninactive_file 500000\nactive_file 200000\n"}) == 800_000


def test_control_group_2_tightest_on_the_way_up(groups):
    assert groups("0::/a/b/c\n", {"a/memory.max": "500\n", "a/memory.current": "100\n", "a/b/memory.max": "max\n",
                                 "a/b/c/memory.max": "9000\n", "a/b/c/memory.current": "0\n"}) == 400


def test_control_group_2_inside_a_container(groups):
    """The path in the file is that of the host; only the root of the group can be seen."""
    assert groups("0::/../../docker/abc\n", {"memory.max": "7000\n", "memory.current": "2000\n"}) == 5000


def test_control_group_1(groups):
    assert groups("5:cpu,cpuacct:/x\n4:memory:/slurm/uid_1\n0::/\n", {
        "memory/slurm/uid_1/memory.limit_in_bytes": "2000000\n",
        "memory/slurm/uid_1/memory.usage_in_bytes": "1500000\n",
        "memory/slurm/uid_1/memory.stat": "inactive_file 5\ntotal_inactive_file 250000\ntotal_active_file 50000\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",  # how version 1 writes "none"
        "memory/memory.usage_in_bytes": "10\n"}) == 800_000


def test_control_group_over_its_limit_leaves_nothing(groups):
    assert groups("0::/a\n", {"a/memory.max": "1000\n", "a/memory.current": "1400\n"}) == 0


@pytest.mark.parametrize("membership", ["", "nonsense\n", "0::/a\n", "3:memory:/a\n", "1:name=systemd:/a\n"])
def test_no_control_group_is_no_limit(groups, membership):
    assert groups(membership, {"a/memory.max": "max\n", "memory/a/memory.limit_in_bytes": "odd\n"}) is None


def test_missing_files_are_no_limit(tmp_path):
    assert memory._cgroup_rest(str(tmp_path / "none"), str(tmp_path)) is None
    assert memory._free(str(tmp_path / "none")) is None
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   50 kB\n")
    assert memory._free(str(tmp_path / "meminfo")) == 51200


def test_the_least_limit_counts(monkeypatch):
    for found, expected in (((None, None, None), None), ((5, None, 7), 5), ((5, 3, None), 3), ((9, 8, 2), 2)):
        for name, value in zip(("_free", "_cgroup_rest", "_address_space"), found, strict=True):
            monkeypatch.setattr(memory, name, lambda value=value: value)
        assert memory.available() == expected


def test_too_large_a_map_is_refused_with_both_numbers(tmp_path, monkeypatch):
    """Before it is read: what it needs, and what there is."""
    from occupy_jit.runs.one_map import run_one
    from occupy_jit.runs.plan import check_memory, plan_map
    from occupy_jit.settings import Options, Settings

    path = write(tmp_path / "map.mrc", np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32))
    plan = plan_map(path, Settings(), Options(output_dir=str(tmp_path / "out")))
    monkeypatch.setattr(memory, "available", lambda: plan.memory_bytes - 1)
    monkeypatch.setattr("occupy_jit.files.map_reading.read_map", lambda *_, **__: pytest.fail("the map was read"))
    outcome = run_one(plan)
    assert outcome.status == 1 and re.search(r"map.mrc: needs about .* of memory, .* available", outcome.message)
    assert os.listdir(tmp_path) == ["map.mrc"]
    monkeypatch.setattr(memory, "available", lambda: plan.memory_bytes)
    check_memory(plan)
    monkeypatch.setattr(memory, "available", lambda: None)
    check_memory(plan)
