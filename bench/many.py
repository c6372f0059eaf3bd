"""Many small maps: local processes against a single one, and a dask cluster against processes."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.measure import ROOT, VOXEL_SIZE, Row, compare, particle, run_ours

# Goals: least times faster with two processes; most times slower on dask.
PROCESSES_GOAL, DASK_GOAL = 1.6, 1.15


def _maps(folder, number, edge):
    """A directory of maps with different noise."""
    import mrcfile

    here = Path(folder) / "maps"
    here.mkdir()
    volume = particle(edge)
    spread = float(volume.std())
    for index in range(number):
        noise = np.random.default_rng(index).standard_normal(volume.shape, dtype=np.float32)
        with mrcfile.new(here / f"v{index:03d}.mrc") as mrc:
            mrc.set_data(volume + np.float32(0.05 * spread) * noise)
            mrc.voxel_size = VOXEL_SIZE
    return here


@contextlib.contextmanager
def _dask(folder):
    """Scheduler file of a cluster with two workers, None without dask."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        yield None
        return
    file = Path(folder) / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    children = [subprocess.Popen([sys.executable, "-m", "dask", *words, "--scheduler-file", str(file)], cwd=folder,
                                 env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for words in (["scheduler", "--port", "0", "--dashboard-address", ":0"],
                              ["worker", "--nworkers", "2", "--nthreads", "1", "--no-dashboard"])]
    try:
        while not file.exists():
            time.sleep(0.1)
        yield file
    finally:
        for child in reversed(children):
            child.terminate()
            child.wait()


def rows(options):
    """Rows of the table."""
    number, edge = (6, 33) if options.quick else (400, 97)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, _dask(folder) as scheduler:
        maps = _maps(folder, number, edge)

        def took(*how):
            with tempfile.TemporaryDirectory(dir=options.folder) as out:
                return run_ours(["-i", maps, "--output-dir", out, "--quiet", *how], folder)[0]

        ways = {"one": ["--jobs", "1"], "two": ["--jobs", "2"]}
        if scheduler is not None:
            ways["dask"] = ["--cluster", scheduler]
        times = {name: [] for name in ways}
        for _ in range(options.repeats + 1):
            for name, how in ways.items():
                times[name].append(took(*how))
    times = {name: those[1:] for name, those in times.items()}  # the first loads kernels into the workers
    what = f"{number} maps of {edge}^3"
    yield compare(f"{what}, --jobs 2", times["two"], "--jobs 1", times["one"], PROCESSES_GOAL, times_faster=True)
    if scheduler is None:
        yield Row(f"{what}, two dask workers", times["two"][0][0], "dask")
        return
    without_cpu = [[(wall, 0.0) for wall, _ in times[name]] for name in ("dask", "two")]  # workers are no children
    yield compare(f"{what}, two dask workers", without_cpu[0], "--jobs 2", without_cpu[1], DASK_GOAL)
