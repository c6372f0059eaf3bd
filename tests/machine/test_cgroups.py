"""Control groups of version 1 and 2, in files that are made for the test; and all the memory that there is."""

import resource

import pytest

from occupy_jit.machine.cgroups import cpu_quota, memory_left
from occupy_jit.machine.free_memory import available


def control_groups(tmp_path, membership, mounts, files):
    """Write a directory that looks like /proc/self, and control group files; return its path."""
    for name, content in files.items():
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "cgroup").write_text(membership)
    (tmp_path / "mountinfo").write_text(mounts.replace("SYS", str(tmp_path / "sys")))
    return str(tmp_path)


UNIFIED = "30 23 0:26 / SYS rw,nosuid shared:4 - cgroup2 cgroup2 rw\n22 1 0:5 / / rw - ext4 /dev/sda rw\n"
SPLIT = ("31 23 0:29 / SYS/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
         "33 23 0:31 / SYS/memory rw - cgroup cgroup rw,memory\n"
         "32 23 0:30 / SYS/cpuset rw - cgroup cgroup rw,cpuset\n")
INSIDE = "31 23 0:29 /docker/abc SYS rw - cgroup cgroup rw,cpuacct,cpu\n"


@pytest.mark.parametrize("membership, mounts, files, expected", [
    ("0::/job/step\n", UNIFIED, {"job/step/cpu.max": "max 100000\n"}, None),
    ("0::/job/step\n", UNIFIED, {"job/step/cpu.max": "250000 100000\n"}, 3),  # rounded up
    ("0::/job/step\n", UNIFIED, {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "400000 100000\n"}, 4),
    ("0::/job/step\n", UNIFIED, {"job/step/cpu.max": "800000 100000\n", "job/cpu.max": "400000 100000\n"}, 4),
    ("0::/\n", UNIFIED, {"cpu.max": "50000 100000\n"}, 1),  # a container
    ("0::/../elsewhere\n", UNIFIED, {"cpu.max": "200000 100000"}, 2),
    ("4:cpu,cpuacct:/slurm/job\n3:cpuset:/slurm\n", SPLIT,
     {"cpu,cpuacct/slurm/job/cpu.cfs_quota_us": "600000\n", "cpu,cpuacct/slurm/job/cpu.cfs_period_us": "100000\n"}, 6),
    ("4:cpu,cpuacct:/slurm/job\n", SPLIT,
     {"cpu,cpuacct/slurm/job/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/slurm/job/cpu.cfs_period_us": "100000\n"}, None),
    ("4:cpuacct,cpu:/docker/abc\n", INSIDE, {"cpu.cfs_quota_us": "150000", "cpu.cfs_period_us": "100000"}, 2),
    ("garbage\n", UNIFIED, {"cpu.max": "x y z\n"}, None),
    ("0::/\n", "short line\n", {}, None),
])
def test_cgroup_quota(tmp_path, membership, mounts, files, expected):
    assert cpu_quota(control_groups(tmp_path, membership, mounts, files)) == expected


def test_no_control_groups_at_all(tmp_path):
    assert cpu_quota(str(tmp_path)) is None


# --- memory -----------------------------------------------------------------------------------------------------


@pytest.fixture
def groups(tmp_path):
    """Writes the files of control groups; returns what memory they leave."""
    return lambda membership, files: memory_left(control_groups(tmp_path, membership, UNIFIED + SPLIT, files))


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


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """A /proc without anything, and no limit of address space."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (tmp_path / "self").mkdir()
    return tmp_path


def test_missing_files_are_no_limit(proc):
    assert available(str(proc / "none")) is None
    (proc / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   50 kB\n")
    assert available(str(proc)) == 51200


@pytest.mark.parametrize("free, group, space, expected", [
    (None, None, None, None), (5, None, 7, 5), (5, 3, None, 3), (9, 8, 2, 2)])
def test_the_least_limit_counts(proc, monkeypatch, free, group, space, expected):
    kilo = 1024
    if free is not None:
        (proc / "meminfo").write_text(f"MemAvailable: {free} kB\n")
    files = {} if group is None else {"memory.max": f"{group * kilo}\n", "memory.current": "0\n"}
    control_groups(proc / "self", "0::/\n", UNIFIED, files)
    if space is not None:
        used = 3 * resource.getpagesize()
        (proc / "self" / "statm").write_text("3 2 1 0 0 0 0\n")
        monkeypatch.setattr(resource, "getrlimit", lambda what: (used + space * kilo, resource.RLIM_INFINITY))
    assert available(str(proc)) == (None if expected is None else expected * kilo)
