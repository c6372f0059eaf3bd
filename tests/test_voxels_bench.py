"""The benchmark of voxel sizes: what is simulated is what was asked for, and the table holds what is measured."""

import numpy as np
import pytest

from bench import voxels as bench

pytest.importorskip("gemmi")
pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A chain of 400 atoms and two of 300, each in a ball, and a chain that is too small to count."""
    rng = np.random.default_rng(1)
    lines = []
    for chain, count, centre in (("A", 400, (0, 0, 0)), ("B", 300, (26, 0, 0)), ("C", 300, (-26, 0, 0)),
                                 ("D", 20, (0, 26, 0))):
        places = rng.normal(size=(count, 3))
        places *= (rng.uniform(0, 1, count) ** (1 / 3) * 11 / np.linalg.norm(places, axis=1))[:, None]
        for number, (x, y, z) in enumerate(places + centre):
            lines.append(f"ATOM  {len(lines) + 1:5d}  CA  ALA {chain}{number + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
                         "  1.00 30.00           C")
    path = tmp_path_factory.mktemp("model") / "three.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    return path


def test_small_chains_are_left_out_and_the_largest_is_complete(model):
    atoms = bench.read_atoms(model)
    assert set(atoms.chains) == {"A", "B", "C"} and not atoms.nucleic.any()
    for seed in range(5):
        occupancies = bench.drawn_occupancies(atoms.chains, seed)
        assert occupancies["A"] == 1 and sorted(occupancies) == ["A", "B", "C"]
        assert {occupancies["B"], occupancies["C"]} == set(bench.OCCUPANCIES[1:3])


@pytest.mark.parametrize("voxel_size", [2.0, 4.0])
def test_density_lies_at_the_atoms_and_follows_occupancies(model, voxel_size):
    atoms = bench.read_atoms(model)
    made = bench.simulate(atoms, voxel_size, {"A": 1.0, "B": 0.5, "C": 0.0}, 1e6, 2)
    at = made.map[tuple(np.round(made.places).astype(int).T)]
    heights = [at[made.chains == name].mean() for name in "ABC"]
    # chains have the same number of atoms per volume but for 400 : 300
    assert heights[1] / heights[0] == pytest.approx(0.5 * 300 / 400, abs=0.1)
    assert abs(heights[2]) < 0.1 * heights[0]


def test_noise_is_as_strong_as_asked_for(model):
    atoms = bench.read_atoms(model)
    occupancies = dict.fromkeys("ABC", 1.0)
    clean = bench.simulate(atoms, 2.0, occupancies, 1e6, 2).map
    noise = bench.simulate(atoms, 2.0, occupancies, 2.0, 2).map - clean
    near = tuple(np.round(bench.simulate(atoms, 2.0, occupancies, 2.0, 2).places).astype(int).T)
    # voxels of atoms are stronger than those within 3 Å of them
    assert 2.0 <= np.sqrt(np.square(clean[near]).mean()) / noise.std() < 4.0


def test_the_table_holds_the_error_of_each_model(model, capsys):
    assert bench.main([str(model), "--voxels", "3", "--noise", "good", "--draws", "1"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    atoms = bench.read_atoms(model)
    assert last == f"| 3 | {bench.errors(atoms, 'three', 3.0, ['good'], 1)[0]:.3f} |"
    assert bench.errors(atoms, "three", 3.0, ["good"], 1)[0] < 0.3
