"""The whole command in its own processes: time, start-up, memory, and the first run."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.measure import Row, compare, map_of, run, run_ours

PEER = "original program"
# Goal for times faster than the original, by edge of the map; other edges have the goal of the next smaller.
GOALS = {0: 8, 384: 14, 512: 18}
# Memory limit of a run: bytes, plus a multiple of the map.
BASE_MEMORY = 150e6


def _ours(path, options, *more, **variables):
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        return run_ours(["-i", path, "--threads", options.threads, *more], folder, **variables)


def _original(path, options):
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        return run([*options.original, "-i", str(path), "--occupancy", "--max-box", "2048"], folder)


def _scale(folder):
    """The scale map in a folder of outputs."""
    import mrcfile

    (path,) = Path(folder).glob("scale_*.mrc")
    with mrcfile.open(path, permissive=True) as mrc:
        return np.array(mrc.data, np.float32)


def _correlation(path, options):
    """Correlation of the scale maps of both programs; below 1, as the methods differ."""
    with tempfile.TemporaryDirectory(dir=options.folder) as a, tempfile.TemporaryDirectory(dir=options.folder) as b:
        run_ours(["-i", path], a)
        run([*options.original, "-i", str(path), "--occupancy", "--max-box", "2048"], b)
        ours, theirs = _scale(a).ravel(), _scale(b).ravel()
    return f"correlation {np.corrcoef(ours, theirs)[0, 1]:.2f}"


def _against_original(what, path, options, repeats, goal, times_faster):
    _ours(path, options)
    if options.original is None:
        return Row(what, statistics.median(_ours(path, options)[0][0] for _ in range(repeats)), PEER, goal=goal,
                   times_faster=times_faster)
    agrees = _correlation(path, options)
    ours, peers = [], []
    for _ in range(repeats):
        peers.append(_original(path, options)[0])
        ours.append(_ours(path, options)[0])
    return compare(what, ours, PEER, peers, goal, times_faster, agrees)


def rows(options):
    """The whole command with kernels cached, beside the original."""
    if options.map is not None:
        yield _against_original(f"whole command, {options.map.name}", options.map, options, options.repeats, GOALS[0],
                                True)
    for n in (32,) if options.quick else options.sizes:
        goal = GOALS[max(edge for edge in GOALS if edge <= n)]
        # The original takes minutes for large maps.
        repeats = min(options.repeats, 5 if n < 300 else 3)
        yield _against_original(f"whole command, {n}^3", map_of(n, options.folder), options, repeats, goal, True)


def start_up(options):
    """A map so small that start-up dominates."""
    n = 24 if options.quick else 64
    yield _against_original(f"whole command, {n}^3 (all start-up)", map_of(n, options.folder), options,
                            options.repeats, 0.7, False)


def messages(options):
    """--help and --version, beside starting Python."""
    for argument in ("--help", "--version"):
        times = [], []
        for _ in range(1 + 2 * options.repeats):
            times[0].append(run_ours([argument], options.folder)[0])
            times[1].append(run([sys.executable, "-c", "import argparse"], options.folder)[0])
        yield compare(f"OccuPy {argument}", times[0][1:], 'python -c "import argparse"', times[1][1:], 3.0)


def memory(options):
    """Peak memory of the whole command beside its limit."""
    for n in (32,) if options.quick else sorted({256, *options.sizes}):
        path = map_of(n, options.folder)
        for times, more in ((2.2, ()), (4.6, ("--amplify",)), (3.6, ("--amplify", "--plain-factors"))):
            allowed = BASE_MEMORY + times * 4 * n**3
            used = max(_ours(path, options, *more)[1] for _ in range(min(options.repeats, 3)))
            yield Row(" ".join(["peak memory", f"{n}^3", *more]), used / 1e6, f"150 MB + {times:g} x map",
                      allowed / 1e6, used / allowed, 1.0, unit="MB")


def first(options):
    """The first run, which compiles all kernels."""
    path = map_of(24 if options.quick else 64, options.folder)
    with tempfile.TemporaryDirectory(dir=options.folder) as cache:
        (elapsed, _), _ = _ours(path, options, OCCUPY_CACHE_DIR=cache)
    yield Row("first run ever (compiles)", elapsed, "20 s", 20.0, elapsed / 20.0, 1.0)


def version_of(command):
    """Version of the original, on one line."""
    try:
        said = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "not to be started"
    return " ".join((said.stdout + said.stderr).split())[:60]
