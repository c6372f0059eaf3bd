"""Files after failures of the machine: full disks, lost directories, signals, memory, damaged input.

Everything here but the fuzzer and the soak runs real processes.
"""

import contextlib
import gc
import gzip
import io
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
import warnings

import mrcfile
import numpy as np
import pytest

from occupy_jit.cli import main as cli_main
from tests.command import command, environment, listing, particle, run, troubles, values, write
from tests.files.test_header_fuzz import LEAVES

MOMENTS = int(os.environ.get("KILL_MOMENTS", "7"))
EXAMPLES = int(os.environ.get("FUZZ_COMMANDS", "500"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SOAK = int(os.environ.get("SOAK_MAPS", "60"))

SLOW = pytest.mark.slow
ALL = ("--amplify", "--attenuate-gamma", "2", "--save-all-maps")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Directory with one map and no other files."""
    here = tmp_path_factory.mktemp("faults")
    write(here / "map.mrc", particle())
    return here


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """Outputs of an undisturbed run on this map: name -> digest."""
    out = tmp_path_factory.mktemp("whole")
    assert run("-i", folder / "map.mrc", *ALL, "--quiet", "--output-dir", out).returncode == 0
    return listing(out)


def check_complete(directory, whole):
    """All files with final names are complete; returns the names of temporaries."""
    temporaries = []
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name.startswith("."):
            temporaries.append(name)
        elif name.endswith(".mrc"):
            assert listing(directory)[name] == whole[name], f"{name} is not what a whole run writes"
        elif name.endswith(".json"):
            with open(path) as file:
                record = json.load(file)
            assert set(os.listdir(directory)) >= {os.path.basename(entry["path"]) for entry in record["outputs"]}
        else:
            assert name in whole
    return temporaries


def one_line(ran, status=1):
    assert ran.returncode == status, ran.stderr
    lines = troubles(ran)
    assert len(lines) == 1 and lines[0].startswith("OccuPy: error: "), ran.stderr


def without_verdict(errors):
    """Lines of standard error without the verdict of all small maps of these tests."""
    return [line for line in errors.splitlines() if "larger than a tenth of the box" not in line]


def interrupted(errors):
    return without_verdict(errors) == ["OccuPy: error: interrupted; nothing incomplete was left"]


# --- no space ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 2000, 100_000, 443_000])
def test_limit_on_file_sizes(limit, folder, tmp_path):
    """A quota: an error for files that do not fit, and no incomplete files; a file of exactly the limit fits."""
    def lower():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ran = run("-i", folder / "map.mrc", *ALL, "--quiet", "--output-dir", tmp_path, preexec_fn=lower)
    one_line(ran)
    assert "file size" in ran.stderr
    assert listing(tmp_path) == {}


PRIVATE = """
mount -t tmpfs -o size={size} tmpfs "$1" || exit 77
shift
"$@"
status=$?
ls -A "$0" >&2
exit $status
"""


def in_private_mount(size, where, *arguments):
    """Run the program with a small disk mounted at `where`; returns output and files on the disk."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    script = PRIVATE.format(size=size)
    privileges = [] if os.geteuid() == 0 else ["--map-root-user"]
    ran = subprocess.run(["unshare", "--mount", *privileges, "sh", "-c", script, where, where, *command(*arguments)],
                         env=environment(), capture_output=True, text=True, timeout=300)
    if ran.returncode == 77 or "unshare" in ran.stderr:
        pytest.skip(f"no private mounts here: {ran.stderr.strip()}")
    return ran


@pytest.mark.parametrize("size", ["300k", *(pytest.param(size, marks=SLOW) for size in ("4k", "1000k", "2400k"))])
def test_disk_full(size, folder, tmp_path):
    """A full disk at any point: one line, and the disk is as empty as before."""
    ran = in_private_mount(size, str(tmp_path), "-i", folder / "map.mrc", *ALL, "--quiet", "--output-dir", tmp_path)
    one_line(ran)
    assert "the disk is full" in ran.stderr


def test_inodes_used_up(folder, tmp_path):
    """An error for disks without space for further files of any size."""
    for inodes in (1, 4):  # none at all, and too few for all outputs
        ran = in_private_mount(f"8m,nr_inodes={inodes}", str(tmp_path), "-i", folder / "map.mrc", *ALL, "--quiet",
                               "--output-dir", tmp_path)
        assert ran.returncode == 1 and "no more files fit on the disk: its inodes are used up" in ran.stderr


def test_disk_that_suffices(folder, tmp_path):
    """The same on a disk with space, to show that the two tests above depend on the disk."""
    ran = in_private_mount("8m", str(tmp_path), "-i", folder / "map.mrc", *ALL, "--quiet", "--output-dir", tmp_path)
    assert ran.returncode == 0 and "scale_map.mrc" in ran.stderr


def test_read_only_file_system(folder, tmp_path):
    script = 'mount -t tmpfs -o size=1m,ro tmpfs "$0" || exit 77; "$@"; exit $?'
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    privileges = [] if os.geteuid() == 0 else ["--map-root-user"]
    ran = subprocess.run(["unshare", "--mount", *privileges, "sh", "-c", script, str(tmp_path),
                          *command("-i", folder / "map.mrc", "--quiet", "--output-dir", tmp_path)],
                         env=environment(), capture_output=True, text=True, timeout=300)
    if ran.returncode == 77 or "unshare" in ran.stderr:
        pytest.skip(f"no private mounts here: {ran.stderr.strip()}")
    one_line(ran)
    assert "read-only" in ran.stderr


# The program with one call replaced, like a file server that fails during the run.
FAULTY = """
import errno, os, shutil, sys
from occupy_jit.__main__ import entry
from occupy_jit.files.output.signals import install_signal_handlers
kind, number, where = sys.argv[1], int(sys.argv[2]), sys.argv[3]
calls = 0
real_open, real_replace = os.open, os.replace
def fault(real):
    def call(*arguments, **more):
        global calls
        if str(arguments[0]).startswith(where):
            calls += 1
            if calls == number:
                if kind == "vanish":
                    shutil.rmtree(where)
                else:
                    raise OSError(getattr(errno, kind), os.strerror(getattr(errno, kind)), arguments[0])
        return real(*arguments, **more)
    return call
if kind.startswith("E") and number > 100:
    number -= 100
    os.replace = fault(real_replace)
else:
    os.open = fault(real_open)
sys.argv = ["OccuPy", *sys.argv[4:]]
sys.exit(entry())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number", "said"), [
    ("vanish", 1, "does not exist"), ("vanish", 3, "does not exist"), ("EIO", 1, "input/output error"),
    ("EIO", 4, "input/output error"), ("EDQUOT", 2, "quota"), ("ESTALE", 3, "does not exist"),
    # the third rename: two files already have final names and are removed again
    ("EIO", 103, "input/output error"), ("ENOSPC", 101, "disk is full")])
def test_file_system_errors_in_the_middle(kind, number, said, folder, tmp_path):
    out = tmp_path / "out"
    ran = subprocess.run([sys.executable, "-c", FAULTY, kind, str(number), str(out), "-i", str(folder / "map.mrc"),
                          *ALL, "--quiet", "--output-dir", str(out)], env=environment(), capture_output=True, text=True,
                         timeout=300)
    one_line(ran)
    assert said in ran.stderr
    assert not out.exists() or listing(out) == {}


def test_a_full_standard_output_does_not_lose_the_results(folder, tmp_path, whole):
    with open("/dev/full", "w") as full:
        ran = subprocess.run(command("-i", folder / "map.mrc", *ALL, "--output-dir", tmp_path), env=environment(),
                             stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert "Traceback" not in ran.stderr
    assert set(listing(tmp_path)) == set(whole) and not check_complete(tmp_path, whole)


# --- signals ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def duration(folder, whole, tmp_path_factory):
    """Duration of a run on this machine, s."""
    start = time.perf_counter()
    run("-i", folder / "map.mrc", *ALL, "--quiet", "--output-dir", tmp_path_factory.mktemp("timed"))
    return time.perf_counter() - start


@pytest.mark.parametrize(("number", "statuses"), [
    # before Python has begun, and while it ends, the system's own answer to the signal is as good: the negative ones
    (signal.SIGTERM, {143, -15}), pytest.param(signal.SIGINT, {130, -2, 1}, marks=SLOW),
    pytest.param(signal.SIGKILL, {-9}, marks=SLOW)])
def test_signals_at_any_moment(number, statuses, folder, whole, duration, tmp_path):
    """No incomplete file has a final name, all files appear together, and no files remain after catchable signals."""
    moments = random.Random(int(number))
    seen, first_message = set(), 0.15 * duration
    for attempt in range(MOMENTS):
        out = tmp_path / str(attempt)
        moment = moments.uniform(0.02, 1.1) * duration
        with subprocess.Popen(command("-i", folder / "map.mrc", *ALL, "--quiet", "--output-dir", out),
                              env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            try:
                child.wait(moment)
            except subprocess.TimeoutExpired:
                child.send_signal(number)
            said, errors = child.communicate(timeout=120)
        where = f"{number.name} after {moment:.3f} of {duration:.3f} s: {errors}"
        assert child.returncode in statuses | {0}, where
        seen.add(child.returncode)
        there = os.listdir(out) if out.exists() else []
        temporaries = check_complete(out, whole) if there else []
        if number != signal.SIGKILL:
            assert not temporaries, where
            assert not there or set(there) == set(whole), where
            if child.returncode in (130, 143) and moment > first_message:
                assert interrupted(errors), where
        if child.returncode == 0:
            assert set(there) == set(whole)
    if MOMENTS > 4:
        assert seen & statuses  # some came in time


READY = """
import os, signal, sys
from occupy_jit.files.maps import writing as maps
from occupy_jit.__main__ import entry
real, calls = maps.write_map, 0
def write_map(path, *arguments, **more):
    global calls
    calls += 1
    done = real(path, *arguments, **more)
    if calls == 3:
        os.kill(os.getpid(), int(number))
    return done
number = sys.argv.pop(1)
maps.write_map = write_map
sys.argv[0] = "OccuPy"
sys.exit(entry())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_signals_between_two_outputs(number, status, folder, tmp_path):
    """A fixed moment: three temporaries are complete, none has its final name."""
    arguments = ["-i", str(folder / "map.mrc"), *ALL, "--quiet", "--output-dir", str(tmp_path)]
    ran = subprocess.run([sys.executable, "-c", READY, str(int(number)), *arguments], env=environment(),
                         capture_output=True, text=True, timeout=300)
    assert ran.returncode == status
    there = os.listdir(tmp_path)
    if number == signal.SIGKILL:
        assert len(there) == 3 and all(name.startswith(".") and name.endswith(".tmp") for name in there)
    else:
        assert interrupted(ran.stderr) and there == []


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=SLOW), signal.SIGINT])
def test_signals_while_kernels_are_compiled(number, folder, tmp_path):
    """A first run, which compiles in a thread, ends immediately and cleanly."""
    with subprocess.Popen(command("-i", folder / "map.mrc", "--quiet", "--output-dir", tmp_path / "out"),
                          env=environment(OCCUPY_CACHE_DIR=str(tmp_path / "cold")), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("cold/*/lock")) and time.monotonic() < deadline:  # of the first kernel
            time.sleep(0.05)
        time.sleep(1)
        child.send_signal(number)
        _, errors = child.communicate(timeout=120)
    assert child.returncode == 128 + number, errors
    assert interrupted(errors)
    assert not (tmp_path / "out").exists()


def test_a_refused_map_does_not_wait_for_the_compiler(folder, tmp_path):
    """The kernels are compiled meanwhile in a thread; the interpreter must not crash over it when it ends."""
    (tmp_path / "text.mrc").write_text("no map")
    ran = run("-i", tmp_path / "text.mrc", env={"OCCUPY_CACHE_DIR": str(tmp_path / "cold")})
    assert ran.returncode == 3 and ran.stderr.count("\n") == 1


# --- unusual environments ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "1000000"])
def test_a_number_of_threads_that_is_none(value, folder, whole, tmp_path):
    ran = run("-i", folder / "map.mrc", *ALL, "--quiet", "--output-dir", tmp_path, env={"NUMBA_NUM_THREADS": value})
    assert ran.returncode == 0, ran.stderr
    told = f"OccuPy: warning: NUMBA_NUM_THREADS={value} is not a number of threads and is ignored\n"
    assert (told in ran.stderr) == (value != "1000000")
    check_complete(tmp_path, whole)


@pytest.mark.parametrize("closed", [*(pytest.param(some, marks=SLOW) for some in (">&-", "<&- >&-")), "<&- >&- 2>&-"])
def test_closed_streams(closed, folder, whole, tmp_path):
    """The run works, and printed text does not end up in its files."""
    script = shlex.join(command("-i", folder / "map.mrc", *ALL, "--output-dir", tmp_path))
    ran = subprocess.run(["sh", "-c", f"{script} {closed}"], env=environment(), capture_output=True, text=True,
                         timeout=300)
    assert ran.returncode == 0 and ran.stdout == "", ran.stderr
    check_complete(tmp_path, whole)
    assert set(os.listdir(tmp_path)) == set(whole)


@pytest.mark.parametrize("more", [[], ["--jobs", "2"]], ids=["here", "processes"])
def test_without_a_place_for_compiled_kernels_it_is_told(more, folder, tmp_path):
    """Output before the work starts, without waiting for it."""
    others = [folder / "map.mrc", tmp_path / "other.mrc"] if more else [folder / "map.mrc"]
    write(tmp_path / "other.mrc", particle())
    with subprocess.Popen(command("-i", *others, *more, "--output-dir", tmp_path), text=True, stdout=subprocess.PIPE,
                          env={**environment(), "OCCUPY_CACHE_DIR": "/proc/none"}) as child:
        lines = []
        for line in child.stdout:
            lines.append(line)
            if "compiling" in line:
                break
        child.terminate()
        child.communicate(timeout=300)
    assert "and so does every run" in lines[-1] and "set OCCUPY_CACHE_DIR" in lines[-1]
    assert "/proc/none" in lines[-1] and "once" not in lines[-1]


# --- parallel runs --------------------------------------------------------------------------------------------


def test_two_runs_at_once(folder, whole, tmp_path):
    """On the same map and on different ones, in one directory: every output is complete and from one run."""
    write(folder / "other.mrc", particle(seed=9))
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(subprocess.Popen(
            command("-i", folder / name, *ALL, "--quiet", "--output-dir", tmp_path), env=environment(),
            stderr=subprocess.PIPE, text=True)) for name in ("map.mrc", "map.mrc", "other.mrc", "map.mrc")]
        said = [child.communicate(timeout=300)[1] for child in children]
    assert [child.returncode for child in children] == [0] * 4 and not any(map(without_verdict, said))
    found = listing(tmp_path)
    assert not [name for name in found if name.startswith(".")]
    assert {name: digest for name, digest in found.items() if name.endswith("map.mrc")} == {
        name: digest for name, digest in whole.items() if name.endswith(".mrc")}
    assert all(mrcfile.validate(tmp_path / name) for name in found if name.endswith("other.mrc"))
    assert sum(name.endswith("other.mrc") for name in found) == sum(name.endswith(".mrc") for name in whole)
    for name in ("map", "other"):
        with open(tmp_path / f"occupy_{name}.json") as file:
            record = json.load(file)
        for entry in record["outputs"]:
            if entry["path"].endswith(".mrc"):
                assert entry["sha256"] == found[os.path.basename(entry["path"])]


def test_a_map_that_another_process_holds_open(folder, tmp_path):
    with open(folder / "map.mrc", "r+b"), open(folder / "map.mrc", "rb"):
        assert run("-i", folder / "map.mrc", "--quiet", "--output-dir", tmp_path).returncode == 0


# --- memory -----------------------------------------------------------------------------------------------------


def test_not_enough_memory_is_told_before_it_starts(folder, tmp_path):
    """A map with an edge of 1024 voxels (a sparse file) with 3 GB of address space."""
    def lower():
        resource.setrlimit(resource.RLIMIT_AS, (3 * 10 ** 9, 3 * 10 ** 9))

    with open(folder / "map.mrc", "rb") as file:
        start = bytearray(file.read(1024))
    for offset in (0, 4, 8, 28, 32, 36):
        start[offset:offset + 4] = struct.pack("<i", 1024)
    start[40:52] = struct.pack("<3f", *[1024 * 1.5] * 3)
    (tmp_path / "huge.mrc").write_bytes(start)
    os.truncate(tmp_path / "huge.mrc", 1024 + 4 * 1024 ** 3)
    ran = run("-i", tmp_path / "huge.mrc", "--output-dir", tmp_path / "out", preexec_fn=lower)
    one_line(ran)
    assert "GB of memory" in ran.stderr and "are available" in ran.stderr
    assert not (tmp_path / "out").exists()
    ran = run("-i", tmp_path / "huge.mrc", "--output-dir", tmp_path / "out", "--dry-run", preexec_fn=lower)
    told = float(re.search(r"memory: about (\d+) MB", ran.stdout)[1]) * 1e6
    assert ran.returncode == 0 and 4 * 1024 ** 3 < told < 3 * 4 * 1024 ** 3  # the map gives way to the confidence


# --- damaged input ----------------------------------------------------------------------------------------------


def mutated(seed, content):
    """One damaged file: the content, changed in one to three places, perhaps compressed and damaged again."""
    choose = random.Random(seed)
    content = bytearray(content)
    integers = [0, 1, -1, 2, 3, 4, 6, 7, 8, 11, 12, 16, 80, 101, 255, 400, 1024, 65536, 2 ** 24, 2 ** 31 - 1, -2 ** 31]
    floats = [0.0, -0.0, 1.0, -1.0, 89.0, 90.0, 1e-45, 1e-30, 1e30, 3e38, float("inf"), -float("inf"), float("nan")]
    for _ in range(choose.randint(1, 3)):
        kind = choose.choice(["field", "field", "field", "bytes", "values", "cut", "longer", "swap"])
        if kind == "field":
            offset, form = choose.choice(LEAVES)
            value = choose.choice(integers if form == "i" else floats) if choose.random() < 0.7 else (
                choose.randint(0, 40) if form == "i" else choose.uniform(0, 500))
            content[offset:offset + 4] = struct.pack("<" + form, value)
        elif kind == "bytes":
            at = choose.randrange(1024)
            content[at:at + 4] = choose.randbytes(choose.randint(1, 12))[:4]
        elif kind == "values" and len(content) > 1100:
            at = 4 * choose.randrange(256, len(content) // 4)
            content[at:at + 4] = struct.pack("<f", choose.choice(floats))
        elif kind == "cut":
            del content[choose.randrange(len(content) + 1):]
        elif kind == "longer":
            content += choose.randbytes(choose.randint(1, 2000))
        elif kind == "swap":
            words = len(content) // 4
            content[:4 * words] = np.frombuffer(bytes(content[:4 * words]), "<u4").byteswap().tobytes()
    if choose.random() < 0.25:
        content = bytearray(gzip.compress(bytes(content), 1))
        if choose.random() < 0.7 and len(content) > 20:
            at = choose.randrange(len(content))
            content[at:at + 3] = choose.randbytes(3)
        if choose.random() < 0.3:
            del content[choose.randrange(len(content)):]
    return bytes(content)


@pytest.mark.slow
def test_damaged_files_end_in_status_0_or_3(tmp_path, monkeypatch):
    """The whole command in this process: no traceback, no warning of a library, no output for a refused file."""
    monkeypatch.chdir(tmp_path)
    write("whole.mrc", particle(16, 0.2)[:, :14, :13])
    with open("whole.mrc", "rb") as file:
        content = file.read()
    done = 0
    for example in range(EXAMPLES):
        seed = SEED * 1_000_000 + example
        with open("map.mrc", "wb") as file:
            file.write(mutated(seed, content))
        out, err = io.StringIO(), io.StringIO()
        options = [[], ["--amplify"], ["--amplify", "--save-all-maps", "--exclude-solvent"], ["--voxel-size", "2"]]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            status = cli_main.main(["-i", "map.mrc", "--quiet", "--output-dir", "out", *options[example % 4]])
        said = err.getvalue()
        assert status in (0, 3), (seed, status, said)
        assert "Traceback" not in said and "internal error" not in said, (seed, said)
        assert not [name for name in os.listdir() if name not in ("whole.mrc", "map.mrc", "out")], seed
        if status == 3:
            assert said.splitlines()[-1].startswith("OccuPy: error: ") or said.count("\n") == 2, (seed, said)
            assert not os.path.exists("out"), seed
        else:
            done += 1
            scale = values("out/scale_map.mrc", 2.0)
            assert np.isfinite(scale).all() and scale.min() >= 0 and scale.max() <= 1, seed
            shutil.rmtree("out")
    assert 0 < done < EXAMPLES


# --- many maps in one process ----------------------------------------------------------------------------------------


def resident_bytes():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_memory_stays_flat(tmp_path, monkeypatch):
    """Many maps through the Python interface, 0.44 MB each, to detect a leak of one volume per map."""
    import occupy_jit
    from occupy_jit.runs.one_map.run import run_one
    from occupy_jit.runs.plan.plan import plan_map
    from occupy_jit.settings import Options

    monkeypatch.chdir(tmp_path)
    path = write("map.mrc", particle())
    settings = occupy_jit.Settings(amplify=True)
    options = Options(output_dir="out", save_all_maps=True)

    def once():
        result = occupy_jit.estimate(occupy_jit.read_map(path), settings)
        assert result.scale.max() == 1
        assert run_one(plan_map(path, settings, options)).status == 0

    for _ in range(10):  # the allocator's own stores fill
        once()
    descriptors = len(os.listdir("/proc/self/fd"))
    before = resident_bytes()
    for _ in range(SOAK):
        once()
    grown = resident_bytes() - before
    # less than a tenth of a volume for every map, and some slack for the allocator
    assert grown < SOAK * 0.1 * os.path.getsize(path) + 4e6, f"grown by {grown / 1e6:.1f} MB over {SOAK} maps"
    assert len(os.listdir("/proc/self/fd")) <= descriptors
