"""What fits to maps on one grid have in common, kept: the results must not show it."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("gemmi")
pytest.importorskip("scipy")

from occupy_jit import occupancy_of_parts  # noqa: E402
from occupy_jit.estimation.parts import columns, fit  # noqa: E402
from occupy_jit.estimation.parts.preparation import Preparation  # noqa: E402
from tests.estimation.ligand_maps import ligand_map, with_ligands  # noqa: E402
from tests.estimation.test_ligands import NAMES  # noqa: E402
from tests.estimation.test_model_occupancy import OCCUPANCY, VOXEL, density, structure  # noqa: E402


def told(found):
    """Everything that a fit says, as bytes."""
    arrays = (found.occupancy, found.se, found.offset, found.se_offset, found.covariance, found.cc, found.full,
              found.evidence.influence, found.evidence.residual)
    return (*(np.asarray(values).tobytes() for values in arrays), repr(found.frame), found.explained,
            found.pseudo_atoms, found.b_factors, repr(found.residues), repr(found.ligands and found.ligands.rows),
            tuple(found.warnings))


def test_what_was_kept_changes_no_bit():
    """Other contents, other grid, other frame, back again, half maps, residues: each as if it were alone."""
    model, kept = structure(), Preparation()
    whole = density(model, OCCUPANCY, noise=0.3)
    # atoms that the model lacks: pseudo-atoms, in some of the maps only
    more = replace(model, xyz=np.concatenate([model.xyz, model.xyz[::10] + 3.0]),
                   residue=np.concatenate([model.residue, model.residue[::10]]))
    lacking = density(more, {**OCCUPANCY, "C": 1.0}, noise=0.1, seed=4)
    other_grid = np.ascontiguousarray(whole[:, 2:-2])
    halves = [whole + np.float32(0.3) * density(model, dict.fromkeys("ABCD", 0.0), noise=0.0, seed=s)
              + np.random.default_rng(s).normal(size=whole.shape).astype(np.float32) for s in (1, 2)]
    runs = [(whole, {}), (lacking, {}), (other_grid, {"position": (0.0, 2 * VOXEL, 0.0)}),
            (whole, {"reference": ("D",)}), (lacking, {"residues": True}), (whole, {"b_factors": "model"}),
            ((halves[0] + halves[1]) / 2, {"half_maps": halves}), (lacking, {})]
    pseudo_atoms = []
    for volume, given in runs:
        alone = occupancy_of_parts(volume, model, voxel_size=VOXEL, **given)
        assert told(occupancy_of_parts(volume, model, voxel_size=VOXEL, preparation=kept, **given)) == told(alone)
        pseudo_atoms.append(alone.pseudo_atoms)
    assert len(set(pseudo_atoms)) > 1


@pytest.mark.slow
def test_ligands_are_the_same_too():
    model, kept = with_ligands(), Preparation()
    for occupancy, noise in ((1.0, 0.2), (0.0, 0.4), (0.6, 0.1)):
        volume = ligand_map(model, dict.fromkeys(NAMES, occupancy), noise=noise, seed=round(10 * noise))
        alone = occupancy_of_parts(volume, model, voxel_size=VOXEL)
        assert alone.ligands.rows
        assert told(occupancy_of_parts(volume, model, voxel_size=VOXEL, preparation=kept)) == told(alone)


def test_columns_are_made_once_for_a_grid(monkeypatch):
    model, kept, made = structure(), Preparation(), []
    volumes = [density(model, OCCUPANCY, noise=0.3, seed=s) for s in range(3)]
    boxes = columns.PartBoxes

    def counted(*given):
        made.append(given)
        return boxes(*given)

    monkeypatch.setattr(columns, "PartBoxes", counted)
    monkeypatch.setattr(fit, "make_lattice", lambda *given, make=fit.make_lattice: made.append(given) or make(*given))
    for volume in volumes:
        occupancy_of_parts(volume, model, voxel_size=VOXEL, preparation=kept)
    first = len(made)
    assert first == 2  # the columns, and their grid
    occupancy_of_parts(volumes[0], structure(), voxel_size=VOXEL, preparation=kept)
    assert len(made) == 2 * first  # another object may be another model


def test_nothing_is_kept_where_it_is_not_asked_for():
    preparation = Preparation(keep=False)
    preparation.begin("model", 1)
    assert [preparation.once("name", lambda value=value: value) for value in (1, 2)] == [1, 2]
    kept = Preparation()
    kept.begin("model", 1)
    assert [kept.once("name", lambda value=value: value) for value in (1, 2)] == [1, 1]
    kept.begin("model", 2)
    assert "name" not in kept
