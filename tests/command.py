"""The whole command as a process, for tests: small maps, and a cache of compiled kernels."""

import contextlib
import functools
import hashlib
import io
import os
import subprocess
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEMO = os.path.join(ROOT, "occupy_jit", "demo", "emd_11007_demo.mrc")
SECONDS = 300  # a guard against a hang, not a measurement


@functools.cache
def warm_cache():
    """Directory with the compiled kernels, from the environment (tests/conftest.py), filled."""
    directory = os.environ["OCCUPY_CACHE_DIR"]
    subprocess.run([sys.executable, "-m", "occupy_jit", "--warm-up", "--quiet"], check=True, timeout=3 * SECONDS,
                   env={**os.environ, "OCCUPY_CACHE_DIR": directory, "PYTHONPATH": ROOT})
    return directory


def environment(**more):
    """Environment of a child: the tree under test, kernels from the shared cache."""
    return {**os.environ, "PYTHONPATH": ROOT, "OCCUPY_CACHE_DIR": warm_cache(), **more}


def command(*arguments):
    """Argument list of a process that runs the program."""
    return [sys.executable, "-m", "occupy_jit", *map(str, arguments)]


def run(*arguments, cwd=None, env=None, **more):
    """Run the program; returns the completed process with text in ``stdout`` and ``stderr``."""
    return subprocess.run(command(*arguments), cwd=cwd, env=environment(**(env or {})), capture_output=True, text=True,
                          timeout=SECONDS, stdin=subprocess.DEVNULL, **more)


def run_here(*arguments, cwd=None):
    """Run the program in this process, in a tenth of the time of `run`, for immediate errors.

    Without signals, closed streams and an end with running threads, which need a separate process.

    Returns
    -------
    subprocess.CompletedProcess
        As from `run`.
    """
    from occupy_jit.cli import main

    words, before = list(map(str, arguments)), os.getcwd()
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        os.chdir(cwd or before)
        try:
            status = main.main(words)
        finally:
            os.chdir(before)
    return subprocess.CompletedProcess(words, status, out.getvalue(), errors.getvalue())


def troubles(ran):
    """Lines of standard error without the verdict of all small maps of these tests."""
    return [line for line in ran.stderr.splitlines() if "larger than a tenth of the box" not in line]


def in_time(disturb):
    """Result of a run disturbed in its middle, as a decorator of a function.

    On a busy machine the run may end before the disturbance; then it is tried again.

    Parameters
    ----------
    disturb : callable
        ``disturb(number)`` of the attempt; None if it came too late.
    """
    found = next((found for found in map(disturb, range(10)) if found is not None), None)
    assert found is not None, "ten runs came to their end before they could be disturbed"
    return found


def listing(directory):
    """Every file below a directory with a digest of its content, and every directory and link."""
    found = {}
    for folder, folders, files in os.walk(directory):
        for name in folders + files:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, directory)
            if os.path.islink(path):
                found[key] = "-> " + os.readlink(path)
            elif os.path.isdir(path):
                found[key] = "directory"
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    found[key] = hashlib.sha256(file.read()).hexdigest()
            else:
                found[key] = "special"
    return found


@functools.cache
def _particle(n, noise, seed):
    """Atoms in a ball, the upper half with occupancy 0.5, in white noise."""
    random = np.random.default_rng(1)
    points = random.normal(size=(n * n // 9, 3))
    points *= 0.26 * n * random.random((len(points), 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    atoms = np.zeros((n, n, n))
    np.add.at(atoms, tuple(np.rint(points + (n - 1) / 2).astype(int).T), np.where(points[:, 2] > 0, 0.5, 1.0))
    squares = [np.fft.fftfreq(n)[:, None, None] ** 2, np.fft.fftfreq(n)[:, None] ** 2, np.fft.rfftfreq(n) ** 2]
    blur = np.exp(-2 * np.pi ** 2 * 1.2 ** 2 * sum(squares))
    density = np.fft.irfftn(np.fft.rfftn(atoms) * blur, s=atoms.shape, axes=(0, 1, 2))
    density /= density.max()
    return (density + noise * np.random.default_rng(seed).normal(size=density.shape)).astype(np.float32)


def particle(n=48, noise=0.05, seed=2):
    """A map [z, y, x] of a particle in solvent with no verdict except on the size of the kernel."""
    return _particle(n, noise, seed).copy()


def write(path, data, voxel_size=1.5, axis_order=(1, 2, 3), **fields):
    """Write an array [z, y, x] as a map; `fields` are set in its header. Returns the path."""
    from occupy_jit.files.maps.maps import map_from_array
    from occupy_jit.files.maps.writing import write_map

    like = map_from_array(data, voxel_size)
    if axis_order != (1, 2, 3):
        like.axis_order = axis_order
        like.header["mapc"], like.header["mapr"], like.header["maps"] = axis_order
        for name, axis in zip(("nx", "ny", "nz"), axis_order, strict=True):
            like.header[name] = data.shape[3 - axis]
    for name, value in fields.items():
        like.header[name] = value
    write_map(path, data, like, "made for a test")
    return str(path)


def values(path, voxel_size=None):
    """Data of a map [z, y, x]; with a voxel size if the header has none."""
    from occupy_jit.files.maps.reading import read_map

    return read_map(path, voxel_size, may_be_constant=True).data
