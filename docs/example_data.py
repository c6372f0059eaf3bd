"""Make the small files that the tutorials work on.

    python docs/example_data.py FOLDER       in a checkout, with the extras model and star

A complex of four chains, A to D, in a box of 48 voxels: B is there in 60% of the particles, C in a quarter. All is
made from random numbers with fixed seeds, so that everybody gets the same.
"""

import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tests.classification import model_star  # noqa: E402
from tests.cli.test_model import written  # noqa: E402
from tests.command import write  # noqa: E402
from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure  # noqa: E402

NOISE = 0.3
CLASSES = [{"A": 1.0, "B": 1.0, "C": 0.6, "D": 1.0}, {"A": 1.0, "B": 0.3, "C": 0.6, "D": 1.0},
           {"A": 1.0, "B": 0.6, "C": 0.1, "D": 1.0}]
STATES = [{"A": 1.0, "B": 1.0, "C": 1.0, "D": 1.0}, {"A": 1.0, "B": 1.0, "C": 0.0, "D": 1.0},
          {"A": 1.0, "B": 0.0, "C": 0.0, "D": 1.0}]
VOLUMES = (9, 7, 4)


def make(folder):
    """Write all files below `folder`."""
    def path(*parts):
        whole = os.path.join(folder, *parts)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        return whole

    atoms = structure()
    halves = [density(atoms, OCCUPANCY, noise=NOISE * 2 ** 0.5, seed=seed) for seed in (1, 2)]
    for number, half in enumerate(halves, 1):
        write(path(f"half{number}.mrc"), half, VOXEL)
    write(path("map.mrc"), (halves[0] + halves[1]) / 2, VOXEL)
    written(atoms, path("model.cif"))
    # rough masks; as there is no RNA here, chain C stands for it
    for mask, chains in (("B", "B"), ("AD", "AD"), ("rna", "C")):
        alone = density(atoms, {name: float(name in chains) for name in OCCUPANCY})
        write(path(f"{mask}.mrc"), (alone > 0.2 * alone.max()).astype(np.float32), VOXEL)

    job = "Class3D/job010/run_it005"
    names = [f"{job}_class{k:03d}.mrc" for k in range(1, len(CLASSES) + 1)]
    for k, (name, occupancy) in enumerate(zip(names, CLASSES, strict=True)):
        write(path(name), density(atoms, occupancy, noise=NOISE, seed=10 + k), VOXEL)
    with open(path(f"{job}_model.star"), "w", encoding="utf-8") as file:
        file.write(model_star(names, box=48, voxel_size=VOXEL))

    scales = np.random.default_rng(0)
    for number, state in enumerate(np.repeat(range(len(STATES)), VOLUMES)):
        volume = density(atoms, STATES[state], noise=NOISE, seed=20 + number)
        write(path("volumes", f"vol_{number:03d}.mrc"), volume * np.float32(10 ** scales.uniform(-1, 1)), VOXEL)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(sys.argv[1])
