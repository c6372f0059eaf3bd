"""Many maps through the command: in processes, on a dask cluster, interrupted and resumed, downloaded."""

import contextlib
import csv
import gzip
import os
import signal
import subprocess
import time

import pytest

from tests.command import SECONDS, command, environment, in_time, listing, particle, run, troubles, write
from tests.faulty_server import FaultyServer
from tests.runs.test_dask_workers import Cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """A directory of maps, one of them invalid, and the results of a serial run."""
    here = tmp_path_factory.mktemp("maps")
    (here / "in").mkdir()
    for number in range(6):
        write(here / "in" / f"m{number}.mrc", particle(seed=number))
    (here / "in" / "text.mrc").write_text("no map")
    ran = run("-i", "in", "--output-dir", "one", cwd=here)
    assert ran.returncode == 3, ran.stderr
    return here


def _maps_and_tables(folder):
    """Digests of outputs that must not depend on the way of running."""
    return {name: digest for name, digest in listing(folder).items() if name.endswith((".mrc", ".csv"))}


def _table(folder, name="occupy_summary.csv"):
    with open(folder / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _begin(*arguments, cwd, **env):
    return subprocess.Popen(command(*arguments), cwd=cwd, env=environment(**env), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def _wait_for(condition, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def _scales(folder):
    return sorted(folder.glob("scale_*.mrc"))


def test_the_table_of_all_maps(maps):
    rows = _table(maps / "one")
    assert [row["name"] for row in rows] == [f"m{k}" for k in range(6)] + ["text"]
    assert [row["status"] for row in rows] == ["done"] * 6 + ["failed"]
    assert "is not an MRC map" in rows[-1]["message"] and rows[-1]["exit_status"] == "3"
    assert all(float(row["full_scale"]) > 0 and float(row["occupied_volume_angstrom3"]) > 0 for row in rows[:6])
    assert not (maps / "one" / "occupy_summary_parts.csv").exists()


def test_processes_give_the_same_bits(maps):
    ran = run("-i", "in", "--output-dir", "jobs", "--jobs", "2", cwd=maps)
    assert ran.returncode == 3 and "6 of 7 maps done" in ran.stdout
    assert len(troubles(ran)) == 1 and "text.mrc" in troubles(ran)[0]
    assert "OccuPy: warning: 6 maps (in/m0.mrc, in/m1.mrc, in/m2.mrc and 3 more): the ball (7" in ran.stderr
    assert sum(line.startswith("[") for line in ran.stdout.splitlines()) == 6, "a line for every map"
    assert _maps_and_tables(maps / "jobs") == _maps_and_tables(maps / "one")


def test_a_list_and_occupancies_of_masks_as_columns(maps):
    write(maps / "upper half.mrc", (particle(noise=0) > 0.1).astype("f4"))
    (maps / "list.txt").write_text("in/m1.mrc\n# not this one\nin/m0.mrc\n")
    ran = run("-i", "@list.txt", "--output-dir", "listed", "--target-mask", "upper half.mrc", "--jobs", "2", cwd=maps)
    assert ran.returncode == 0, ran.stderr
    rows, parts = _table(maps / "listed"), _table(maps / "listed", "occupy_summary_parts.csv")
    assert [row["name"] for row in rows] == ["m1", "m0"] == [row["name"] for row in parts]
    for row, part in zip(rows, parts, strict=True):
        assert part["part"] == "upper half" and part["kind"] == "mask"
        assert 0.3 < float(part["occupancy"]) < 1.1 and part["occupancy"] == row["occupancy_upper_half"]
        assert part["error"] == row["error_upper_half"]


def test_a_killed_process_costs_nothing_but_time(maps):
    """Like the kernel if memory runs out."""
    @in_time
    def errors(attempt):
        out = maps / f"killed{attempt}"
        with _begin("-i", "in", "--output-dir", out.name, "--jobs", "2", cwd=maps) as parent:
            _wait_for(lambda: _scales(out))
            workers = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_worker(pid, parent.pid)]
            with contextlib.suppress(ProcessLookupError):
                os.kill(max(workers, default=2**30), signal.SIGKILL)
            errors = parent.communicate(timeout=SECONDS)[1]
        assert parent.returncode == 3, errors
        assert _maps_and_tables(out) == _maps_and_tables(maps / "one")
        return errors if "died during task" in errors else None

    assert "it is tried once more" in errors
    assert sum("larger than a tenth" not in line for line in errors.splitlines()) == 2


def _is_worker(pid, parent):
    try:
        with open(f"/proc/{pid}/stat") as file:
            is_child = file.read().rpartition(")")[2].split()[1] == str(parent)
        with open(f"/proc/{pid}/cmdline") as file:
            return is_child and "spawn_main" in file.read()
    except OSError:
        return False


@pytest.mark.parametrize("more", [[], ["--jobs", "2"]], ids=["here", "processes"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_resumed_is_as_if_never_interrupted(maps, more, signum):
    @in_time
    def out(attempt):
        out = maps / f"resumed{len(more)}{signum}{attempt}"
        with _begin("-i", "in", "--output-dir", out.name, *more, cwd=maps) as child:
            _wait_for(lambda: _scales(out))
            child.send_signal(signum)
            errors = child.communicate(timeout=SECONDS)[1]  # of its processes, too: they have the same pipes
        if len(_finished(out)) == 6:
            return None
        assert child.returncode == 128 + signum and "interrupted" in errors and "Traceback" not in errors
        return out

    assert not list(out.glob(".*")), "nothing incomplete is left"
    before = {path.name: path.stat().st_mtime_ns for path in _finished(out)}
    ran = run("-i", "in", "--output-dir", out.name, "--resume", *more, cwd=maps)
    assert ran.returncode == 3 and f"{len(before)} of 6 maps are finished already" in ran.stdout
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before, "what was finished is left alone"
    assert _maps_and_tables(out) == _maps_and_tables(maps / "one")


def _finished(out):
    """Scales with a record."""
    return [path for path in _scales(out)
            if (out / path.name.replace("scale_", "occupy_").replace(".mrc", ".json")).exists()]


@pytest.mark.slow
def test_what_makes_a_finished_map_unfinished(maps):
    def again(*more):
        ran = run("-i", "in/a.mrc", "in/b.mrc", "--output-dir", "out", "--resume", *more, cwd=here)
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout.split(" of 2 maps are finished")[0].split()[-1])

    here = maps / "changes"
    (here / "in").mkdir(parents=True)
    mask = write(here / "mask.mrc", (particle(noise=0) > 0.1).astype("f4"))
    for name, seed in (("a", 1), ("b", 2)):
        write(here / "in" / f"{name}.mrc", particle(seed=seed))
    assert again() == 0
    assert again() == 2
    assert again("--threads", "1", "--quiet", "--verbose") == 2, "none of these changes a result"
    assert again("--amplify") == 0, "another setting"
    assert again("--amplify") == 2
    assert again("--amplify", "--target-mask", "mask.mrc") == 0, "another question"
    assert again("--amplify", "--target-mask", mask) == 2, "the same mask by another name"
    write(here / "mask.mrc", (particle(noise=0) > 0.2).astype("f4"))
    assert again("--amplify", "--target-mask", "mask.mrc") == 0, "another mask of the same name"
    os.utime(here / "in" / "a.mrc")
    assert again("--amplify", "--target-mask", "mask.mrc") == 2, "touched, but with the same checksum"
    write(here / "in" / "a.mrc", particle(seed=9))
    assert again("--amplify", "--target-mask", "mask.mrc") == 1, "another map of the same name and size"
    for changed in (here / "in" / "a.mrc", here / "out" / "scale_b.mrc"):
        before = changed.stat()
        write(changed, particle(seed=10))
        os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert changed.stat().st_size == before.st_size
        assert again("--amplify", "--target-mask", "mask.mrc") == 1, "another file of the same size and time"
    (here / "out" / "scale_b.mrc").unlink()
    assert again("--amplify", "--target-mask", "mask.mrc") == 1, "an output is gone"
    with open(here / "out" / "scale_b.mrc", "r+b") as file:
        file.seek(5000)
        file.write(b"\0\1\2\3")
    assert again("--amplify", "--target-mask", "mask.mrc") == 1, "an output was changed"
    (here / "out" / "occupy_a.json").write_text("{")
    assert again("--amplify", "--target-mask", "mask.mrc") == 1, "a damaged record"


def test_more_at_once_than_memory_is_told_before(maps):
    import resource

    def little_memory():
        resource.setrlimit(resource.RLIMIT_AS, (700_000_000, 700_000_000))

    six = [f"in/m{number}.mrc" for number in range(6)]
    ran = subprocess.run(command("-i", *six, "--jobs", "6", "--output-dir", "no"), cwd=maps, capture_output=True,
                         env=environment(OPENBLAS_NUM_THREADS="1"), text=True, preexec_fn=little_memory,
                         timeout=SECONDS)
    assert ran.returncode == 2 and "6 maps at once need about" in ran.stderr and "at once would fit" in ran.stderr
    assert not _scales(maps / "no")


@pytest.mark.parametrize("names, words", [
    (["in/summary.mrc", "in/m0.mrc"], "table of all maps"),
    (["in/m0.mrc", "other/m0.mrc"], "would both write"),
    (["empty"], "no map in this directory"),
    (["@nowhere"], "no such file"),
])
def test_refused_before_anything_is_written(maps, names, words):
    for folder in ("other", "empty"):
        (maps / folder).mkdir(exist_ok=True)
    write(maps / "other" / "m0.mrc", particle())
    (maps / "in" / "summary.mrc").write_bytes((maps / "in" / "m0.mrc").read_bytes())
    try:
        ran = run("-i", *names, "--output-dir", "refused", cwd=maps)
    finally:
        (maps / "in" / "summary.mrc").unlink()
    assert ran.returncode in (2, 3) and words in ran.stderr and ran.stderr.count("\n") == 1
    assert not (maps / "refused").exists()


# dask ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_gives_the_same_bits(maps):
    pytest.importorskip("distributed", reason="dask is not installed")
    place = maps / "dask"
    place.mkdir()
    cluster = Cluster(place)
    try:
        workers = [cluster.worker(**environment()) for _ in range(2)]
        with _begin("-i", "in", "--output-dir", "dasked", "--cluster", cluster.file, cwd=maps) as child:
            _wait_for(lambda: _scales(maps / "dasked"))
            workers[0].kill()
            said, errors = child.communicate(timeout=SECONDS)
        assert child.returncode == 3, errors
        assert "6 of 7 maps done" in said
        found, wanted = _maps_and_tables(maps / "dasked"), _maps_and_tables(maps / "one")
        # names in the table are absolute, as a worker has another directory
        assert {k: v for k, v in found.items() if k.endswith(".mrc")} == {
            k: v for k, v in wanted.items() if k.endswith(".mrc")}
        assert [name for name in os.listdir(maps / "dasked") if "probe" in name] == []

        @in_time
        def out(attempt):
            out = maps / f"lost{attempt}"
            with _begin("-i", "in", "--output-dir", out.name, "--cluster", cluster.file, cwd=maps) as child:
                _wait_for(lambda: _scales(out))
                workers[1].send_signal(signal.SIGSTOP)  # and what it does cannot be done before the scheduler is gone
                early = len(_scales(out)) < 6
                if early:
                    cluster.scheduler.kill()
                workers[1].send_signal(signal.SIGCONT)
                errors = child.communicate(timeout=SECONDS)[1]
            if early:
                assert child.returncode == 1 and "the dask scheduler is gone" in errors and "Traceback" not in errors
            return out if early else None

        there = [row["name"] for row in _table(out) if row["status"] == "done"]
        # what a worker has written stays, whether or not word of it came through in time
        assert len(there) < 6 and all((out / f"scale_{name}.mrc").exists() for name in there)
        assert _scales(out)
    finally:
        cluster.close()


# EMDB ----------------------------------------------------------------------------------------------------------------


def _mirror(server, maps):
    with open(maps / "in" / "m0.mrc", "rb") as file:
        server.files["/structures/EMD-4321/map/emd_4321.map.gz"] = gzip.compress(file.read())
    server.files["/structures/EMD-4321/header/emd-4321.xml"] = (
        b"<emd><title>Made of &lt;b&gt;</title><resolution>3.21</resolution>"
        b"<contour primary='true'><level>0.0456</level></contour></emd>")
    return {"OCCUPY_EMDB_URL": server.url, "OCCUPY_EMDB_DIR": str(maps / "kept"), "http_proxy": "", "all_proxy": ""}


@pytest.mark.slow
def test_an_entry_of_the_emdb(maps, tmp_path):
    with FaultyServer() as server:
        env = _mirror(server, maps)
        server.script["/structures/EMD-4321/map/emd_4321.map.gz"] = [("cut", 100_000), ("status", 503)]
        ran = run("--emdb", "EMD-4321", "--report", cwd=tmp_path, env=env)
        assert ran.returncode == 0, ran.stderr
        html = (tmp_path / "report_emd_4321.html").read_text()
        assert "3.21" in html and "0.0456" in html and "Made of &lt;b&gt;" in html and "Made of <b>" not in html
        assert {"scale_emd_4321.mrc", "occupy_emd_4321.json"} <= set(os.listdir(tmp_path))
        asked = len(server.requests)
        assert run("--emdb", "4321", "--output-dir", "again", cwd=tmp_path, env=env).returncode == 0
        assert len(server.requests) == asked, "the second run fetches nothing"
        ran = run("--emdb", "99999", "--output-dir", "no", cwd=tmp_path, env=env)
        assert ran.returncode == 3 and "EMD-99999" in ran.stderr and ran.stderr.count("\n") == 1
        for half in (1, 2):
            asked = f"/structures/EMD-4321/other/emd_4321_half_map_{half}.map.gz"
            server.files[asked] = gzip.compress((maps / "in" / f"m{half}.mrc").read_bytes())
        ran = run("--emdb", "4321", "--half-maps", "auto", "--output-dir", "halves", cwd=tmp_path, env=env)
        assert ran.returncode == 0, ran.stderr  # two maps of one particle
        assert {"scale_emd_4321_half_map_1.mrc", "sd_emd_4321_half_map_1.mrc"} <= set(os.listdir(tmp_path / "halves"))
        assert {f"emd_4321_half_map_{half}.map.gz" for half in (1, 2)} <= set(os.listdir(maps / "kept"))
    ran = run("--emdb", "99999", "--output-dir", "no", cwd=tmp_path, env=env)
    assert ran.returncode == 1 and "no connection" in ran.stderr and str(maps / "kept") in ran.stderr
    for words in (["--emdb", "x"], ["--emdb", "4321", "--emdb-dir", ""]):
        ran = run(*words, cwd=tmp_path, env=env)
        assert ran.returncode == 2 and ran.stderr.count("\n") == 1
    assert not (tmp_path / "no").exists()
    assert run("--emdb", "4321", cwd=tmp_path, env={**env, "OCCUPY_EMDB_URL": "http://example.org"}).returncode == 2


def test_compressed_maps_on_one_scale_are_shown_in_their_uncompressed_copies(maps, tmp_path):
    for number in (0, 1):
        (tmp_path / f"m{number}.mrc.gz").write_bytes(gzip.compress((maps / "in" / f"m{number}.mrc").read_bytes()))
    ran = run("-i", "m0.mrc.gz", "m1.mrc.gz", "--common-scale", "--output-dir", "out", "--quiet", cwd=tmp_path)
    assert ran.returncode == 0 and ran.stdout == "" and troubles(ran) == [], ran.stderr
    script = next((tmp_path / "out").glob("chimX_*.cxc")).read_text()
    for number in (0, 1):
        assert f'open "./map_m{number}.map"' in script
        assert (tmp_path / "out" / f"map_m{number}.map").exists()
