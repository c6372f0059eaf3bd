"""Common code of benchmarks: rows of the table, alternating runs, child processes, and test maps."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
VOXEL_SIZE = 1.2


@dataclass
class Options:
    """Options of a benchmark.

    Attributes
    ----------
    repeats : int
        Runs of each row, alternating with its peer.
    quick : bool
        Small volumes: a test without meaningful speed.
    threads : int
        Number of threads.
    map : Path or None
        Additional map for the whole command.
    sizes : tuple of int
        Edges, in voxels, of simulated maps for the whole command.
    original : list of str or None
        The command of the original program.
    folder : Path
        For maps and outputs.
    """

    repeats: int = 5
    quick: bool = False
    threads: int = 2
    map: Path | None = None
    sizes: tuple = (240, 384, 512)
    original: list | None = None
    folder: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))

    def edge(self, n):
        """`n` voxels, or few if `quick`."""
        return min(n, 48) if self.quick else n


@dataclass
class Row:
    """One line of the table.

    Attributes
    ----------
    what : str
    ours : float
        Median, in `unit`.
    peer : str
    peers : float or None
        Median; None if the peer is absent.
    ratio : float or None
        Ours / peer if less is better; peer / ours if `times_faster`.
    goal : float or None
        For `ratio`: at most, or if `times_faster` at least.
    agrees : bool, str or None
        Whether the results are the same (or a description of the difference); None without a comparison.
    cpu_ratio : float or None
        As `ratio`, of processor time summed over threads. Hardly affected by other load on the machine, which delays
        parallel code more than serial code.
    """

    what: str
    ours: float
    peer: str
    peers: float | None = None
    ratio: float | None = None
    goal: float | None = None
    times_faster: bool = False
    agrees: bool | str | None = None
    unit: str = "s"
    cpu_ratio: float | None = None

    @property
    def reached(self):
        if self.ratio is None or self.goal is None:
            return None
        return self.ratio >= self.goal if self.times_faster else self.ratio <= self.goal


def _ratio(ours, peers, times_faster):
    return statistics.median(b / a if times_faster else a / b for a, b in zip(ours, peers, strict=True))


def compare(what, ours, peer, peers, goal=None, times_faster=False, agrees=None):
    """Row of two lists of (wall, processor) times made in turns; a ratio is the median of those of neighbours."""
    (wall, cpu), (peer_wall, peer_cpu) = zip(*ours, strict=True), zip(*peers, strict=True)
    return Row(what, statistics.median(wall), peer, statistics.median(peer_wall),
               _ratio(wall, peer_wall, times_faster), goal, times_faster, agrees,
               cpu_ratio=_ratio(cpu, peer_cpu, times_faster) if min(cpu + peer_cpu) > 0 else None)


def seconds(function, *args, **kwargs):
    """Wall and processor time of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - wall, time.process_time() - cpu


def in_turns(repeats, *functions):
    """`seconds` of all functions in alternation: one list per function."""
    times = [[] for _ in functions]
    for _ in range(repeats):
        for function, those in zip(functions, times, strict=True):
            those.append(seconds(function))
    return times


def fft_pair(threads):
    """Function for forward and inverse transform of a volume with scipy.fft, or None without scipy."""
    try:
        from scipy import fft
    except ImportError:
        return None
    return lambda volume: fft.irfftn(fft.rfftn(volume, workers=threads), volume.shape, workers=threads)


# The peak of a process includes the memory of its parent at the start. The benchmark holds large volumes, so a small
# process starts the measured command and prints its peak in the last line.
_LAUNCHER = """
import os, sys
child = os.fork()
if not child:
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(); print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(command, folder, **variables):
    """Run a command.

    Returns
    -------
    times : (float, float)
        Wall and processor time, s.
    memory : int
        Peak of its resident memory, bytes.

    Raises
    ------
    RuntimeError
        If it fails, with the end of its output.
    """
    # Otherwise Python would compile all modules again for each run, unlike an installed program.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | variables
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-S", "-c", _LAUNCHER, *command], cwd=folder,
                                 stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                 env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        elapsed = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            end = said.read()[-500:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(map(str, command))}: exit status {child.returncode}\n{end}")
        said.seek(0)
        peak = int(said.read().split()[-1])
    return (elapsed, usage.ru_utime + usage.ru_stime), peak * (1 if sys.platform == "darwin" else 1024)


def run_ours(arguments, folder, **variables):
    """`run` of this program in the same way as its installed script."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    start = "import sys; from occupy_jit.__main__ import entry; sys.exit(entry())"
    return run([sys.executable, "-c", start, *map(str, arguments)], folder, PYTHONPATH=path, **variables)


def particle(n):
    """A simulated map: a textured blob, away from the centre, in low-passed noise; (n, n, n) float32."""
    from occupy_jit.estimation.fourier.filters import lowpass

    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[[slice(-0.47, 0.53, n * 1j)] * 3]
    z, y, x = (a.astype(np.float32) for a in (z, y, x))
    volume = lowpass(rng.standard_normal((n, n, n), dtype=np.float32), 8 * VOXEL_SIZE, VOXEL_SIZE)
    volume = np.square(volume, out=volume)
    volume *= 40 / volume.max() * (z * z + 1.5 * y * y + 2 * x * x < 0.05)
    volume += rng.standard_normal((n, n, n), dtype=np.float32)
    return lowpass(volume, 2.5 * VOXEL_SIZE, VOXEL_SIZE)


def map_of(n, folder):
    """Path of a map file with `particle(n)`, written at first use."""
    import mrcfile

    path = Path(folder) / f"particle_{n}.mrc"
    if not path.exists():
        with mrcfile.new(path) as mrc:
            mrc.set_data(particle(n))
            mrc.voxel_size = VOXEL_SIZE
    return path
