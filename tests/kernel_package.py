"""A copy of the kernels' machinery with kernels so small that they compile in no time, run in processes of its own."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

KERNELS = pathlib.Path(__file__).resolve().parent.parent / "occupy_jit" / "kernels"

TINY = '''
import numba
import numpy as np
from occupy_jit.kernels.jit.decorator import kernel
from occupy_jit.kernels.inner.callee import weight


@kernel
def total(volume):
    """Weighted sum of all voxels."""
    result = 0.0
    for value in volume.flat:
        result += weight(value)
    return result


@kernel
def doubled(volume):
    return volume * np.float32(2)


@kernel(parallel=True)
def fill(out, value):
    for i in numba.prange(out.size):
        out[i] = value + i
'''

CALLEE = '''
from occupy_jit.kernels.jit.decorator import kernel


@kernel
def weight(value):
    return 3.0 * value
'''

# What every probe starts with: the lines that are logged, and a volume whose voxels add up to 276.
PREAMBLE = '''
import json, logging, os, sys
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logging.getLogger("occupy_jit").addHandler(handler)
logging.getLogger("occupy_jit").setLevel(logging.DEBUG)
import numpy as np
volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
from occupy_jit.kernels.jit import cache as _cache, decorator as _jit, launch as _parallel, store
from occupy_jit.kernels import tiny
def count(function):
    return sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())
def answer(**more):
    print(json.dumps(dict(more, lines=lines)))
'''

TOTAL = '''
value = tiny.total(volume)
hits, misses = count(tiny.total)
answer(value=value, hits=hits, misses=misses, path=tiny.total.stats.cache_path)
'''


def make(root):
    """Write the package below `root` and return `root`."""
    kernels = pathlib.Path(root) / "occupy_jit" / "kernels"
    (kernels / "jit").mkdir(parents=True)
    (kernels.parent / "__init__.py").write_text('__version__ = "0.0.1"\n')
    (kernels / "__init__.py").write_text("")
    for path in (KERNELS / "jit").glob("*.py"):
        shutil.copy(path, kernels / "jit" / path.name)
    (kernels / "tiny.py").write_text(TINY)
    (kernels / "inner").mkdir()
    (kernels / "inner" / "__init__.py").write_text("")
    (kernels / "inner" / "callee.py").write_text(CALLEE)
    return root


def environment(root, **variables):
    """Environment in which nothing but `variables` and the package's own HOME and TMPDIR bears on cache and threads."""
    drop = ("NUMBA_", "OCCUPY_", "XDG_", "SLURM_", "OMP_", "PYTHON", "COV_")
    result = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    for name in ("home", "tmp"):
        (pathlib.Path(root) / name).mkdir(exist_ok=True)
    result.update(HOME=f"{root}/home", TMPDIR=f"{root}/tmp", PYTHONPATH=str(root))
    result.update(variables)
    return {name: value for name, value in result.items() if value is not None}


def start(root, code, variables=None, wrap=(), **options):
    """Start a process that runs `code` on the package."""
    return subprocess.Popen([*wrap, sys.executable, "-c", PREAMBLE + code], env=environment(root, **(variables or {})),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root, **options)


def finish(process, timeout=120):
    """Wait for a process of `start` and return what it answered; any failure fails the test."""
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, f"exit status {process.returncode}\n{errors}"
    assert not errors, errors
    return json.loads(output)


def run(root, code, variables=None, **options):
    return finish(start(root, code, variables, **options))
