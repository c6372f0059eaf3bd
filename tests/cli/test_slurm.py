"""A real SLURM on this machine: interrupted and resubmitted arrays, and dask workers as its jobs."""

import csv
import os
import sys
import time

import pytest

from tests import one_node_slurm
from tests.command import ROOT, SECONDS, environment, in_time, listing, particle, run, warm_cache, write

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(one_node_slurm.why_not() is not None, reason=str(one_node_slurm.why_not())),
]

# As in the manual page, but for the way the program is called.
SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=occupy
#SBATCH --array=1-3
#SBATCH --cpus-per-task=1
#SBATCH --time=00:10:00
{python} -m occupy_jit -i @maps.txt --array --resume --output-dir {out}
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with one_node_slurm.started(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """A list of maps, one of them invalid, and the results of a serial run."""
    here = tmp_path_factory.mktemp("maps")
    names = []
    for number in range(7):
        names.append(f"m{number}.mrc")
        write(here / names[-1], particle(seed=number))
    names.insert(3, "text.mrc")
    (here / "text.mrc").write_text("no map")
    (here / "maps.txt").write_text("\n".join(names) + "\n")
    assert run("-i", "@maps.txt", "--output-dir", "one", cwd=here).returncode == 3
    return here


def _script(maps, out):
    path = maps / f"{out}.sh"
    path.write_text(SCRIPT.format(python=sys.executable, out=out))
    return path.name


def _environment():
    return {"PYTHONPATH": ROOT, "OCCUPY_CACHE_DIR": warm_cache()}


def _scales(folder):
    return {name: digest for name, digest in listing(folder).items() if name.startswith("scale_")}


def test_an_array_and_its_tables(slurm, maps):
    job = slurm.submit(_script(maps, "array"), cwd=maps, env=_environment())
    slurm.wait_for(job)
    logs = {path.name: path.read_text() for path in maps.glob(f"slurm-{job}_*.out")}
    assert len(logs) == 3 and "no map" not in "".join(logs.values())
    assert sum("text.mrc" in text for text in logs.values()) == 1
    ran = run("--collect", "array", cwd=maps)
    assert ran.returncode == 3 and "7 of 8 maps done" in ran.stdout, ran
    assert _scales(maps / "array") == _scales(maps / "one")
    assert (maps / "array" / "occupy_summary.csv").read_text() == (maps / "one" / "occupy_summary.csv").read_text()


@pytest.mark.slow
def test_an_array_that_was_cut_short_is_submitted_again(slurm, maps):
    """At the time limit SLURM sends the same signals as scancel: SIGTERM, and SIGKILL some seconds later."""
    @in_time
    def out(attempt):
        out = maps / f"cut{attempt}"
        job = slurm.submit(_script(maps, out.name), cwd=maps, env=_environment())
        deadline = time.monotonic() + SECONDS
        while not list(out.glob("scale_*.mrc")) and time.monotonic() < deadline:
            time.sleep(0.02)
        slurm.run("scancel", job)
        slurm.wait_for(job)
        return out if len(_scales(out)) < 7 else None

    assert not [name for name in os.listdir(out) if name.startswith(".")], "nothing incomplete is left"
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("occupy_m*.json")}
    ran = run("--collect", out.name, cwd=maps)
    assert ran.returncode in (1, 3) and "submit the array again" in ran.stderr, ran
    job = slurm.submit(_script(maps, out.name), cwd=maps, env=_environment())
    slurm.wait_for(job)
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before, "what was finished is left alone"
    ran = run("--collect", out.name, cwd=maps)
    assert ran.returncode == 3 and "7 of 8 maps done" in ran.stdout, ran
    assert _scales(out) == _scales(maps / "one")
    with open(out / "occupy_summary.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done"] * 3 + ["failed"] + ["done"] * 4


@pytest.mark.slow
def test_dask_workers_that_are_jobs(slurm, maps):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    (maps / "dask").mkdir()
    (maps / "dask" / "jobqueue.yaml").write_text(
        "jobqueue:\n  slurm:\n    cores: 1\n    memory: 1GB\n    walltime: '00:10:00'\n"
        f"    log-directory: {maps / 'dask'}\n")
    env = {**slurm.environment, "DASK_CONFIG": str(maps / "dask"), **_environment()}
    ran = run("-i", "@maps.txt", "--output-dir", "jobs", "--cluster", "slurm", "--cluster-jobs", "2", cwd=maps, env=env)
    assert ran.returncode == 3 and "submitted 2 jobs" in ran.stdout and "7 of 8 maps done" in ran.stdout, ran
    assert "Traceback" not in ran.stderr
    assert _scales(maps / "jobs") == _scales(maps / "one")
    deadline = time.monotonic() + 60
    while slurm.run("squeue", "-h").stdout.strip() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert slurm.run("squeue", "-h").stdout.strip() == "", "no job goes on when the maps are done"
    (maps / "dask" / "jobqueue.yaml").write_text(
        "jobqueue:\n  slurm:\n    cores: 1\n    memory: 1GB\n    queue: none\n")
    ran = run("-i", "@maps.txt", "--output-dir", "no", "--cluster", "slurm", "--cluster-jobs", "2", cwd=maps, env=env)
    assert ran.returncode == 1 and "SLURM refuses the jobs" in ran.stderr and "Traceback" not in ran.stderr, ran


@pytest.mark.slow
def test_states_by_dask_workers_that_are_jobs(slurm, tmp_path):
    """The same bits as without them."""
    for package in ("dask_jobqueue", "gemmi", "scipy"):
        pytest.importorskip(package)
    from tests.cli.test_model import written
    from tests.cli.test_states import STATES
    from tests.estimation.test_model_occupancy import VOXEL, density, structure

    atoms = structure()
    for number in range(10):  # two pieces of work
        write(tmp_path / f"v{number}.mrc", density(atoms, STATES[number % 3], noise=0.3, seed=number), VOXEL)
    written(atoms, tmp_path / "model.cif")
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "jobqueue.yaml").write_text(
        "jobqueue:\n  slurm:\n    cores: 1\n    memory: 1GB\n    walltime: '00:10:00'\n"
        f"    log-directory: {tmp_path / 'dask'}\n")
    env = {**slurm.environment, "DASK_CONFIG": str(tmp_path / "dask"), **_environment()}
    words = ("-i", *(f"v{number}.mrc" for number in range(10)), "--model", "model.cif", "--states")
    ran = run(*words, "--output-dir", "jobs", "--cluster", "slurm", "--cluster-jobs", "2", cwd=tmp_path, env=env)
    assert ran.returncode == 0 and "submitted 2 jobs" in ran.stdout and "Traceback" not in ran.stderr, ran
    assert run(*words, "--output-dir", "one", cwd=tmp_path).returncode == 0
    for name in ("states.csv", "states_parts.csv", "occupancies.csv", "errors.csv", "mean_all.mrc"):
        assert (tmp_path / "jobs" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name


def test_outside_of_an_array(maps):
    clean = {name: "" for name in environment() if name.startswith("SLURM_ARRAY")}
    ran = run("-i", "@maps.txt", "--array", cwd=maps, env=clean)
    assert ran.returncode == 2 and "not a task of a SLURM array" in ran.stderr
