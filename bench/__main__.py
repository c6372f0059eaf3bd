"""``python -m bench``: the table of all benchmarks."""

import argparse
import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
import tempfile
from pathlib import Path

from bench import command, estimation, full_scale, lowpass, many, sliding_maximum
from bench.measure import Options

# In the order of the table, the fastest of each kind first.
GROUPS = {
    "sliding": sliding_maximum.rows,
    "growth": sliding_maximum.growth,
    "lowpass": lowpass.rows,
    "full-scale": full_scale.rows,
    "memory-to-memory": estimation.rows,
    "per-voxel": estimation.per_voxel,
    "help": command.messages,
    "start-up": command.start_up,
    "command": command.rows,
    "peak-memory": command.memory,
    "first-run": command.first,
    "many-maps": many.rows,
}
HEADINGS = ("what", "ours", "peer", "theirs", "ratio", "goal", "reached", "CPU ratio", "agrees")


def _number(value, unit):
    if value is None:
        return "absent"
    if unit == "s" and value < 1:
        value, unit = value * 1000, "ms"
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def _said(flag):
    return {None: "-", True: "yes", False: "NO"}.get(flag, flag)


def cells(row, quick=False):
    """The row as text, one string for each of HEADINGS; goals do not apply to `quick` volumes."""
    def ratio(value):
        return "-" if value is None else f"{value:.3g}" + (" x faster" if row.times_faster else "")

    goal = "-" if row.goal is None else f"{'>=' if row.times_faster else '<='} {row.goal:.3g}"
    return (row.what, _number(row.ours, row.unit), row.peer, _number(row.peers, row.unit), ratio(row.ratio), goal,
            _said(None if quick else row.reached), ratio(row.cpu_ratio), _said(row.agrees))


def _processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory():
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (ValueError, OSError):
        return "memory unknown"


def _load():
    return " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def _versions(options):
    from occupy_jit import __version__

    yield f"occupy_jit {__version__}"
    yield f"Python {platform.python_version()}"
    for name in ("numpy", "numba", "scipy", "scikit-image"):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{name} absent"
    yield "original absent" if options.original is None else f"original {command.version_of(options.original)}"


def parser():
    made = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__.split("\n")[0],
        epilog="OCCUPY_ORIGINAL names the command of the original program, for example 'xvfb-run -a /path/occupy'.")
    made.add_argument("--rows", default=",".join(GROUPS), metavar="NAME[,NAME...]",
                      help=f"rows: {', '.join(GROUPS)} (default: all)")
    made.add_argument("--repeats", type=int, default=5, metavar="N", help="alternating runs of each row (default: 5)")
    made.add_argument("--threads", type=int, default=2, metavar="N", help="number of threads (default: 2)")
    made.add_argument("--map", type=Path, metavar="MAP", help="run the whole command on this map, too")
    made.add_argument("--sizes", default="240,384,512", metavar="N[,N...]",
                      help="edges of the maps for the whole command (default: 240,384,512)")
    made.add_argument("--quick", action="store_true", help="tiny volumes, only to test that everything runs")
    return made


def main(argv=None):
    """Print the table; 1 if results disagree, else 0."""
    arguments = parser().parse_args(argv)
    wanted = arguments.rows.split(",")
    unknown = [name for name in wanted if name not in GROUPS]
    if unknown:
        parser().error(f"--rows: unknown: {', '.join(unknown)}")
    if arguments.repeats < 1 or arguments.threads < 1:
        parser().error("--repeats and --threads: expected 1 or more")
    from occupy_jit.kernels.jit.decorator import threads

    with tempfile.TemporaryDirectory(prefix="bench_") as folder:
        options = Options(repeats=arguments.repeats, quick=arguments.quick,
                          threads=min(arguments.threads, os.cpu_count()),
                          map=arguments.map.resolve() if arguments.map else None,
                          sizes=tuple(int(n) for n in arguments.sizes.split(",")),
                          original=shlex.split(os.environ.get("OCCUPY_ORIGINAL", "")) or None, folder=Path(folder))
        print(f"{datetime.date.today()}: {_processor()}, {os.cpu_count()} cores, {options.threads} threads, "
              f"{_memory()}, load {_load()}")
        print(", ".join(_versions(options)))
        print("Medians of alternating runs. Ratio: ours / theirs, or times faster where given. CPU ratio:\n"
              "the same of processor time summed over threads, which other load on the machine hardly changes.\n")
        print("| " + " | ".join(HEADINGS) + " |\n|" + " --- |" * len(HEADINGS), flush=True)
        disagree = False
        with threads(options.threads):
            for name in wanted:
                for row in GROUPS[name](options):
                    disagree = disagree or row.agrees is False
                    print("| " + " | ".join(cells(row, options.quick)) + " |", flush=True)
        print(f"\nload at the end {_load()}")
    return int(disagree)


if __name__ == "__main__":
    sys.exit(main())
