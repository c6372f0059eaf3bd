"""What is compiled ahead."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.command import environment, run, warm_cache, write


@pytest.mark.slow
def test_a_model_needs_no_kernel_that_was_not_loaded_ahead(tmp_path):
    pytest.importorskip("gemmi")
    pytest.importorskip("scipy")
    from tests.cli.test_model import written
    from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure

    cache = shutil.copytree(warm_cache(), tmp_path / "cache")  # of its own: other tests compile, too

    def kernels():
        return {os.path.join(folder, name) for folder, _, names in os.walk(cache) for name in names}

    before = kernels()
    write(tmp_path / "map.mrc", density(structure(), OCCUPANCY, noise=0.3), VOXEL)
    written(structure(), tmp_path / "model.cif")
    ran = run("-i", tmp_path / "map.mrc", "--model", tmp_path / "model.cif", "--residues", "--output-dir", tmp_path,
              env={"OCCUPY_CACHE_DIR": str(cache)})
    assert ran.returncode == 0, ran.stderr
    assert kernels() == before


_LOADED = """
import gc
import sys

from numba.core.dispatcher import Dispatcher

from occupy_jit.runs import warmup
from occupy_jit.runs.one_map.run import run_one
from occupy_jit.runs.plan.plan import plan_map
from occupy_jit.settings import Options, Settings


def loaded():
    kernels = [one for one in gc.get_objects() if isinstance(one, Dispatcher)
               and one.py_func.__module__.startswith("occupy_jit")]
    return {(one.py_func.__qualname__, str(types)) for one in kernels for types in one.overloads}


warmup.start(bare=sys.argv[1] == "bare")
warmup.wait()
before = loaded()
for path in sys.argv[2:]:
    outcome = run_one(plan_map(path, Settings(), Options(input_map=(path,), output_dir=sys.argv[-1] + ".out")))
    assert not outcome.status, outcome
print(len(before), *sorted(loaded() - before))
"""


def test_a_plain_run_loads_what_it_needs_and_no_more(tmp_path):
    from tests.simulated import blobs

    maps = []
    for edge in (40, 112):  # a large one has more on cells
        maps.append(str(tmp_path / f"m{edge}.mrc"))
        write(maps[-1], blobs((edge, edge, edge)), 1.5)
    found = {}
    for how in ("bare", "all"):
        ran = subprocess.run([sys.executable, "-c", _LOADED, how, *maps], capture_output=True, text=True,
                             env=environment())
        assert ran.returncode == 0, ran.stderr
        number, *late = ran.stdout.split(maxsplit=1)
        assert not late, "kernels that came too late"
        found[how] = int(number)
    assert found["bare"] < 0.8 * found["all"]
