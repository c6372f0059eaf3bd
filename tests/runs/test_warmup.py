"""What is compiled ahead."""

import os

import pytest

from tests.command import run, warm_cache


def test_a_model_needs_no_kernel_that_was_not_loaded_ahead(tmp_path):
    pytest.importorskip("gemmi")
    pytest.importorskip("scipy")
    from tests.cli.test_model import written
    from tests.command import write
    from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure

    def kernels():
        return {os.path.join(folder, name) for folder, _, names in os.walk(warm_cache()) for name in names}

    before = kernels()
    write(tmp_path / "map.mrc", density(structure(), OCCUPANCY, noise=0.3), VOXEL)
    written(structure(), tmp_path / "model.cif")
    ran = run("-i", tmp_path / "map.mrc", "--model", tmp_path / "model.cif", "--residues", "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert kernels() == before
